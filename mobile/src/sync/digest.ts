import type { Sha256 } from '../ports.js'
import type { Kind, Kinds } from '../records/row.js'

/** A row, as phone and server hold it. */
type Columns = Readonly<Record<string, unknown>>

/** How many rows, and what they hold: equal where both sides hold the same. */
export interface TableDigest {
  readonly count: number
  readonly hash: string
}

/** RFC 8785: the one JSON text of a value. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  const names = Object.keys(value).sort()
  const pairs = names.map((name) => `${JSON.stringify(name)}:${canonical((value as Columns)[name])}`)
  return `{${pairs.join(',')}}`
}

const fromText = (value: unknown): unknown => (typeof value === 'string' ? JSON.parse(value) : value)

/** An empty text is no word, no JSON, no list. */
const READ: Readonly<Record<Kind, (value: unknown) => unknown>> = {
  value: (value) => value,
  word: (value) => (value === '' ? null : value),
  json: (value) => (value === '' ? null : canonical(fromText(value))),
  list: (value) => (value === '' ? null : fromText(value)),
}

/** Whether two values of a column say the same: the server writes JSON in its own order. */
export function isSame(kind: Kind, one: unknown, two: unknown): boolean {
  if (one === two) return true
  const read = (value: unknown) => canonical(value == null ? null : READ[kind](value))
  try {
    return read(one) === read(two)
  } catch {
    return false // written past the repository: no JSON
  }
}

/** What is hashed of a record: the columns that phones own, without nulls and times. */
export function content(row: Columns, kinds: Kinds): string {
  const fields: Record<string, unknown> = {}
  for (const [column, kind] of Object.entries(kinds)) {
    const value = row[column] == null ? null : READ[kind](row[column])
    if (value !== null) fields[column] = value
  }
  return canonical({ deleted: false, fields, id: row['id'], scope: row['scope_id'] })
}

/** The digest of a table's rows: the exclusive or of all their hashes, so their order does not matter. */
export function tableDigest(rows: readonly Columns[], kinds: Kinds, sha256: Sha256): TableDigest {
  const mixed = new Uint32Array(8)
  for (const row of rows) {
    const hash = sha256(content(row, kinds))
    for (let at = 0; at < 8; at++) mixed[at]! ^= parseInt(hash.slice(8 * at, 8 * at + 8), 16)
  }
  return { count: rows.length, hash: [...mixed].map((word) => word.toString(16).padStart(8, '0')).join('') }
}
