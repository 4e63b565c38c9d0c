// A real WatermelonDB phone. Its sync is the code of the mobile guide (docs/mobile), run as it stands.
//
//   {op: "settings", …}                                    see lines.cjs
//   {op: "create"|"update"|"delete", table, id, values}    offline work
//   {op: "sync"}                                           pull and push until done; fails as it fails
//   {op: "call"}                                           what an app calls: never fails, says what next
//   {op: "rows"|"raw", table}                              what the phone holds; raw: unsent deletions too
//   {op: "tamper", table, id, values}                      change a row behind WatermelonDB's back
//   {op: "check"|"verify"|"repair"}                        against the server's digest
//   {op: "unsynced"|"shown"|"kept"|"storage"}              what waits, what the user was shown …
//   {op: "take"|"send"|…}                                  photos: see camera.cjs
//   {op: "reset"}                                          a new installation
//   {op: "restart"}                                        the app, on the same database
//   {op: "backup"|"restore"}                               the database, to be set back to later
'use strict'
const { Database, Q } = require('@nozbe/watermelondb')
const LokiJSAdapter = require('@nozbe/watermelondb/adapters/lokijs').default
const { sanitizedRaw } = require('@nozbe/watermelondb/RawRecord')
const { hasUnsyncedChanges } = require('@nozbe/watermelondb/sync')
const generated = require('../../../infra/schema.js')
const { fill, migrations, modelsOf, schemaOf } = require('../../../docs/mobile/database.js')
const { check, deviceId, syncNow, syncer, verify } = require('../../../docs/mobile/watermelon.js')
const { photoStore } = require('../../../docs/mobile/photos.js')
const { Photos, camera, operations } = require('./camera.cjs')
const { app, now, serve, settings, shown } = require('./lines.cjs')

const schema = schemaOf(generated)

/** The native reader of a first sync ("turbo"), as strict as it: plain inserts of well-formed rows. */
class TurboAdapter extends LokiJSAdapter {
  provideSyncJson(id, text, callback) {
    this.text = text
    callback({ value: undefined })
  }

  unsafeLoadFromSync(id, callback) {
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

function open() {
  const adapter = new TurboAdapter({
    schema,
    migrations,
    useWebWorker: false,
    useIncrementalIndexedDB: false,
    dbName: `phone-${process.pid}-${Date.now()}`,
    extraLokiOptions: { autosave: false },
  })
  app.database = new Database({ adapter, modelClasses: modelsOf(generated) })
  app.log = undefined
  const risk = async (table, id) => (await of(table).find(id))._raw.risk_level
  app.photos = camera(photoStore(app.database), risk)
  photos = new Photos(app)
  return syncer(app)
}

let photos = null
let backup = ''
let call = open()

const loki = () => app.database.adapter.underlyingAdapter._driver.loki

/** The app starts on what was on disk. */
async function restore(disk) {
  call = open()
  await app.database.localStorage.get('any') // it is open now
  loki().loadJSON(disk)
}

const named = () => app.database.localStorage.set('device_id', settings.device)
const of = (table) => app.database.get(table)
const write = (work) => app.database.write(work)

const create = ({ table, id, values }) =>
  of(table).prepareCreate((record) => {
    record._raw.id = id
    fill(record, values, now())
  })

serve({
  ...operations(() => photos),
  create: (given) => write(() => app.database.batch(create(given))),
  createMany: ({ table, rows }) =>
    write(() =>
      app.database.batch(...rows.map(({ id, ...values }) => create({ table, id, values }))),
    ),
  async update({ table, id, values }) {
    const found = await of(table).find(id)
    await write(() => found.update(() => fill(found, values, now())))
  },
  async delete({ table, id }) {
    const found = await of(table).find(id)
    await write(() => found.markAsDeleted())
  },
  async tamper({ table, id, values }) {
    const found = await of(table).find(id)
    const { _status, _changed } = found._raw
    const undo = () => Object.assign(found._raw, { ...values, _status, _changed })
    await write(() => found.update(undo))
  },
  async sync() {
    await named()
    const log = (app.log = {})
    await syncNow(app)
    return { conflicts: (log.resolvedConflicts || []).length, rejected: log.rejectedIds || {} }
  },
  async call() {
    await named()
    const { next, seconds, error } = await call()
    return { next, seconds, code: error && error.code, error: error && String(error.stack) }
  },
  check: () => check(app),
  verify: () => verify(app),
  repair: () => syncNow(app, { whole: true }),
  device: () => deviceId(app.database),
  async rows({ table }) {
    return (await of(table).query().fetch()).map((record) => record._raw)
  },
  unsynced: () => hasUnsyncedChanges({ database: app.database }),
  shown: async () => shown,
  storage: ({ name }) => app.database.localStorage.get(name),
  async reset() {
    call = open()
  },
  async restart() {
    await named()
    await restore(loki().serialize())
  },
  async backup() {
    await named()
    backup = loki().serialize()
  },
  restore: () => restore(backup),
})
