import { systemClock, whole, type Clock, type Random, type Sha256 } from '../ports.js'
import { sha256 as ownSha256 } from '../sha256.js'
import type { Kinds } from '../records/row.js'
import { tableDigest, type TableDigest } from '../sync/digest.js'
import { advice, Refused, Unreachable, type Outcome } from '../sync/errors.js'
import { fewerRows, moreRows, MOST_ROWS } from '../sync/pages.js'
import { newDeviceId, type Rejection, type WireRow } from '../sync/phone.js'
import type { Comparison } from '../sync/run.js'
import type { Server } from '../sync/server.js'
import type { BatchStore } from './store.js'

/** Asks for places of photos in the same request as records: a `PhotoQueue`. */
export interface Tickets {
  asks(): Promise<readonly object[]>
  told(answers: readonly object[]): Promise<void>
}

/** What a phone with the batch dialect needs. */
export interface BatchOptions {
  readonly store: BatchStore
  /** `contents` of the product's columns: `@dermadetect/care-kit/dermadetect/columns`. */
  readonly contents: Readonly<Record<string, Kinds>>
  readonly server: Server
  readonly photos?: Tickets
  readonly clock?: Clock
  readonly random?: Random
  readonly sha256?: Sha256
}

/** An edit that the server did not take: the user mends it, or gives it up. */
export interface RefusedEdit extends Rejection {
  readonly record: WireRow
}

/** What lost, was overwritten, or is not the phone's any more: the user reads it. */
export interface Notice {
  readonly key: string
  readonly table: string
  readonly id: string
  /** Of a refusal: `deleted` or `moved`, with the record as it was. */
  readonly code?: string
  readonly record?: WireRow | null
  /** Of a conflict: who won, why, in which columns, and the records of both. */
  readonly winner?: 'client' | 'server'
  readonly reason?: string
  readonly columns?: readonly string[]
  readonly yours?: Readonly<Record<string, unknown>>
  readonly theirs?: Readonly<Record<string, unknown>>
}

/** What is not sent yet of a record. A column stays in `changed`, with the number of its edit, until it was accepted. */
interface Edit {
  number: number
  changed?: Record<string, number>
  record: WireRow
}

/** The request that has no answer yet. `edits` says which edit of each record it holds. */
interface Sent {
  body: string
  edits: Record<string, number>
  more?: boolean
  /** Edits that go ahead of the next page of a listing; the page of its answer is left alone. */
  aside?: boolean
  /** It asks for the next page, and sends nothing. */
  page?: boolean
  tries?: number
}

/** A listing that is not at its end. `passed`: it brought rows that nobody could look at. */
interface Reading {
  page?: string | null
  passed?: boolean
  again?: boolean
}

/** What stands in an answer: of a `brief` one only what says something. */
interface Said {
  new_sync_timestamp: number
  server_updates?: Record<string, WireRow[]>
  /** News that several of the sent records have alike. */
  same?: Record<string, { ids: string[]; row: object }[]>
  deleted?: Record<string, string[]>
  accepted?: Record<string, string[]>
  rejected?: Rejection[]
  conflicts?: { table: string; id: string }[]
  receipt?: { id: string; digest: Record<string, TableDigest> } | null
  has_more?: boolean
  next_page?: string | null
  clock_offset_ms?: number | null
  resync?: string
  files?: object[]
}

/** An answer made whole. */
type Answer = Required<Omit<Said, 'same' | 'resync'>> & Pick<Said, 'resync'>

type Writes = Record<string, unknown>

/** Most edits in one request; fewer after a 413, and when one breaks off again and again. */
const MOST_EDITS = 500

/** Rows of others that the answer to edits may bring: it must be short, or a bad line never ends it. */
const BESIDE_EDITS = 20

/** Times that the same edits are sent with the same bytes, before they go in smaller parts. */
const SAME_BYTES = 3

/** Codes after which the phone must let go of a record; what it said is kept on the server. */
const LET_GO = ['deleted', 'moved']

/**
 * A phone with the batch dialect. `Drafts` names what an app writes, by table. Its store holds, and an app shows:
 *
 *   row/TABLE/ID        what the app shows
 *   edit/TABLE/ID       what is not sent yet
 *   sent                the request that has no answer yet: the same bytes go again
 *   reading, unseen     a listing that is not at its end, and rows that it has not brought so far
 *   refused/TABLE/ID    an edit that the server did not take
 *   notice/TABLE/ID/…   what lost, was overwritten, or is not the phone's any more
 *   cursor, device_id, server, clock_offset_ms, in_doubt, page_rows
 */
export class BatchPhone<Drafts extends object = Record<string, Record<string, unknown>>> {
  #most = MOST_EDITS
  #failures = 0
  #running: Promise<Outcome> | null = null
  #last: Promise<unknown> = Promise.resolve()
  readonly #store: BatchStore
  readonly #clock: Clock
  readonly #random: Random
  readonly #sha256: Sha256

  constructor(private readonly options: BatchOptions) {
    this.#store = options.store
    this.#clock = options.clock ?? systemClock
    this.#random = options.random ?? Math.random
    this.#sha256 = options.sha256 ?? ownSha256
  }

  /** The user saves a record: what is shown and what is to be sent, in one write. Throws a `TypeError` for other columns. */
  save<T extends keyof Drafts & string>(table: T, id: string, given: Partial<Drafts[T]>): Promise<void> {
    return this.alone(() => this.saving(table, id, given))
  }

  private async saving(table: string, id: string, given: object): Promise<void> {
    const columns = this.options.contents[table] ?? {}
    const values = JSON.parse(JSON.stringify(given, (_, each) => whole(each))) as Record<string, unknown>
    for (const name of Object.keys(values))
      if (!(name in columns) && name !== 'scope_id') throw new TypeError(`${table}.${name} is not written by apps`)
    const row = await this.read<WireRow>(`row/${table}/${id}`)
    const edit = await this.read<Edit>(`edit/${table}/${id}`)
    const before = edit ?? (await this.read<Edit>(`refused/${table}/${id}`))
    const known = row && before ? before.record : {}
    const { sync_status = row ? 'dirty' : 'new' } = known as { sync_status?: string }
    const number = (before?.number ?? 0) + 1
    const last_modified_at = this.#clock.now() / 1000
    const shown: WireRow = { created_at: last_modified_at, ...row, ...values, id, last_modified_at }
    const changed = { ...before?.changed }
    for (const name of Object.keys(values)) changed[name] = number
    const record: WireRow = { ...values, id, sync_status, last_modified_at }
    // Of the server's own columns only those that say which version was edited, and where.
    for (const name of [...Object.keys(columns), 'scope_id', 'created_at', 'updated_at'])
      if (shown[name] !== undefined) record[name] = shown[name]
    await this.#store.write({
      [`row/${table}/${id}`]: shown,
      [`edit/${table}/${id}`]: { number, changed, record } satisfies Edit,
      [`refused/${table}/${id}`]: null,
    })
  }

  /** The user deletes a record. */
  remove(table: keyof Drafts & string, id: string): Promise<void> {
    return this.alone(async () => {
      const edit = await this.read<Edit>(`edit/${table}/${id}`)
      const record = { id, sync_status: 'deleted', last_modified_at: this.#clock.now() / 1000 }
      await this.#store.write({
        [`row/${table}/${id}`]: null,
        [`edit/${table}/${id}`]: { number: (edit?.number ?? 0) + 1, record } satisfies Edit,
        [`refused/${table}/${id}`]: null,
      })
    })
  }

  /** A record as the app shows it. */
  async find(table: string, id: string): Promise<WireRow | null> {
    return (await this.read<WireRow>(`row/${table}/${id}`)) ?? null
  }

  /** All records of a table. */
  async rows(table: string): Promise<WireRow[]> {
    return this.values<WireRow>(`row/${table}/`)
  }

  /** How many records wait to be sent. */
  async unsent(): Promise<number> {
    return (await this.#store.list('edit/')).length
  }

  /** Edits that the server did not take. An edit of such a record sends it again; `remove` gives it up. */
  refused(): Promise<RefusedEdit[]> {
    return this.values<RefusedEdit>('refused/')
  }

  /** What the user must read. */
  async notices(): Promise<Notice[]> {
    return (await this.list<Notice>('notice/')).map(([key, notice]) => ({ ...notice, key }))
  }

  /** The user has read it. */
  putAway({ key }: Pick<Notice, 'key'>): Promise<void> {
    return this.#store.write({ [key]: null })
  }

  /** The one function that the app calls. Never throws: says what to do next. */
  sync(): Promise<Outcome> {
    this.#running ??= this.once().finally(() => (this.#running = null))
    return this.#running
  }

  private async once(): Promise<Outcome> {
    try {
      await this.syncNow()
      if (await this.read('in_doubt')) await this.mend()
      this.#failures = 0
      return { next: 'rest' }
    } catch (error) {
      return advice(error, this.#failures++, this.#random)
    }
  }

  /** Sends all edits, and takes all pages. Throws `Refused` and `Unreachable`; nothing is lost. */
  async syncNow(): Promise<void> {
    const { server } = this.options
    const before = await this.read<string>('server')
    server.assertSame(before)
    if (before !== server.url) await this.#store.write({ server: server.url })
    for (;;) {
      const interrupted = await this.read<Sent>('sent')
      const sent = interrupted ?? (await this.alone(() => this.prepare()))
      let answer
      try {
        answer = complete(await server.json<Said>('/api/sync', { body: sent.body, seconds: true }))
      } catch (error) {
        await this.alone(() => this.recover(error, sent))
        if (error instanceof Refused && error.status === 413 && Object.keys(sent.edits).length > 1) continue
        throw error
      }
      this.#failures = 0 // something came through: the next pause is a short one
      const again = await this.alone(() => this.apply(answer, sent))
      await this.options.photos?.told(answer.files)
      if (!again && !sent.more && !interrupted) return
    }
  }

  /** The next request. With edits it is kept before it is sent: without an answer, the same bytes go again. */
  private async prepare(): Promise<Sent> {
    const { contents, photos } = this.options
    const order = Object.keys(contents)
    const all = (await this.list<Edit>('edit/'))
      .map(([key, edit]) => ({ key, ...edit, table: key.split('/')[1]! }))
      .sort((one, two) => order.indexOf(one.table) - order.indexOf(two.table))
    const reading = await this.read<Reading>('reading')
    const device_id = await this.device()
    const rows = (await this.read<number>('page_rows')) ?? MOST_ROWS
    if (all.length === 0 && reading)
      return { body: JSON.stringify({ device_id, page: reading.page, limit: rows, brief: true }), edits: {}, page: true }
    const changes: Record<string, object[]> = {}
    const edits: Sent['edits'] = {}
    for (const { key, table, number, changed, record } of all.slice(0, this.#most)) {
      const named = changed && record['sync_status'] === 'dirty' ? { changed: Object.keys(changed) } : {}
      changes[table] = [...(changes[table] ?? []), { ...record, ...named }]
      edits[key] = number
    }
    const count = Object.keys(edits).length
    const files = (await photos?.asks()) ?? []
    const body = JSON.stringify({
      last_sync_timestamp: (await this.read<number>('cursor')) ?? 0,
      device_id,
      changes,
      limit: reading ? 1 : count ? count + BESIDE_EDITS : rows,
      brief: true,
      ...(files.length > 0 && { files }),
    })
    const sent: Sent = { body, edits, more: all.length > count, aside: Boolean(reading), tries: 0 }
    if (count > 0) await this.#store.write({ sent })
    return sent
  }

  private async device(): Promise<string> {
    const known = await this.read<string>('device_id')
    if (known) return known
    const device_id = newDeviceId(this.#random)
    await this.#store.write({ device_id })
    return device_id
  }

  /** Lets go of a request that must not be sent as it is. The edits stay. */
  private async recover(error: unknown, sent: Sent): Promise<void> {
    const count = Object.keys(sent.edits).length
    const writes: Writes = {}
    const tries = (sent.tries ?? 0) + 1
    const lost = error instanceof Unreachable
    if (lost && count === 0) writes['page_rows'] = fewerRows(await this.read<number>('page_rows'))
    else if (lost) writes['sent'] = { ...sent, tries }
    const { status = 0, code = '' } = error instanceof Refused ? error : {}
    const tired = lost && count > 1 && tries >= SAME_BYTES
    if (status === 413 || tired) this.#most = Math.ceil(count / 2) || 1
    if (sent.page && ['page_expired', 'invalid_cursor'].includes(code)) writes['reading'] = null
    else if (code === 'invalid_cursor') writes['cursor'] = 0
    if (advice(error, 0).next === 'report' || status === 413 || tired) writes['sent'] = null
    await this.#store.write(writes)
  }

  /** Takes over an answer, in one write. True: there is more to send or to ask for. */
  private async apply(answer: Answer, { edits, aside = false, page = false }: Sent): Promise<boolean> {
    const writes: Writes = { sent: null, clock_offset_ms: answer.clock_offset_ms }
    const reading = (await this.read<Reading>('reading')) ?? {}
    const first = !aside && !page && !(await this.read('cursor')) // of a listing of everything
    const unseen = new Set(first ? (await this.#store.list('row/')).map(([key]) => key) : await this.read<string[]>('unseen'))
    const unsent = new Map((await this.list<Edit>('edit/')).filter(([key, it]) => edits[key] !== it.number))
    const done = async (place: string): Promise<Edit | null> => {
      const key = `edit/${place}`
      if (!(key in edits) || unsent.has(key)) return null // the user has edited it again since
      writes[key] = null
      unseen.delete(`row/${place}`)
      return (await this.read<Edit>(key)) ?? null
    }
    for (const place of places(answer.accepted)) {
      const later = unsent.get(`edit/${place}`)
      if (later) writes[`edit/${place}`] = sinceThen(later, edits[`edit/${place}`] ?? 0)
      else await done(place)
    }
    for (const entry of answer.rejected) {
      const place = `${entry.table}/${entry.id}`
      const edit = await done(place)
      if (LET_GO.includes(entry.code)) {
        writes[`notice/${place}/${answer.receipt?.id}`] = { ...entry, record: edit?.record ?? null }
        if (edit) writes[`row/${place}`] = null
      } else if (edit) writes[`refused/${place}`] = { ...entry, ...edit }
    }
    for (const entry of answer.conflicts) writes[`notice/${entry.table}/${entry.id}/${answer.receipt?.id}`] = entry
    if (answer.resync === 'upload_first') {
      await this.offerAgain(writes)
      await this.#store.write({ ...writes, cursor: 0, reading: null, unseen: null })
      return true
    }
    let passed = Boolean(reading.passed)
    for (const [table, rows] of Object.entries(answer.server_updates))
      for (const row of rows) {
        const [key, edit] = [`row/${table}/${row.id}`, `edit/${table}/${row.id}`]
        if (aside && !(edit in edits)) continue // the listing brings it, in its turn
        unseen.delete(key)
        const waits = (writes[edit] as Edit | null | undefined) ?? unsent.get(edit)
        // Edited again meanwhile: nobody has looked at this row yet.
        if (waits && (!waits.changed || Object.keys(row).some((name) => name in waits.changed!))) passed = true
        // Of a record that was sent only the news come, and are laid over it.
        else writes[key] = { ...(await this.read<WireRow>(key)), ...row }
      }
    for (const place of places(answer.deleted)) if (!aside || `edit/${place}` in edits) writes[`row/${place}`] = null
    if (!(await this.delivered(answer, writes, unsent))) writes['in_doubt'] = true
    if (aside) writes['reading'] = reading.page ? { ...reading, again: true } : null
    else if (answer.has_more) writes['reading'] = { ...reading, page: answer.next_page, passed }
    else {
      // A listing of everything names no deletions: what it does not bring, the server does not have.
      for (const key of unseen) {
        const place = key.slice('row/'.length)
        const waits = unsent.has(`edit/${place}`) || (await this.read(`refused/${place}`))
        if (!waits && !(`refused/${place}` in writes)) writes[key] = null
      }
      unseen.clear()
      writes['reading'] = null
      if (!passed) writes['cursor'] = answer.new_sync_timestamp
    }
    if (Object.keys(edits).length === 0) writes['page_rows'] = moreRows(await this.read<number>('page_rows'))
    writes['unseen'] = unseen.size > 0 ? [...unseen] : null
    await this.#store.write(writes)
    return Boolean(writes['reading'] || (!aside && reading.again))
  }

  /** After a restore of the server: every record is an edit again, with its own time. */
  private async offerAgain(writes: Writes): Promise<void> {
    for (const [key, row] of await this.list<WireRow>('row/')) {
      const place = key.slice('row/'.length)
      const columns = Object.keys(this.options.contents[place.split('/')[0]!] ?? {})
      const edit = `edit/${place}`
      if (columns.length === 0 || ((await this.read(edit)) && writes[edit] !== null)) continue
      const { id, scope_id, created_at, last_modified_at } = row
      const record: WireRow = { id, scope_id, created_at, last_modified_at, sync_status: 'new' }
      for (const name of columns) if (row[name] !== undefined) record[name] = row[name]
      writes[edit] = { number: 1, record } satisfies Edit
    }
  }

  /** Whether the receipt's digest says that the server holds what this phone will hold. */
  private async delivered(answer: Answer, writes: Writes, unsent: ReadonlyMap<string, Edit>): Promise<boolean> {
    for (const [table, ids] of Object.entries(answer.accepted)) {
      if (ids.some((id) => unsent.has(`edit/${table}/${id}`))) continue // cannot be told
      const rows: WireRow[] = []
      for (const id of ids) {
        const key = `row/${table}/${id}`
        const row = key in writes ? (writes[key] as WireRow | null) : await this.read<WireRow>(key)
        if (row) rows.push(row)
      }
      if (rows.some((row) => !row['scope_id'])) continue
      const mine = tableDigest(rows, this.options.contents[table] ?? {}, this.#sha256)
      const theirs = answer.receipt?.digest[table] ?? { count: 0, hash: mine.hash }
      if (mine.count !== theirs.count || mine.hash !== theirs.hash) return false
    }
    return true
  }

  /** Compares the phone with the server's digest. Throws as `Server` does. */
  async compare(): Promise<Comparison> {
    const { server, contents } = this.options
    const waiting = [...(await this.#store.list('edit/')), ...(await this.#store.list('refused/'))]
    if (waiting.length > 0) return { state: 'unsent', tables: [] }
    if (await this.read('reading')) return { state: 'behind', tables: [] }
    const since = Math.round(((await this.read<number>('cursor')) ?? 0) * 1000)
    const path = `/api/v1/sync/digest?last_pulled_at=${since}`
    const theirs = await server.json<{ current: boolean; tables: Record<string, TableDigest> }>(path, { seconds: true })
    if (!theirs.current) return { state: 'behind', tables: [] } // sync, then ask again
    const tables: string[] = []
    for (const [table, { count, hash }] of Object.entries(theirs.tables)) {
      const mine = tableDigest(await this.rows(table), contents[table] ?? {}, this.#sha256)
      if (mine.count !== count || mine.hash !== hash) tables.push(table)
    }
    return { state: tables.length === 0 ? 'equal' : 'different', tables }
  }

  /**
   * Compares; what differs is taken anew, then compared again. Unsent edits stay. Waits for a sync that runs. Throws as
   * `Server` does.
   */
  async repair(): Promise<Comparison> {
    while (this.#running) await this.#running
    const work = this.mend()
    const ended = work.then(
      (): Outcome => ({ next: 'rest' }),
      (error: unknown) => advice(error, 0, this.#random),
    )
    this.#running = ended.finally(() => (this.#running = null))
    await this.#running
    return work
  }

  private async mend(): Promise<Comparison> {
    let found = await this.compare()
    for (let round = 0; round < 3 && !['equal', 'unsent'].includes(found.state); round++) {
      await this.syncNow()
      if (found.state === 'different') {
        await this.#store.write({ cursor: 0, reading: null })
        await this.syncNow()
      }
      found = await this.compare()
    }
    if (found.state === 'equal') await this.#store.write({ in_doubt: null })
    return found
  }

  /** One after the other: of a save and an answer that is taken over at once, neither undoes the other. */
  private alone<R>(work: () => Promise<R>): Promise<R> {
    const step = this.#last.then(work)
    this.#last = step.catch(() => undefined)
    return step
  }

  private async read<T>(key: string): Promise<T | undefined> {
    return ((await this.#store.read(key)) ?? undefined) as T | undefined
  }

  private async list<T>(prefix: string): Promise<[string, T][]> {
    return (await this.#store.list(prefix)) as [string, T][]
  }

  private async values<T>(prefix: string): Promise<T[]> {
    return (await this.list<T>(prefix)).map(([, value]) => value)
  }
}

/** A brief answer with all its parts; a usual one, of an older server, as it is. */
function complete({ same = {}, ...said }: Said): Answer {
  const nothing = { server_updates: {}, deleted: {}, accepted: {}, rejected: [], conflicts: [], files: [] }
  const answer: Answer = { ...nothing, receipt: null, has_more: false, next_page: null, clock_offset_ms: null, ...said }
  for (const [table, parts] of Object.entries(same))
    for (const { ids, row } of parts)
      answer.server_updates[table] = [...(answer.server_updates[table] ?? []), ...ids.map((id) => ({ ...row, id }))]
  return answer
}

/** `TABLE/ID` of each of `ids`. */
const places = (ids: Readonly<Record<string, readonly string[]>>): string[] =>
  Object.entries(ids).flatMap(([table, all]) => all.map((id) => `${table}/${id}`))

/** What is left to send of an edit when the one before it, of that number, was accepted. */
function sinceThen({ changed, record, ...edit }: Edit, number: number): Edit {
  if (!changed) return { ...edit, record } // a deletion: all of it
  const later = Object.entries(changed).filter(([, at]) => at > number)
  return { ...edit, changed: Object.fromEntries(later), record: { ...record, sync_status: 'dirty' } }
}
