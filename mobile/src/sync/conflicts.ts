import { Q, type Database } from '@nozbe/watermelondb'
import type { Json } from '../ports.js'
import { basesOf } from '../records/repository.js'
import { rawOf, type Kinds } from '../records/row.js'
import { placeOf, shelfOf } from '../records/shelf.js'
import { isSame } from './digest.js'
import { writable, type Changes, type Phone } from './phone.js'

/** A column that two phones changed. */
export interface Disagreement {
  readonly mine: unknown
  readonly theirs: unknown
}

/** A record that somebody else changed in a column that was changed here, too. The phone's value stands. */
export interface Conflict {
  readonly table: string
  readonly id: string
  readonly columns: Readonly<Record<string, Disagreement>>
  /** When it was noticed, by the phone's clock, ms. */
  readonly at: number
}

/** So many are kept; the oldest goes first. */
const MOST = 200

/** Conflicts that nobody has looked at. */
export const conflictsOf = (database: Database) => shelfOf<Conflict>(database, 'kit/conflicts')

/** The user has decided: the phone's values stay as they are, or a repository has written the others. */
export function settleConflict(database: Database, { table, id }: Pick<Conflict, 'table' | 'id'>): Promise<void> {
  return conflictsOf(database).change((kept) => {
    delete kept[placeOf(table, id)]
  })
}

/** The others' values of some columns, as apps write them. */
export function theirsOf({ columns }: Conflict, names: readonly string[], kinds: Kinds): Record<string, Json> {
  const entries = names.flatMap((name): [string, Json][] => {
    const value = (columns[name]?.theirs ?? null) as Json
    const text = (kinds[name] === 'json' || kinds[name] === 'list') && typeof value === 'string' && value !== ''
    return name in columns ? [[name, text ? (JSON.parse(value) as Json) : value]] : []
  })
  return Object.fromEntries(entries)
}

/**
 * Notes which unsent edits a pull disagrees with, before it is applied. WatermelonDB lays the phone's changed columns
 * over the pulled row. A pulled value that is what the phone saw before its edit, or what it wrote, is no conflict.
 */
export async function noteConflicts({ database, contents, clock }: Phone, changes: Changes): Promise<void> {
  const bases = await basesOf(database).all()
  const found: Conflict[] = []
  for (const table of writable(contents)) {
    const rows = new Map([...(changes[table]?.created ?? []), ...(changes[table]?.updated ?? [])].map((row) => [row.id, row]))
    if (rows.size === 0) continue
    for (const record of await database.get(table).query(Q.where('_status', 'updated')).fetch()) {
      const [row, raw, base] = [rows.get(record.id), rawOf(record), bases[placeOf(table, record.id)]]
      if (!row || !base) continue
      const columns: Record<string, Disagreement> = {}
      for (const column of raw._changed.split(',')) {
        const kind = contents[table]?.[column]
        if (!kind || !(column in base && column in row)) continue
        if (isSame(kind, row[column], base[column]) || isSame(kind, row[column], raw[column])) continue
        columns[column] = { mine: raw[column], theirs: row[column] }
      }
      if (Object.keys(columns).length > 0) found.push({ table, id: record.id, columns, at: clock.now() })
    }
  }
  if (found.length === 0) return
  await conflictsOf(database).change((kept) => {
    for (const conflict of found) kept[placeOf(conflict.table, conflict.id)] = conflict
    const oldest = Object.entries(kept).sort(([, one], [, two]) => one.at - two.at)
    for (const [place] of oldest.slice(0, Math.max(0, oldest.length - MOST))) delete kept[place]
  })
}

/** What was sent is what the server has: the next edit begins from there. No edit falls in between. */
export async function forgetBases({ database }: Phone): Promise<void> {
  await database.read(async () => {
    const places = Object.keys(await basesOf(database).all())
    if (places.length === 0) return
    const dirty = new Set<string>()
    for (const table of new Set(places.map((place) => place.slice(0, place.indexOf('/')))))
      for (const record of await database.get(table).query(Q.where('_status', 'updated')).fetch())
        dirty.add(placeOf(table, record.id))
    await basesOf(database).change((kept) => {
      for (const place of places) if (!dirty.has(place)) delete kept[place]
    })
  }, 'forget bases of the kit')
}
