// A phone with the kit on WatermelonDB, driven as lines.mjs says:
//
//   {op: "create"|"update"|"delete", table, id, values}    offline work
//   {op: "createMany", table, rows}     rows as they are kept, past the repository
//   {op: "tamper", table, id, values}   change a row behind WatermelonDB's back
//   {op: "sync", budgetMs}              one sync of the executor; fails as it fails
//   {op: "call"}                        what an app calls: never fails, says what next
//   {op: "check"|"verify"|"repair"}     against the server's digest
//   {op: "during", request, then}       what the user does while the answer to the n-th request is on its way
//   {op: "dieAt", request, when}        the process is killed "before" or "after" the n-th request
//   {op: "failAt", request, when}       the network goes "before" or "after" the n-th request has reached the server
//   {op: "room", left}                  the storage of a SQLite database is full, or has room again
//   {op: "rows"|"unsynced"|"status"|…}  what the phone holds, and what screens show
//   {op: "take"|"send"|…}               photos: see camera.mjs
//   {op: "reset"|"restart"}             a new installation; the app anew, on the same database
//   {op: "backup"|"restore"}            the database, to be set back to later
//   {op: "triage", id, scores}          a model on the phone looks at a case and says this, label by label
//
// Of the settings: `adapter` is loki or sqlite; `file` is where a SQLite database lies; `next`: the app is of a version
// whose schema has a column and a table that the server does not know; `access` and `refresh` are
// the tokens of a log-in.
import { writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { Database } from '@nozbe/watermelondb'
import { sanitizedRaw } from '@nozbe/watermelondb/RawRecord/index.js'
import { hasUnsyncedChanges } from '@nozbe/watermelondb/sync/index.js'
import { contents, migrations, models, repositories, schema, versions } from './dist/src/dermadetect.js'
import { CareKit, systemClock } from './dist/src/index.js'
import { migrationsOf, schemaOf } from './dist/src/records/index.js'
import { deviceId } from './dist/src/sync/index.js'
import { DeviceTriage, recordLook } from './dist/src/triage/index.js'
import { camera, operations as ofPhotos } from './camera.mjs'
import { now, said, send, serve, settings, shared, tokensNow } from './lines.mjs'

const require = createRequire(import.meta.url)
const LokiJSAdapter = require('@nozbe/watermelondb/adapters/lokijs').default

const clock = { ...systemClock, now }

/** The native reader of a first sync ("turbo"), as strict as it: plain inserts of well-formed rows. */
class TurboAdapter extends LokiJSAdapter {
  provideSyncJson(id, text, callback) {
    this.text = text
    callback({ value: undefined })
  }

  unsafeLoadFromSync(id, callback) {
    turbos += 1
    const { changes, ...rest } = JSON.parse(this.text)
    const inserts = []
    for (const [table, { created, updated, deleted, ...more }] of Object.entries(changes)) {
      if (deleted.length || Object.keys(more).length) throw new Error('not a turbo answer')
      for (const row of [...created, ...updated]) {
        const raw = sanitizedRaw({ ...row, _status: 'synced', _changed: '' }, schema.tables[table])
        inserts.push(['create', table, raw])
      }
    }
    this.batch(inserts, ({ error }) => {
      this._clearCachedRecords() // written below WatermelonDB: it has seen none of them
      callback(error ? { error } : { value: rest })
    })
  }
}

/** The schema of this version, or of a made-up one that follows. */
function tablesOf(next) {
  if (!next) return { schema, migrations }
  const { version, tables } = versions.at(-1)
  const village = { name: 'village', type: 'string', isOptional: true }
  const more = tables.map((table) => ({ ...table, columns: table.name === 'patients' ? [...table.columns, village] : table.columns }))
  const visits = { name: 'visits', columns: [{ name: 'patient_id', type: 'string' }] }
  const all = [...versions, { version: version + 1, tables: [...more, visits] }]
  return { schema: schemaOf(all), migrations: migrationsOf(all) }
}

let requests = 0
let turbos = 0
let plans = [] // {request, then}, {request, die} and {request, fail}
let tokens = null
let [database, kit, tables, photos, backup] = []

async function fetch(url, init) {
  const request = (requests += 1)
  const due = plans.filter((plan) => plan.request === request)
  if (due.some(({ die }) => die === 'before')) process.kill(process.pid, 'SIGKILL')
  if (due.some(({ fail }) => fail === 'before')) throw new TypeError('fetch failed')
  const answer = await send(url, init)
  for (const { then = [] } of due)
    for (const { op, ...given } of then) await operations[op](given)
  if (due.some(({ die }) => die === 'after')) process.kill(process.pid, 'SIGKILL')
  if (due.some(({ fail }) => fail === 'after')) throw new TypeError('the answer was lost')
  return answer
}

function open() {
  const adapter =
    settings.adapter === 'sqlite'
      ? new (require('@nozbe/watermelondb/adapters/sqlite').default)({ ...tablesOf(settings.next), dbName: settings.file })
      : new TurboAdapter({
          schema,
          migrations,
          useWebWorker: false,
          useIncrementalIndexedDB: false,
          dbName: `phone-${process.pid}-${Date.now()}`,
          extraLokiOptions: { autosave: false },
        })
  database = new Database({ adapter, modelClasses: models })
  tables = repositories(database, clock)
  tokens ??= tokensNow()
  const store = {
    load: async () => tokens,
    save: async (given) => {
      tokens = given
    },
  }
  kit = new CareKit({ ...shared, database, contents, clock, fetch, tokens: store, turbo: settings.turbo })
  const risk = async ({ record_id }) => (await tables.cases.find(record_id))?.risk_level ?? null
  photos = camera({ database, clock, risk, server: kit.server })
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
  ...ofPhotos(() => photos),
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
    return said(await kit.sync())
  },
  device: () => deviceId({ database, random: Math.random }),
  turbos: async () => turbos,
  check: () => kit.executor.compare(),
  verify: () => kit.executor.repair(),
  async repair() {
    const { synchronizeNow } = await import('./dist/src/sync/run.js')
    const { sha256 } = await import('./dist/src/sha256.js')
    const phone = { database, contents, server: kit.server, clock, random: Math.random, sha256, turbo: false }
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
  async failAt({ request, when }) {
    plans = [{ request: requests + request, fail: when }]
  },
  requests: async () => requests,
  async room({ left }) {
    await database.localStorage.get('any') // it is open now
    const { connections } = require('@nozbe/watermelondb/adapters/sqlite/sqlite-node/DatabaseBridge').default
    const { instance } = Object.values(connections).at(-1).driver.database
    instance.pragma(`max_page_count = ${left ? 1_000_000 : 1}`) // never less than there are
  },
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
