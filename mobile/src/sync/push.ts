import type { Database } from '@nozbe/watermelondb'
import { Refused } from './errors.js'
import { tableDigest, type TableDigest } from './digest.js'
import { deviceId, writable, type Changes, type Phone, type Rejection, type WireRow } from './phone.js'

/** A push's answer. */
interface PushAnswer {
  experimentalRejectedIds?: Record<string, string[]>
  rejected?: Rejection[]
  receipt: { id: string; digest: Record<string, TableDigest> }
}

/** What pushes of one sync sent, and what the server said of records that it did not take. */
export interface Pushed {
  readonly said: (Rejection & { row: WireRow | null })[]
  readonly sent: { table: string; id: string }[]
}

const receipts = new WeakMap<Database, { id: string }>()

/** The receipt of a database's last push. In memory only: a phone that was set back to a backup has none. */
export function receiptOf(database: Database): { id: string } {
  let receipt = receipts.get(database)
  if (!receipt) receipts.set(database, (receipt = { id: '' }))
  return receipt
}

/** For `synchronize()`. Returns its answer, and notes in `pushed` what went out and what was not taken. */
export async function pushChanges(
  phone: Phone,
  changes: Changes,
  lastPulledAt: number | null,
  pushed: Pushed,
): Promise<{ experimentalRejectedIds: Record<string, string[]> }> {
  const path = `/api/v1/sync?last_pulled_at=${lastPulledAt}&device_id=${await deviceId(phone)}`
  const rejectedIds: Record<string, string[]> = {}
  const send = async (part: Changes): Promise<void> => {
    let answer
    try {
      answer = await phone.server.json<PushAnswer>(path, { body: JSON.stringify(part) })
    } catch (error) {
      const halves = error instanceof Refused && error.status === 413 ? halved(phone, part) : null
      if (!halves) throw error
      for (const half of halves) await send(half)
      return
    }
    for (const [table, ids] of Object.entries(answer.experimentalRejectedIds ?? {}))
      rejectedIds[table] = [...(rejectedIds[table] ?? []), ...ids]
    for (const entry of answer.rejected ?? []) {
      const { created = [], updated = [] } = part[entry.table] ?? {}
      const row = [...created, ...updated].find(({ id }) => id === entry.id)
      pushed.said.push({ ...entry, row: row ? { ...row } : null })
    }
    for (const [table, { created, updated }] of Object.entries(part))
      for (const { id } of [...created, ...updated]) pushed.sent.push({ table, id })
    if (!delivered(phone, part, answer)) await phone.database.localStorage.set('in_doubt', true)
    receiptOf(phone.database).id = answer.receipt.id
  }
  const mine = Object.fromEntries(writable(phone.contents).flatMap((table) => (changes[table] ? [[table, changes[table]]] : [])))
  if (Object.values(mine).some(({ created, updated, deleted }) => created.length + updated.length + deleted.length > 0))
    await send(mine)
  return { experimentalRejectedIds: { ...rejectedIds, ...waiting(phone, changes, rejectedIds) } }
}

/** Rows of the server's tables that the phone made ahead of it, of records that were refused: they wait with them. */
function waiting({ contents }: Phone, changes: Changes, rejectedIds: Record<string, string[]>) {
  const refused = new Set(Object.values(rejectedIds).flat())
  const kept: Record<string, string[]> = {}
  for (const [table, { created }] of Object.entries(changes)) {
    if (Object.keys(contents[table] ?? {}).length > 0) continue
    const rows = created.filter((row) => Object.values(row).some((value) => refused.has(value as string)))
    if (rows.length > 0) kept[table] = rows.map(({ id }) => id)
  }
  return kept
}

/** Two halves of a push that is too large, parents before children; null if it is one record. */
function halved({ contents }: Phone, changes: Changes): [Changes, Changes] | null {
  const tables = Object.keys(contents).filter((table) => changes[table])
  const list: [string, 'created' | 'updated' | 'deleted', WireRow | string][] = []
  for (const table of tables)
    for (const kind of ['created', 'updated'] as const)
      for (const row of changes[table]![kind]) list.push([table, kind, row])
  for (const table of tables) for (const id of changes[table]!.deleted) list.push([table, 'deleted', id])
  if (list.length < 2) return null
  const middle = Math.ceil(list.length / 2)
  const built = (part: typeof list): Changes => {
    const half: Changes = {}
    for (const [table, kind, row] of part) {
      half[table] ??= { created: [], updated: [], deleted: [] }
      ;(half[table][kind] as unknown[]).push(row)
    }
    return half
  }
  return [built(list.slice(0, middle)), built(list.slice(middle))]
}

/** Whether the receipt's digest says that the server holds what was sent. */
function delivered({ contents, sha256 }: Phone, changes: Changes, answer: PushAnswer): boolean {
  const { receipt, experimentalRejectedIds = {} } = answer
  return Object.entries(changes).every(([table, { created, updated }]) => {
    const refused = new Set(experimentalRejectedIds[table])
    const rows = [...created, ...updated].filter((row) => !refused.has(row.id))
    if (rows.some((row) => !row['scope_id'])) return true // cannot be told
    const mine = tableDigest(rows, contents[table]!, sha256)
    const theirs = receipt.digest[table] ?? { count: 0, hash: mine.hash }
    return mine.count === theirs.count && mine.hash === theirs.hash
  })
}
