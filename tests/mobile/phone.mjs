// A phone with the kit, driven as the phones of the mobile guide are (tests/dermadetect/phone/phone.cjs), and more:
//
//   {op: "sync", budgetMs}              one sync of the executor; fails as it fails
//   {op: "during", request, then}       what the user does while the answer to the n-th request is on its way
//   {op: "dieAt", request, when}        the process is killed "before" or "after" the n-th request
//   {op: "status"|"conflicts"|…}        what screens show
//   {op: "take"|"send"|"photos"}        photos: files on disk
//   {op: "triage", id, scores}          a model on the phone looks at a case and says this, label by label
//
// Of the settings: `adapter` is loki or sqlite; `file` is where a SQLite database lies; `access` and `refresh` are
// the tokens of a log-in.
import { open as openFile, stat, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { Database } from '@nozbe/watermelondb'
import { hasUnsyncedChanges } from '@nozbe/watermelondb/sync/index.js'
import { contents, migrations, models, repositories, schema } from './dist/src/dermadetect.js'
import { CareKit, systemClock } from './dist/src/index.js'
import { PhotoQueue } from './dist/src/photos/index.js'
import { DeviceTriage, recordLook } from './dist/src/triage/index.js'

const require = createRequire(import.meta.url)
const { app, now, serve, settings } = require(process.env.KIT_LINES)
const LokiJSAdapter = require('@nozbe/watermelondb/adapters/lokijs').default

console.log = () => {} // standard output belongs to the answers

const clock = { ...systemClock, now: () => (settings.frozenAt ?? now()) }

// Where the kit believes the server to be: a test moves the phone to other networks.
const KIT_URL = 'http://care.example'

let requests = 0
let plans = [] // {request, then} and {request, die}
let tokens = null
let [database, kit, tables, photos, backup] = []
const settled = []

async function fetch(url, init) {
  const request = (requests += 1)
  const due = plans.filter((plan) => plan.request === request)
  if (due.some(({ die }) => die === 'before')) process.kill(process.pid, 'SIGKILL')
  if (settings.airplane) throw new TypeError('fetch failed')
  const answer = await app.fetch(url.replace(KIT_URL, settings.url), init)
  for (const { then = [] } of due)
    for (const { op, ...given } of then) await operations[op](given)
  if (due.some(({ die }) => die === 'after')) process.kill(process.pid, 'SIGKILL')
  return answer
}

function open() {
  const adapter =
    settings.adapter === 'sqlite'
      ? new (require('@nozbe/watermelondb/adapters/sqlite').default)({ schema, migrations, dbName: settings.file })
      : new LokiJSAdapter({
          schema,
          migrations,
          useWebWorker: false,
          useIncrementalIndexedDB: false,
          dbName: `phone-${process.pid}-${Date.now()}`,
          extraLokiOptions: { autosave: false },
        })
  database = new Database({ adapter, modelClasses: models })
  tables = repositories(database, clock)
  tokens ??= { access: settings.access || settings.token, refresh: settings.refresh || '' }
  const store = {
    load: async () => tokens,
    save: async (given) => {
      tokens = given
    },
  }
  kit = new CareKit({
    database, contents, clock, fetch, tokens: store, version: '1.4.0', gzip: app.gzip,
    url: KIT_URL,
  })
  photos = new PhotoQueue({
    database, files, clock,
    server: kit.server,
    risk: async ({ record_id }) => (await tables.cases.find(record_id))?.risk_level ?? null,
    settled: async (photo) => void settled.push(photo),
  })
}

const files = {
  size: async (uri) => (await stat(uri)).size,
  async read(uri, first, end) {
    const file = await openFile(uri)
    try {
      const bytes = new Uint8Array(end - first)
      await file.read(bytes, 0, bytes.length, first)
      return bytes
    } finally {
      await file.close()
    }
  },
}

const sqlite = () => new (require('better-sqlite3'))(settings.file)
const loki = () => database.adapter.underlyingAdapter._driver.loki

async function restore(disk) {
  open()
  await database.localStorage.get('any') // it is open now
  loki().loadJSON(disk)
}

const ready = async () => {
  if (!kit) open()
  await database.localStorage.set('device_id', settings.device)
}

const JSONS = ['demographics', 'triage_data', 'image_keys']
const values = (given) =>
  Object.fromEntries(
    Object.entries(given).map(([name, value]) => [name, JSONS.includes(name) && value ? JSON.parse(value) : value]),
  )

const operations = {
  create: async ({ table, id, values: given }) => void (await tables[table].create(values(given), id)),
  createMany: ({ table, rows }) =>
    database.write(() =>
      database.batch(
        rows.map(({ id, ...given }) =>
          database.get(table).prepareCreate((record) => {
            const at = clock.now()
            record._raw.id = id
            for (const [name, value] of Object.entries({ ...given, created_at: at, last_modified_at: at }))
              record._setRaw(name, value)
          }),
        ),
      ),
    ),
  update: async ({ table, id, values: given }) => void (await tables[table].update(id, values(given))),
  delete: ({ table, id }) => tables[table].delete(id),
  async tamper({ table, id, values: given }) {
    const found = await database.get(table).find(id)
    const { _status, _changed } = found._raw
    await database.write(() => found.update(() => Object.assign(found._raw, { ...given, _status, _changed })))
  },
  async sync({ budgetMs }) {
    await ready()
    const { error } = await kit.sync(budgetMs === undefined ? {} : { budgetMs })
    if (error) throw error
    const rejected = {}
    for (const { table, id, kept } of kit.executor.refused.get())
      if (kept) rejected[table] = [...(rejected[table] ?? []), id]
    return { rejected }
  },
  async call() {
    await ready()
    const { next, seconds, error } = await kit.sync()
    return { next, seconds, code: error?.code, error: error && String(error.stack) }
  },
  check: () => kit.executor.compare(),
  verify: () => kit.executor.repair(),
  async repair() {
    const { synchronizeNow } = await import('./dist/src/sync/run.js')
    const { sha256 } = await import('./dist/src/sha256.js')
    const phone = { database, contents, server: kit.server, clock, random: Math.random, sha256 }
    await synchronizeNow(phone, { whole: true })
    await kit.executor.refresh()
  },
  rows: async ({ table }) => (await database.get(table).query().fetch()).map((record) => record._raw),
  unsynced: () => hasUnsyncedChanges({ database }),
  shown: async () => kit.executor.refused.get(),
  status: async () => kit.executor.status.get(),
  conflicts: async () => kit.executor.conflicts.get(),
  history: () => kit.history.load(),
  tokens: async () => tokens,
  async expire({ access }) {
    tokens = { ...tokens, access }
    await operations.restart() // the app starts on what is in the keychain
  },
  login: ({ email, password }) => kit.logIn(email, password),
  async storage({ name }) {
    const found = await database.localStorage.get(name === 'kept_edits' ? 'kit/kept_edits' : name)
    return found && Object.keys(found).length === 0 ? null : found
  },
  async during({ request, then }) {
    plans.push({ request: requests + request, then })
  },
  async dieAt({ request, when }) {
    plans.push({ request: requests + request, die: when })
  },
  requests: async () => requests,
  take: ({ table, record_id, key, uri }) => photos.add({ table, record_id, key, uri, type: 'image/jpeg' }),
  async send() {
    const { next, seconds, error } = await photos.send()
    return { next, seconds, code: error?.code, error: error && String(error.stack) }
  },
  photos: () => photos.list(),
  settled: async () => settled,
  async triage({ id, scores }) {
    const labels = Object.keys(scores)
    const input = { width: 2, height: 2 }
    const classifier = { name: 'scripted', version: '7', labels, input, scores: async () => Object.values(scores) }
    const thresholds = { version: '1', labels: Object.fromEntries(labels.map((label) => [label, { red: 0.5 }])) }
    const read = () => ({ width: 2, height: 1, data: Uint8ClampedArray.of(9, 9, 9, 255, 0, 0, 0, 255) })
    const look = await new DeviceTriage({ classifier, thresholds, clock }).look([{ key: 'k1', read }])
    await recordLook(tables.cases, id, look)
  },
  async start() {
    await ready()
    kit.start()
  },
  async reset() {
    settings.file += '+' // nothing of what was there
    open()
  },
  async restart() {
    await ready()
    if (settings.adapter === 'sqlite') open()
    else await restore(loki().serialize())
  },
  async backup() {
    await ready()
    backup = settings.adapter === 'sqlite' ? sqlite().serialize() : loki().serialize()
  },
  async restore() {
    if (settings.adapter !== 'sqlite') return restore(backup)
    settings.file += '+'
    await writeFile(settings.file, backup)
    open()
  },
}

for (const [name, operation] of Object.entries(operations))
  operations[name] = async (given) => {
    if (!kit) open()
    return operation(given)
  }

serve(operations)
