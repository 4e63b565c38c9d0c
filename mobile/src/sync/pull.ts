import type { Database } from '@nozbe/watermelondb'
import { fetchLocalChanges, getLastPulledAt, markLocalChangesAsSynced } from '@nozbe/watermelondb/sync/impl/index.js'
import { gateOf } from '../records/gate.js'
import { rawOf } from '../records/row.js'
import { noteConflicts } from './conflicts.js'
import { Refused, Unreachable } from './errors.js'
import { keepEdits, offerAgain } from './kept.js'
import { fewerRows, moreRows, MOST_ROWS } from './pages.js'
import { deviceId, type Changes, type ChangeSet, type Phone } from './phone.js'
import { pushChanges, receiptOf, type Pushed } from './push.js'
import { settle } from './refused.js'
import { parsed } from './server.js'

/** A pull's answer. */
export interface PullAnswer {
  changes: Changes
  timestamp: number
  has_more?: boolean
  next_page?: string
  sync_again?: boolean
  resync?: string
  experimentalStrategy?: string
}

/** What `synchronize()` asks of a pull. */
export interface PullAsked {
  lastPulledAt?: number | null
  schemaVersion: number
  migration: unknown
}

/** Longest text in one value of the local storage: Android reads values of up to 2 MB. */
const LONGEST_PIECE = 500_000

/** Pages that may break off in a row before the pull gives up for now. */
const MOST_BREAKS = 3

/** What is kept of a pull whose pages are not all here. */
interface Kept {
  query?: string
  pieces: number
  next?: string | null
}

const keptPull = async (database: Database): Promise<Kept> =>
  (await database.localStorage.get<Kept>('pull')) ?? { pieces: 0 }

/** How many pieces of an unfinished pull are kept: more than before means that something came through. */
export const piecesOf = async (database: Database): Promise<number> => (await keptPull(database)).pieces

async function queryOf(phone: Phone, { lastPulledAt, schemaVersion, migration }: PullAsked, whole = false): Promise<string> {
  return [
    `last_pulled_at=${lastPulledAt}`,
    `schema_version=${schemaVersion}`,
    `migration=${encodeURIComponent(JSON.stringify(migration))}`,
    'created_as_updated=1',
    ...(whole ? ['strategy=replacement'] : []),
    `device_id=${await deviceId(phone)}`,
  ].join('&')
}

/** For `synchronize()`. `whole`: everything anew, as a repair. Edits wait from its end until the answer is applied. */
export async function pullChanges(phone: Phone, asked: PullAsked, whole: boolean): Promise<PullAnswer> {
  const { database } = phone
  const answer = await gather(phone, await queryOf(phone, asked, whole), asked.lastPulledAt ?? null, whole)
  receiptOf(database).id = ''
  gateOf(database).shut() // `synchronizeNow` opens it, whatever happens
  if (answer.resync === 'upload_first') await offerAgain(phone, answer.changes)
  await keepEdits(phone, answer)
  await noteConflicts(phone, answer.changes)
  return answer // as it came: with experimentalStrategy, resync and sync_again
}

/**
 * Whether this sync may go unparsed into the database: the first one, into empty tables, on a line that has brought all it
 * was asked for so far.
 */
export async function mayBeTurbo({ database, turbo }: Phone): Promise<boolean> {
  if (!turbo || (await getLastPulledAt(database)) !== null || (await database.localStorage.get('page_rows'))) return false
  for (const table of Object.keys(database.schema.tables)) if ((await database.get(table).query().fetchCount()) > 0) return false
  return true
}

/** The next sync takes pages. */
export const takePages = ({ database }: Phone): Promise<void> => database.localStorage.set('page_rows', fewerRows(null))

/** The text of a first answer, for `unsafeTurbo`. If it breaks off, the next attempt takes pages. */
export async function pullUnparsed(phone: Phone, asked: PullAsked): Promise<{ syncJson: string }> {
  try {
    const syncJson = await phone.server.text(`/api/v1/sync?${await queryOf(phone, asked)}`)
    // Behind some proxies a connection that breaks looks like the end of the answer.
    if (!/"timestamp":\d+}$/.test(syncJson.slice(-40))) throw new Unreachable('the answer was cut short')
    gateOf(phone.database).shut()
    return { syncJson }
  } catch (error) {
    if (error instanceof Unreachable) await takePages(phone)
    throw error
  }
}

/** All pages of a pull, as one answer. A page that is here is not asked for again, also after the app was killed. */
async function gather(phone: Phone, query: string, lastPulledAt: number | null, whole: boolean): Promise<PullAnswer> {
  const { database, server } = phone
  const { localStorage } = database
  let kept = await keptPull(database)
  if (kept.query !== query) {
    await forgetPull(database)
    kept = { query, pieces: 0, next: null }
  }
  const refused = new Set<string>()
  for (let breaks = 0; kept.pieces === 0 || kept.next; ) {
    const rows = await localStorage.get<number>('page_rows')
    if (!whole && (kept.next || rows)) await pushAhead(phone, lastPulledAt, refused)
    const receipt = lastPulledAt && !whole ? receiptOf(database).id : ''
    let path = `/api/v1/sync?${query}&limit=${rows || MOST_ROWS}`
    if (kept.next) path += `&page=${encodeURIComponent(kept.next)}`
    else if (receipt) path += `&receipt=${encodeURIComponent(receipt)}`
    let text, answer
    try {
      text = await server.text(path)
      answer = parsed<PullAnswer>(text)
    } catch (error) {
      if (error instanceof Refused && ['page_expired', 'invalid_cursor'].includes(error.code))
        await forgetPull(database)
      if (!(error instanceof Unreachable)) throw error
      await localStorage.set('page_rows', fewerRows(rows))
      breaks += 1
      if (kept.pieces === 0 || breaks > MOST_BREAKS) throw error
      continue
    }
    breaks = 0
    if (rows) await localStorage.set('page_rows', moreRows(rows))
    if (kept.pieces === 0 && !answer.has_more) return answer
    // Deletions that are held back set the timestamp, which pages do not know: in one go, then.
    if (kept.pieces === 0 && answer.sync_again) return server.json<PullAnswer>(`/api/v1/sync?${query}`)
    let { pieces } = kept
    text += '\n'
    for (let at = 0; at < text.length; at += LONGEST_PIECE)
      await localStorage.set(`pull/${pieces++}`, text.slice(at, at + LONGEST_PIECE))
    kept = { query, pieces, next: answer.next_page ?? null }
    await localStorage.set('pull', kept)
  }
  return together(database, kept.pieces)
}

/** The kept pages as one answer: each id once, as the last page that names it has it. */
async function together(database: Database, pieces: number): Promise<PullAnswer> {
  let text = ''
  for (let at = 0; at < pieces; at++) text += await database.localStorage.get<string>(`pull/${at}`)
  const found: Record<string, Map<string, ChangeSet['updated'][number] | null>> = {}
  const whole = { changes: {} } as PullAnswer
  for (const line of text.trimEnd().split('\n')) {
    const { changes, has_more: _more, next_page: _next, ...rest } = JSON.parse(line) as PullAnswer
    Object.assign(whole, rest)
    for (const [table, { created, updated, deleted }] of Object.entries(changes)) {
      const rows = (found[table] ??= new Map())
      for (const row of [...created, ...updated]) rows.set(row.id, row)
      for (const id of deleted) rows.set(id, null)
    }
  }
  for (const [table, rows] of Object.entries(found)) {
    const set: ChangeSet = { created: [], updated: [], deleted: [] }
    for (const [id, row] of rows) row ? set.updated.push(row) : set.deleted.push(id)
    whole.changes[table] = set
  }
  return whole
}

/** The kept pages are not needed any more. */
export async function forgetPull({ localStorage }: Database): Promise<void> {
  const kept = await localStorage.get<Kept>('pull')
  if (!kept) return
  await localStorage.remove('pull')
  for (let at = 0; at < kept.pieces; at++) await localStorage.remove(`pull/${at}`)
}

/**
 * Pushes what was created ahead of the pages. What others have changed meanwhile must wait for them: a record is still
 * `created` here if the answer to its push was lost. Without that the pull would never come to merge it.
 */
async function pushAhead(phone: Phone, lastPulledAt: number | null, left: Set<string>): Promise<void> {
  for (;;) {
    try {
      return await pushCreated(phone, lastPulledAt, left)
    } catch (error) {
      if (!(error instanceof Refused && error.status === 409)) throw error
      const before = left.size
      for (const { id } of error.conflicts) left.add(id)
      if (left.size === before) return
    }
  }
}

/** Pushes what was created, ahead of a long pull: a red record does not wait for it. Each refused one once. */
async function pushCreated(phone: Phone, lastPulledAt: number | null, refused: Set<string>): Promise<void> {
  const local = await fetchLocalChanges(phone.database)
  const affectedRecords = local.affectedRecords.filter((record) => {
    const { id, _status } = rawOf(record)
    return _status === 'created' && !refused.has(id)
  })
  if (affectedRecords.length === 0) return
  const changes: Changes = {}
  for (const [table, sets] of Object.entries(local.changes) as [string, ChangeSet][])
    changes[table] = { created: sets.created.filter(({ id }) => !refused.has(id)), updated: [], deleted: [] }
  const pushed: Pushed = { said: [], sent: [] }
  const { experimentalRejectedIds } = await pushChanges(phone, changes, lastPulledAt, pushed)
  await markLocalChangesAsSynced(phone.database, { changes, affectedRecords } as never, experimentalRejectedIds as never)
  for (const ids of Object.values(experimentalRejectedIds)) ids.forEach((id) => refused.add(id))
  await settle(phone, pushed.said)
}
