// A family's phones with stock WatermelonDB and the client code of its documentation, through random days.
//
// Called with the folder of the packages; the plan comes on standard input: where the server is, the schema's
// tables, who has a phone and with which token, which columns are edited, a seed. At the end every phone has
// synced three times, and what each holds is printed as JSON.
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

const require = createRequire(join(process.argv[2], 'package.json'))
const { Database, Model, appSchema, tableSchema } = require('@nozbe/watermelondb')
const { synchronize } = require('@nozbe/watermelondb/sync')
const LokiJSAdapter = require('@nozbe/watermelondb/adapters/lokijs').default

const plan = JSON.parse(await text(process.stdin))
const schema = appSchema({ version: 1, tables: plan.tables.map(tableSchema) })

let state = plan.seed
const random = () => (state = (state * 48271) % 2147483647) / 2147483647
const one = (things) => things[Math.floor(random() * things.length)]

function phone({ user, token, writes }) {
  const modelClasses = plan.tables.map(({ name }) => class extends Model { static table = name })
  const adapter = new LokiJSAdapter({
    schema,
    dbName: `${user}-${process.pid}`,
    useWebWorker: false,
    useIncrementalIndexedDB: false,
    extraLokiOptions: { autosave: false },
  })
  return { user, token, writes, database: new Database({ adapter, modelClasses }) }
}

async function ask({ user, token }, query, body) {
  const address = `${plan.url}/api/v1/sync?${query}&device_id=${user}-phone`
  const options = { headers: { authorization: `Bearer ${token}` } }
  const response = await fetch(address, body ? { ...options, method: 'POST', body: JSON.stringify(body) } : options)
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)
  return response.json()
}

async function sync(mine, tries = 6) {
  try {
    await synchronize({
      database: mine.database,
      pullChanges: async ({ lastPulledAt, schemaVersion, migration }) => {
        const asked = `last_pulled_at=${lastPulledAt}&schema_version=${schemaVersion}&migration=${migration}`
        const { changes, timestamp } = await ask(mine, asked)
        return { changes, timestamp }
      },
      pushChanges: async ({ changes, lastPulledAt }) => ask(mine, `last_pulled_at=${lastPulledAt}`, changes),
    })
  } catch (error) {
    if (tries === 1 || !String(error).includes('409')) throw error
    await sync(mine, tries - 1) // somebody else was first: pull, then push again
  }
}

async function step(mine, number) {
  const what = mine.writes ? one(['create', 'create', 'edit', 'edit', 'delete', 'sync', 'sync']) : 'sync'
  const table = one(Object.keys(plan.columns))
  const collection = mine.database.get(table)
  const set = (record, values) => {
    for (const [name, value] of Object.entries(values)) record._setRaw(name, value)
    record._setRaw('last_modified_at', Date.now())
  }
  const some = Object.fromEntries(Object.entries(plan.columns[table]).map(([name, values]) => [name, one(values)]))
  if (what === 'sync') return sync(mine)
  await mine.database.write(async () => {
    const here = await collection.query().fetch()
    if (what === 'create') {
      const values = { ...some, ...plan.needed[table] }
      if (plan.parents[table]) {
        const [column, parent] = plan.parents[table]
        const parents = await mine.database.get(parent).query().fetch()
        if (!parents.length) return
        values[column] = one(parents).id
      }
      await collection.create((record) => {
        record._raw.id = `${table}-${number}`
        set(record, values)
      })
    } else if (here.length && what === 'edit') {
      await one(here).update((record) => set(record, some))
    } else if (here.length && random() < 0.4) {
      await one(here).markAsDeleted()
    }
  })
}

const phones = plan.people.map(phone)
for (let number = 0; number < plan.steps; number++) await step(one(phones), number)
for (let round = 0; round < 3; round++) for (const each of phones) await sync(each)

const held = {}
for (const { user, database } of phones) {
  held[user] = {}
  for (const table of Object.keys(plan.columns)) {
    const records = await database.get(table).query().fetch()
    held[user][table] = Object.fromEntries(records.map(({ id, _raw }) => [id, _raw]))
  }
}
console.log(JSON.stringify(held))
process.exit(0)
