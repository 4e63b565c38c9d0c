import { Q, type Database } from '@nozbe/watermelondb'
import { rawOf, type Raw } from '../records/row.js'
import { placeOf, shelfOf } from '../records/shelf.js'
import type { Phone, Rejection, WireRow } from './phone.js'

/** A record that the server did not take, with what it said. It is shown until it is taken, or put away. */
export interface RefusedRecord extends Rejection {
  /** The record as it was sent. */
  readonly row: WireRow | null
  /** Whether it is still on this phone, to be mended and sent again. */
  readonly kept: boolean
}

/** Codes after which the phone must let go of a record; what it said is kept on the server. */
const LET_GO = ['deleted', 'moved']

/** What was refused and waits for somebody to look at it. */
export const refusedOf = (database: Database) => shelfOf<RefusedRecord>(database, 'kit/refused')

/** The user has read of a refused record. One that is still on the phone is shown again after the next sync. */
export function putAway(database: Database, { table, id }: Pick<Rejection, 'table' | 'id'>): Promise<void> {
  return refusedOf(database).change((kept) => {
    delete kept[placeOf(table, id)]
  })
}

/** Keeps and shows what was refused; drops what is not the phone's any more, unless it was edited meanwhile. */
export async function settle({ database }: Phone, said: readonly (Rejection & { row: WireRow | null })[]): Promise<void> {
  for (const { row, ...entry } of said) {
    const letGo = LET_GO.includes(entry.code)
    await refusedOf(database).change((kept) => {
      kept[placeOf(entry.table, entry.id)] = { ...entry, row, kept: !letGo }
    })
    if (!letGo || !row) continue
    await database.write(async () => {
      const [found] = await database.get(entry.table).query(Q.where('id', entry.id)).fetch()
      if (found && isSame(rawOf(found), row)) await found.destroyPermanently()
    })
  }
}

/** What is taken by now is no longer shown as refused. `sent` has gone out, and `said` came back. */
export function forgetTaken(
  { database }: Phone,
  sent: readonly { table: string; id: string }[],
  said: readonly Rejection[],
): Promise<void> {
  const still = new Set(said.map(({ table, id }) => placeOf(table, id)))
  return refusedOf(database).change((kept) => {
    for (const { table, id } of sent) if (!still.has(placeOf(table, id))) delete kept[placeOf(table, id)]
  })
}

function isSame(raw: Raw, row: WireRow): boolean {
  return Object.keys(raw).every((column) => raw[column] === row[column])
}
