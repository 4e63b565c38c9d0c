// The photos of a phone under test: what docs/mobile/photos.js wants from an app, with files on disk.
//
//   {op: "take", table, record_id, key, uri}    a photo was taken: the file is there
//   {op: "send"}                                what an app calls after a sync: never fails, says what next
//   {op: "photos"|"settled"}                    what is kept; what the app was told
//   {op: "again"|"drop", photo}                 the user wants it once more, or gives it up
//
// Of the settings: `wrongHashes`, so many files get the hash of others.
'use strict'
const { createHash } = require('node:crypto')
const { open, readFile } = require('node:fs/promises')
const { Photos } = require('../../../docs/mobile/photos.js')
const { settings } = require('./lines.cjs')

const settled = []

/** `app.photos`; `store` and `risk` are the dialect's own. */
function camera(store, risk) {
  return {
    store,
    risk,
    measure: async (uri) => {
      const bytes = await readFile(uri)
      const wrong = settings.wrongHashes > 0 ? (settings.wrongHashes -= 1, '!') : ''
      const sha256 = createHash('sha256').update(wrong).update(bytes).digest('hex')
      return { bytes: bytes.length, sha256 }
    },
    read: async (uri, first, end) => {
      const file = await open(uri)
      try {
        const bytes = new Uint8Array(end - first)
        await file.read(bytes, 0, bytes.length, first)
        return bytes
      } finally {
        await file.close()
      }
    },
    settled: async (photo) => settled.push(photo),
  }
}

/** Operations on the photos that `photos()` gives. */
function operations(photos) {
  return {
    take: ({ table, record_id, key, uri }) =>
      photos().add({ table, record_id, key, uri, type: 'image/jpeg' }),
    send: async () => {
      const { next, seconds, error } = await photos().send()
      return { next, seconds, code: error && error.code, error: error && String(error.stack) }
    },
    photos: () => photos().list(),
    settled: async () => settled,
    again: ({ photo }) => photos().again(photo),
    drop: ({ photo }) => photos().drop(photo),
  }
}

module.exports = { Photos, camera, operations }
