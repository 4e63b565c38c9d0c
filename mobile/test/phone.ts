/** Databases for tests: in memory, or on what was left on disk by one before. */
import { Database } from '@nozbe/watermelondb'
import lokijs from '@nozbe/watermelondb/adapters/lokijs/index.js'
import { createRequire } from 'node:module'
import { models } from '../src/dermadetect.js'
import { migrationsOf, schemaOf, type SchemaVersion } from '../src/records/index.js'
import { versions } from '../src/generated/dermadetect.js'

const require = createRequire(import.meta.url)
const LokiJSAdapter = lokijs.default

/** What a LokiJS database keeps between two runs of an app. */
export const disk = () => new (require('lokijs').LokiMemoryAdapter)() as object

// What WatermelonDB tells of its start is not for the reader of a test.
for (const level of ['log', 'warn'] as const) {
  const say = console[level]
  console[level] = (...words: unknown[]) => {
    if (!String(words[0]).includes('🍉')) say(...words)
  }
}

/** A database on `kept`, with the classes of DermaDetect. */
export function openLoki(kept: object = disk(), schema: readonly SchemaVersion[] = versions): Database {
  const adapter = new LokiJSAdapter({
    schema: schemaOf(schema),
    migrations: migrationsOf(schema),
    useWebWorker: false,
    useIncrementalIndexedDB: false,
    dbName: 'phone',
    extraLokiOptions: { autosave: false },
    _testLokiAdapter: kept,
  } as never)
  return new Database({ adapter, modelClasses: models as never })
}

/** Writes a LokiJS database to its disk. */
export function saved(database: Database): Promise<void> {
  const { loki } = (database.adapter.underlyingAdapter as unknown as { _driver: { loki: Loki } })._driver
  return new Promise((done, failed) => loki.saveDatabase((error) => (error ? failed(error) : done())))
}

interface Loki {
  saveDatabase(then: (error?: Error) => void): void
}

/** Whether the native module of the SQLite adapter was built: `npm rebuild better-sqlite3`. */
export function hasSqlite(): boolean {
  try {
    const Native = require('better-sqlite3')
    new Native(':memory:').close()
    return true
  } catch {
    if (process.env['KIT_NEEDS_SQLITE']) throw new Error('better-sqlite3 was not built')
    return false
  }
}

/** A database in a file. */
export function openSqlite(file: string, schema: readonly SchemaVersion[] = versions): Database {
  const SQLiteAdapter = require('@nozbe/watermelondb/adapters/sqlite').default
  const adapter = new SQLiteAdapter({ schema: schemaOf(schema), migrations: migrationsOf(schema), dbName: file })
  return new Database({ adapter, modelClasses: models as never })
}
