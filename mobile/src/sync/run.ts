import { Q } from '@nozbe/watermelondb'
import { hasUnsyncedChanges, synchronize, type SyncArgs } from '@nozbe/watermelondb/sync/index.js'
import { getLastPulledAt } from '@nozbe/watermelondb/sync/impl/index.js'
import { gateOf } from '../records/gate.js'
import { forgetBases } from './conflicts.js'
import { tableDigest, type TableDigest } from './digest.js'
import { advice, Refused } from './errors.js'
import { sendKept } from './kept.js'
import { writable, type Changes, type Phone } from './phone.js'
import { forgetPull, mayBeTurbo, piecesOf, pullChanges, pullUnparsed, takePages, type PullAnswer } from './pull.js'
import { pushChanges, type Pushed } from './push.js'
import { forgetTaken, settle } from './refused.js'

/** What a sync moved, in records. */
export interface Moved {
  readonly received: number
  readonly sent: number
  readonly refused: number
}

/** Rounds of one sync, and pushes that others may overtake, before it gives up for now. */
const MOST_ROUNDS = 5
const MOST_OVERTAKEN = 2

/**
 * Pulls and pushes until both are done, with WatermelonDB's own `synchronize()`. Throws as `Server` does; everything
 * unsent stays unsent then. `whole` gets everything anew, as a repair.
 */
export async function synchronizeNow(phone: Phone, { whole = false } = {}): Promise<Moved> {
  let moved: Moved = { received: 0, sent: 0, refused: 0 }
  for (let overtaken = 0, round = 1; ; ) {
    let result
    try {
      result = await oneRound(phone, whole)
    } catch (error) {
      if (!(error instanceof Refused && error.status === 409) || overtaken++ === MOST_OVERTAKEN) throw error
      continue // somebody was faster: pull, merge and push again
    }
    moved = {
      received: moved.received + result.received,
      sent: moved.sent + result.sent,
      refused: result.refused,
    }
    whole = false
    if (!result.again || round++ === MOST_ROUNDS) return moved
  }
}

async function oneRound(phone: Phone, whole: boolean): Promise<Moved & { again: boolean }> {
  const { database, contents } = phone
  const gate = gateOf(database)
  const pushed: Pushed = { said: [], sent: [] }
  let pulled: Partial<PullAnswer> = {}
  let received = 0
  const turbo = !whole && (await mayBeTurbo(phone))
  const parts: SyncArgs = {
    database,
    unsafeTurbo: turbo,
    pullChanges: async (asked) => {
      if (turbo) return pullUnparsed(phone, asked)
      const answer = await pullChanges(phone, asked, whole)
      received = count(answer.changes)
      return answer
    },
    pushChanges: ({ changes, lastPulledAt }) =>
      pushChanges(phone, changes as Changes, lastPulledAt, pushed),
    onDidPullChanges: async (rest) => {
      pulled = rest
      gate.open()
    },
    // What only the server writes is as the server has it, also where the phone made the row ahead of it.
    conflictResolver: (table, _local, remote, resolved) =>
      Object.keys(contents[table] ?? {}).length > 0
        ? resolved
        : { ...resolved, ...remote, _status: 'synced', _changed: '' },
    migrationsEnabledAtVersion: 1,
    sendCreatedAsUpdated: true,
  }
  try {
    await synchronize(parts)
  } catch (error) {
    // What the native code cannot take comes in pages.
    if (turbo && advice(error, 0).next === 'report' && !(error instanceof Refused)) {
      await takePages(phone)
      return { received, sent: 0, refused: 0, again: true }
    }
    throw error
  } finally {
    gate.open()
  }
  if (turbo) received = await rowsOf(database)
  await forgetPull(database)
  await settle(phone, pushed.said)
  await forgetTaken(phone, pushed.sent, pushed.said)
  await forgetBases(phone)
  const stored = await sendKept(phone)
  const again = Boolean(pulled.sync_again) || stored
  return { received, sent: pushed.sent.length - pushed.said.length, refused: pushed.said.length, again }
}

async function rowsOf(database: Phone['database']): Promise<number> {
  const tables = Object.keys(database.schema.tables)
  const counts = await Promise.all(tables.map((table) => database.get(table).query().fetchCount()))
  return counts.reduce((sum, each) => sum + each, 0)
}

const count = (changes: Changes): number =>
  Object.values(changes).reduce((sum, { created, updated, deleted }) => sum + created.length + updated.length + deleted.length, 0)

/** How a phone compares with the server. Only `different` is a reason to repair. */
export interface Comparison {
  readonly state: 'equal' | 'different' | 'unsent' | 'behind'
  /** The tables that differ. */
  readonly tables: readonly string[]
}

/** Compares the phone with the server's digest. */
export async function check(phone: Phone): Promise<Comparison> {
  const { database, contents, server, sha256 } = phone
  if (await hasUnsyncedChanges({ database })) return { state: 'unsent', tables: [] }
  const since = await getLastPulledAt(database)
  if (since === null || (await piecesOf(database)) > 0) return { state: 'behind', tables: [] }
  const theirs = await server.json<{ current: boolean; tables: Record<string, TableDigest> }>(
    `/api/v1/sync/digest?last_pulled_at=${since}`,
  )
  if (!theirs.current) return { state: 'behind', tables: [] } // sync, then ask again
  const tables: string[] = []
  for (const [table, digest] of Object.entries(theirs.tables)) {
    const rows = contents[table] ? await database.get(table).query().unsafeFetchRaw() : []
    const mine = tableDigest(rows as never, contents[table] ?? {}, sha256)
    if (mine.count !== digest.count || mine.hash !== digest.hash) tables.push(table)
  }
  if (await hasUnsyncedChanges({ database })) return { state: 'unsent', tables: [] }
  return { state: tables.length === 0 ? 'equal' : 'different', tables }
}

/** Compares; what differs is replaced, then compared again. Unsent edits stay. */
export async function verify(phone: Phone): Promise<Comparison> {
  let found = await check(phone)
  for (let round = 0; round < 3 && !['equal', 'unsent'].includes(found.state); round++) {
    await synchronizeNow(phone, { whole: found.state === 'different' })
    found = await check(phone)
  }
  if (found.state === 'equal') await phone.database.localStorage.remove('in_doubt')
  return found
}

/** How many records wait to be sent, of the tables that phones write. */
export async function unsentOf({ database, contents }: Pick<Phone, 'database' | 'contents'>): Promise<number> {
  let unsent = 0
  for (const table of writable(contents)) {
    unsent += await database.get(table).query(Q.where('_status', Q.notEq('synced'))).fetchCount()
    unsent += (await database.adapter.getDeletedRecords(table)).length
  }
  return unsent
}
