// The photos of a phone under test: what the kit's queue wants from an app, with files on disk.
//
//   {op: "take", table, record_id, key, uri}    a photo was taken: the file is there
//   {op: "send"}                                what an app calls after a sync: never fails, says what next
//   {op: "photos"|"settled"}                    what is kept; what the app was told
//   {op: "again"|"drop", photo}                 the user wants it once more, or gives it up
import { open, stat } from 'node:fs/promises'
import { PhotoQueue } from './dist/src/photos/index.js'
import { said, settings } from './lines.mjs'

const told = []

const files = {
  size: async (uri) => (await stat(uri)).size,
  async read(uri, first, end) {
    const file = await open(uri)
    try {
      const bytes = new Uint8Array(end - first)
      await file.read(bytes, 0, bytes.length, first)
      const whole = first === 0 && end === (await files.size(uri)) // as a hash is computed of small files
      if (whole && settings.wrongHashes[uri] > 0) {
        settings.wrongHashes[uri] -= 1
        bytes[0] ^= 1
      }
      return bytes
    } finally {
      await file.close()
    }
  },
}

/** A queue of photos. */
export const camera = (options) => new PhotoQueue({ files, settled: async (photo) => void told.push(photo), ...options })

/** Operations on the photos that `photos()` gives. */
export const operations = (photos) => ({
  take: ({ table, record_id, key, uri }) => photos().add({ table, record_id, key, uri, type: 'image/jpeg' }),
  send: async () => said(await photos().send()),
  photos: () => photos().list(),
  settled: async () => told,
  again: ({ photo }) => photos().again(photo),
  drop: ({ photo }) => photos().drop(photo),
})
