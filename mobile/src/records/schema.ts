import { appSchema, tableSchema } from '@nozbe/watermelondb'
import {
  addColumns,
  createTable,
  schemaMigrations,
  type MigrationStep,
} from '@nozbe/watermelondb/Schema/migrations/index.js'

/** A column, as WatermelonDB's `tableSchema` takes it. */
export interface ColumnSpec {
  readonly name: string
  readonly type: 'string' | 'number' | 'boolean'
  readonly isOptional?: boolean
  readonly isIndexed?: boolean
}

/** A table of one version. */
export interface TableSpec {
  readonly name: string
  readonly columns: readonly ColumnSpec[]
}

/** The tables that apps of one schema version have. */
export interface SchemaVersion {
  readonly version: number
  readonly tables: readonly TableSpec[]
}

const copied = ({ name, columns }: TableSpec) => ({ name, columns: columns.map((each) => ({ ...each })) })

/** For the adapter: the schema of the newest version. */
export function schemaOf(versions: readonly SchemaVersion[]) {
  const last = versions.at(-1)
  if (!last) throw new TypeError('a schema needs a version')
  return appSchema({ version: last.version, tables: last.tables.map((table) => tableSchema(copied(table))) })
}

/**
 * For the adapter: how a phone of any earlier version gets to the newest one. Made of what the versions say; nothing is
 * written by hand. Throws a `TypeError` if a version takes a column away or changes it, which phones cannot do.
 */
export function migrationsOf(versions: readonly SchemaVersion[]) {
  const migrations = versions.slice(1).map((after, at) => {
    const before = versions[at]!
    if (after.version !== before.version + 1) throw new TypeError(`version ${before.version + 1} is missing`)
    return { toVersion: after.version, steps: stepsBetween(before, after) }
  })
  return schemaMigrations({ migrations })
}

function stepsBetween(before: SchemaVersion, after: SchemaVersion): MigrationStep[] {
  const had = new Map(before.tables.map((table) => [table.name, table]))
  for (const { name } of before.tables)
    if (!after.tables.some((table) => table.name === name))
      throw new TypeError(`version ${after.version} has lost the table ${name}`)
  return after.tables.flatMap((table): MigrationStep[] => {
    const known = had.get(table.name)
    if (!known) return [createTable(copied(table))]
    const columns = added(known, table, after.version)
    return columns.length > 0 ? [addColumns({ table: table.name, columns })] : []
  })
}

function added(before: TableSpec, after: TableSpec, version: number): ColumnSpec[] {
  const now = new Map(after.columns.map((column) => [column.name, column]))
  for (const old of before.columns) {
    const same = now.get(old.name)
    if (same?.type !== old.type || Boolean(same.isOptional) !== Boolean(old.isOptional))
      throw new TypeError(`version ${version} changes the column ${after.name}.${old.name}`)
    now.delete(old.name)
  }
  return [...now.values()].map((column) => ({ ...column }))
}
