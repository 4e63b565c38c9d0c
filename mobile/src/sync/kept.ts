/** Edits that a pull would destroy, and records that a server lost: both are offered to the server. */
import { Q, type Database } from '@nozbe/watermelondb'
import { getLastPulledAt } from '@nozbe/watermelondb/sync/impl/index.js'
import { rawOf, type Raw } from '../records/row.js'
import { placeOf, shelfOf } from '../records/shelf.js'
import { deviceId, writable, type Changes, type Phone, type Rejection, type WireRow } from './phone.js'
import { refusedOf } from './refused.js'
import type { PullAnswer } from './pull.js'

/** An unsent edit of a record that the phone no longer has. */
interface KeptEdit {
  readonly table: string
  readonly row: Raw
}

const editsOf = (database: Database) => shelfOf<KeptEdit>(database, 'kit/kept_edits')

/** Keeps a copy of unpushed edits that the phone is about to drop with this answer. */
export async function keepEdits({ database, contents }: Phone, { changes, experimentalStrategy }: PullAnswer): Promise<void> {
  const dropped: KeptEdit[] = []
  const whole = experimentalStrategy === 'replacement'
  for (const table of writable(contents)) {
    const sets = changes[table] ?? { created: [], updated: [], deleted: [] }
    if (!whole && sets.deleted.length === 0) continue
    const gone = new Set(sets.deleted)
    const sent = new Set([...sets.created, ...sets.updated].map(({ id }) => id))
    const dirty = Q.where('_status', Q.oneOf(['created', 'updated']))
    for (const record of await database.get(table).query(dirty).fetch()) {
      const row = rawOf(record)
      if (gone.has(row.id) || (whole && row._status === 'updated' && !sent.has(row.id)))
        dropped.push({ table, row: { ...row } })
    }
  }
  if (dropped.length === 0) return
  await editsOf(database).change((kept) => {
    for (const edit of dropped) kept[placeOf(edit.table, edit.row.id)] = edit
  })
}

/** Hands the kept edits to the server, once. True if some were stored: the next pull brings them. */
export async function sendKept(phone: Phone): Promise<boolean> {
  const { database, server } = phone
  const kept = Object.values(await editsOf(database).all())
  if (kept.length === 0) return false
  const changes: Changes = {}
  for (const edit of kept) {
    if (await laidOver(phone, edit)) continue
    changes[edit.table] ??= { created: [], updated: [], deleted: [] }
    changes[edit.table]!.updated.push(edit.row as WireRow)
  }
  let refused: Rejection[] = []
  if (Object.keys(changes).length > 0) {
    // The receipt is not kept: should the server store a row, then this phone must get it back.
    const query = `last_pulled_at=${await getLastPulledAt(database)}&device_id=${await deviceId(phone)}`
    const path = `/api/v1/sync?${query}`
    const answer = await server.json<{ rejected?: Rejection[] }>(path, { body: JSON.stringify(changes) })
    refused = answer.rejected ?? []
  }
  for (const { table, row } of kept) {
    const entry = refused.find((one) => one.table === table && one.id === row.id)
    if (entry)
      await refusedOf(database).change((shown) => {
        shown[placeOf(table, row.id)] = { ...entry, row: row as WireRow, kept: false }
      })
  }
  await editsOf(database).change((now) => {
    for (const { table, row } of kept) delete now[placeOf(table, row.id)]
  })
  return refused.length < kept.length
}

/** Lays an edit over its record, if that has come back meanwhile: it is an edit of it again. */
async function laidOver({ database, contents, clock }: Phone, { table, row }: KeptEdit): Promise<boolean> {
  const [back] = await database.get(table).query(Q.where('id', row.id)).fetch()
  if (!back) return false
  const changed = row._changed.split(',').filter((column) => column in contents[table]!)
  await database.write(() =>
    back.update(() => {
      for (const column of changed) back._setRaw(column, row[column] as string)
      back._setRaw('last_modified_at', clock.now())
    }),
  )
  return true
}

/** After a restore of the server: marks what it lost as unsent. `changes` is all that it holds. */
export async function offerAgain({ database, contents }: Phone, changes: Changes): Promise<void> {
  for (const table of writable(contents)) {
    const { created = [], updated = [] } = changes[table] ?? {}
    const theirs = new Map([...created, ...updated].map((row) => [row.id, row]))
    const synced = await database.get(table).query(Q.where('_status', 'synced')).fetch()
    const lost = synced.filter((record) => {
      const row = theirs.get(record.id)
      return !row || Number(row['last_modified_at']) < Number(rawOf(record)['last_modified_at'])
    })
    const columns = [...Object.keys(contents[table]!), 'last_modified_at'].join(',')
    // A copy is offered, nobody edited it: the later one stands.
    const marked = lost.map((record) =>
      record.prepareUpdate(() => Object.assign(record._raw, { _status: 'created', _changed: columns })),
    )
    await database.write(() => database.batch(marked))
  }
}
