// A real WatermelonDB phone, driven over standard input: one JSON command a line, one JSON answer a line.
//
//   {op: "create"|"update"|"delete", table, id, values}    offline work
//   {op: "sync"}                                           the stock synchronize()
//   {op: "rows", table}                                    what the phone holds, as raw records
//   {op: "unsynced"}                                       whether anything waits to be sent
//   {op: "reset"}                                          a new installation
//   {op: "settings", …}                                    url, token, device, clockOffset, loseAnswers, cutPulls, skipPull
//
// The pull and push functions are the ones of the mobile guide.
'use strict'
const readline = require('node:readline')
const { Database, Model, appSchema } = require('@nozbe/watermelondb')
const { tableSchema } = require('@nozbe/watermelondb/Schema')
const { schemaMigrations } = require('@nozbe/watermelondb/Schema/migrations')
const { synchronize, hasUnsyncedChanges } = require('@nozbe/watermelondb/sync')
const LokiJSAdapter = require('@nozbe/watermelondb/adapters/lokijs').default

const { tables, version } = require(process.argv[2]) // the generated schema
const schema = appSchema({ version, tables: tables.map((table) => tableSchema(table)) })
const classes = tables.map(
  ({ name }) =>
    class extends Model {
      static table = name
    },
)

const settings = { url: '', token: '', device: 'phone', clockOffset: 0, loseAnswers: 0, cutPulls: 0, skipPull: false }
let database = open()

function open() {
  const adapter = new LokiJSAdapter({
    schema,
    migrations: schemaMigrations({ migrations: [] }),
    useWebWorker: false,
    useIncrementalIndexedDB: false,
    dbName: `phone-${process.pid}-${Date.now()}`,
    extraLokiOptions: { autosave: false },
  })
  return new Database({ adapter, modelClasses: classes })
}

const now = () => Date.now() + settings.clockOffset

function headers() {
  return { Authorization: `Bearer ${settings.token}`, 'X-Client-Time': String(now()) }
}

async function pullChanges({ lastPulledAt, schemaVersion, migration }) {
  if (settings.skipPull) return { changes: {}, timestamp: lastPulledAt } // overtaken after its pull
  const query = `last_pulled_at=${lastPulledAt}&schema_version=${schemaVersion}&migration=${encodeURIComponent(
    JSON.stringify(migration),
  )}&device_id=${settings.device}`
  const response = await fetch(`${settings.url}/api/v1/sync?${query}`, { headers: headers() })
  const text = await response.text()
  if (!response.ok) throw new Error(`pull ${response.status} ${text}`)
  if (settings.cutPulls > 0) {
    settings.cutPulls -= 1
    JSON.parse(text.slice(0, text.length / 2)) // the line was cut in the middle of the answer
  }
  return JSON.parse(text)
}

async function pushChanges({ changes, lastPulledAt }) {
  const response = await fetch(
    `${settings.url}/api/v1/sync?last_pulled_at=${lastPulledAt}&device_id=${settings.device}`,
    { method: 'POST', headers: headers(), body: JSON.stringify(changes) },
  )
  if (settings.loseAnswers > 0) {
    settings.loseAnswers -= 1
    throw new Error('the answer was lost')
  }
  if (!response.ok) throw new Error(`push ${response.status} ${await response.text()}`)
  return response.json()
}

async function synchronise() {
  const log = {}
  await synchronize({
    database,
    pullChanges,
    pushChanges,
    migrationsEnabledAtVersion: 1,
    sendCreatedAsUpdated: false,
    log,
  })
  return { conflicts: (log.resolvedConflicts || []).length, rejected: log.rejectedIds || null }
}

const operations = {
  async settings({ op, ...given }) {
    Object.assign(settings, given)
  },
  async create({ table, id, values }) {
    await database.write(() =>
      database.get(table).create((record) => {
        record._raw.id = id
        for (const [name, value] of Object.entries({ last_modified_at: now(), ...values }))
          record._setRaw(name, value)
      }),
    )
  },
  async createMany({ table, rows }) {
    await database.write(() =>
      database.batch(
        ...rows.map(({ id, ...values }) =>
          database.get(table).prepareCreate((record) => {
            record._raw.id = id
            for (const [name, value] of Object.entries({ last_modified_at: now(), ...values }))
              record._setRaw(name, value)
          }),
        ),
      ),
    )
  },
  async update({ table, id, values }) {
    const found = await database.get(table).find(id)
    await database.write(() =>
      found.update((record) => {
        for (const [name, value] of Object.entries({ last_modified_at: now(), ...values }))
          record._setRaw(name, value)
      }),
    )
  },
  async delete({ table, id }) {
    const found = await database.get(table).find(id)
    await database.write(() => found.markAsDeleted())
  },
  sync: synchronise,
  async rows({ table }) {
    return (await database.get(table).query().fetch()).map((record) => record._raw)
  },
  async unsynced() {
    return hasUnsyncedChanges({ database })
  },
  async reset() {
    database = open()
  },
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const command = JSON.parse(line)
    let answer
    try {
      answer = { ok: true, value: (await operations[command.op](command)) ?? null }
    } catch (error) {
      answer = { ok: false, error: String(error.message || error) }
    }
    process.stdout.write(`@@${JSON.stringify(answer)}\n`)
  }
}
main()
