// A phone with the kit's batch dialect, on a store that survives power cuts and a network that does not.
//
//   {op: "settings", …}                    see lines.mjs; cutAt: the power fails at that step
//   {op: "save"|"remove", table, id, values}
//   {op: "sync"}                           pull and push until done; fails as it fails
//   {op: "call"}                           what an app calls: never fails, says what next
//   {op: "list", prefix}                   what the store holds
//   {op: "put", values}                    change the store behind the class's back
//   {op: "restart"}                        all that the class held in memory is gone
//   {op: "check"|"verify"}                 against the server's digest
//   {op: "take"|"send"|…}                  photos: see camera.mjs
import { BatchPhone, Server, Session, storageOf, tokensInMemory } from './dist/src/batch/index.js'
import { contents } from './dist/src/generated/dermadetect-columns.js'
import { systemClock } from './dist/src/ports.js'
import { camera, operations } from './camera.mjs'
import { now, said, send, serve, settings, shared, tokensNow } from './lines.mjs'

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

const store = {
  read: async (key) => copy(disk.get(key)),
  list: async (prefix) => copy([...disk].filter(([key]) => key.startsWith(prefix))),
  write: async (values) => {
    pass()
    for (const [key, value] of Object.entries(copy(values))) value === null ? disk.delete(key) : disk.set(key, value)
    pass()
  },
}

async function fetch(url, init) {
  pass()
  const response = await send(url, init)
  pass()
  return response
}

function open() {
  if (!disk.has('device_id')) disk.set('device_id', settings.device)
  const clock = { ...systemClock, now }
  const session = new Session({ ...shared, fetch, tokens: tokensInMemory(tokensNow()) })
  const server = new Server({ ...shared, fetch, clock, session })
  const risk = async ({ table, record_id }) => (disk.get(`row/${table}/${record_id}`) || {}).risk_level
  photos = camera({ database: storageOf({ ...store }), server, risk, clock })
  phone = new BatchPhone({ store, contents, server, photos, clock })
}

/** A power cut takes what the class held in memory. */
async function alive(work) {
  if (!phone) open()
  step = 0
  try {
    const value = await work(phone)
    if (dark()) throw new Error('power cut')
    return value
  } finally {
    if (dark()) phone = null
  }
}

const guarded = Object.entries(operations(() => photos)).map(([op, work]) => [op, (given) => alive(() => work(given))])

serve({
  ...Object.fromEntries(guarded),
  save: ({ table, id, values }) => alive((it) => it.save(table, id, values)),
  remove: ({ table, id }) => alive((it) => it.remove(table, id)),
  sync: () => alive((it) => it.syncNow()),
  call: () => alive(async (it) => said(await it.sync())),
  check: () => alive((it) => it.compare()),
  verify: () => alive((it) => it.repair()),
  list: ({ prefix }) => store.list(prefix).then(Object.fromEntries),
  restart: async () => {
    phone = null
  },
  put: async ({ values }) => {
    settings.cutAt = 0
    await store.write(values)
  },
})
