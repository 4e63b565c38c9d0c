// A phone with the batch dialect: the class of the mobile guide (docs/mobile/batch.js), as it stands,
// on a store that survives power cuts and a network that does not.
//
//   {op: "settings", …}                    see lines.cjs; cutAt: the power fails at that step
//   {op: "save"|"remove", table, id, values}
//   {op: "sync"}                           pull and push until done; fails as it fails
//   {op: "call"}                           what an app calls: never fails, says what next
//   {op: "list", prefix}                   what the store holds
//   {op: "put", values}                    change the store behind the class's back
//   {op: "restart"}                        all that the class held in memory is gone
//   {op: "check"|"verify"}                 against the server's digest
//   {op: "take"|"send"|…}                  photos: see camera.cjs
'use strict'
const { BatchPhone } = require('../../../docs/mobile/batch.js')
const { Photos, camera, operations } = require('./camera.cjs')
const { app, serve, settings } = require('./lines.cjs')

const disk = new Map()
let phone = null
let photos = null
let step = 0

/** The power fails before or after each write, and before or after each request; then all is dark. */
const dark = () => settings.cutAt > 0 && step >= settings.cutAt
function pass() {
  step += 1
  if (dark()) throw new Error('power cut')
}

const copy = (value) => (value === undefined ? undefined : JSON.parse(JSON.stringify(value)))

app.store = {
  read: async (key) => copy(disk.get(key)),
  list: async (prefix) => copy([...disk].filter(([key]) => key.startsWith(prefix))),
  write: async (values) => {
    pass()
    for (const [key, value] of Object.entries(copy(values)))
      value === null ? disk.delete(key) : disk.set(key, value)
    pass()
  },
}
const risk = async (table, id) => (disk.get(`row/${table}/${id}`) || {}).risk_level
app.photos = camera(app.store, risk)
app.randomId = () => settings.device
const { fetch: send } = app
app.fetch = async (url, init) => {
  pass()
  const response = await send(url, init)
  pass()
  return response
}

/** A power cut takes what the class held in memory. */
async function alive(work) {
  photos = photos || new Photos(app)
  phone = phone || new BatchPhone(app, photos)
  phone.size = settings.size || phone.size
  step = 0
  try {
    const value = await work(phone)
    if (dark()) throw new Error('power cut')
    return value
  } finally {
    if (dark()) phone = photos = null
  }
}

const ofPhotos = operations(() => photos)
const guarded = (work) => (given) => alive(() => work(given))

serve({
  ...Object.fromEntries(Object.entries(ofPhotos).map(([op, work]) => [op, guarded(work)])),
  save: ({ table, id, values }) => alive((it) => it.save(table, id, values)),
  remove: ({ table, id }) => alive((it) => it.remove(table, id)),
  sync: () => alive((it) => it.syncNow()),
  call: () =>
    alive(async (it) => {
      const { next, seconds, error } = await it.sync()
      return { next, seconds, code: error && error.code, error: error && String(error.stack) }
    }),
  check: () => alive((it) => it.check()),
  verify: () => alive((it) => it.verify()),
  list: ({ prefix }) => app.store.list(prefix).then(Object.fromEntries),
  restart: async () => {
    phone = photos = null
  },
  put: async ({ values }) => {
    settings.cutAt = 0
    await app.store.write(values)
  },
})
