/** The analyses that red records wait for: where each stands, and when to look again. */
import { Q, type Database, type Model } from '@nozbe/watermelondb'
import { Store, systemClock, type Clock, type Random } from '../ports.js'
import { rawOf } from '../records/row.js'
import { shelfOf } from '../records/shelf.js'

/** Where an analysis stands. `unsent`: its record is still on this phone only. */
export type QueueState = 'unsent' | 'queued' | 'processing' | 'done' | 'failed'

/** One analysis. */
export interface QueueEntry {
  readonly id: string
  /** The record that is analysed. */
  readonly recordId: string
  readonly state: QueueState
  /** Attempts of the server so far. */
  readonly attempts: number
  /** When it was asked for, by the phone's clock, ms. */
  readonly askedAt: number
}

/** What a queue needs. */
export interface QueueOptions {
  readonly database: Database
  /** The table that mirrors the server's queue, its column that names the record, and the table of those. */
  readonly table: string
  readonly column: string
  readonly of: string
  /** Asks for a sync: `() => kit.executor.trigger('timer')`. */
  readonly look: () => void
  readonly clock?: Clock
  readonly random?: Random
}

/** Pauses between two looks: the first, and the longest, ms. An analysis is usually there within half a minute. */
const FIRST_LOOK_MS = 5000
const LONGEST_LOOK_MS = 10 * 60_000

/** How often was looked for what is open now, and when the next look is due. */
interface Looks {
  readonly open: string
  readonly count: number
  readonly dueAt: number
}

const ORDER: readonly QueueState[] = ['failed', 'processing', 'queued', 'unsent', 'done']

/**
 * Mirrors the server's queue. While something is open it looks again, after pauses that double and are random; a
 * restart of the app goes on with the pause that it was in. A server that pokes the phone makes it look sooner.
 */
export class AnalysisQueue {
  /** All analyses: failed ones first, done ones last. */
  readonly entries = new Store<readonly QueueEntry[]>([])

  #end: (() => void) | null = null
  #cancel: (() => void) | null = null
  #looks: Looks | null = null

  constructor(private readonly options: QueueOptions) {}

  /** Follows the table, and looks, until the answer is called. */
  start(): () => void {
    this.#end?.()
    const { database, table, of } = this.options
    const changes = database.withChangesForTables([table, of]).subscribe(() => void this.refresh().then(() => this.plan()))
    this.#end = () => {
      changes.unsubscribe()
      this.#cancel?.()
      this.#cancel = null
      this.#end = null
    }
    return () => this.#end?.()
  }

  /** Reads the table anew. */
  async refresh(): Promise<readonly QueueEntry[]> {
    const { database, table, column, of } = this.options
    const rows = await database.get(table).query().fetch()
    const dirty = await database.get(of).query(Q.where('_status', Q.notEq('synced'))).fetch()
    const unsent = new Set(dirty.map(({ id }) => id))
    const entries = rows
      .map((row) => entryOf(row, column, unsent))
      .sort((one, two) => ORDER.indexOf(one.state) - ORDER.indexOf(two.state) || one.askedAt - two.askedAt)
    if (JSON.stringify(entries) !== JSON.stringify(this.entries.get())) this.entries.set(entries)
    return entries
  }

  /** When the next look is due, by the phone's clock, ms; null if nothing is open. */
  async dueAt(): Promise<number | null> {
    const open = this.open()
    if (!open) return null
    const { clock = systemClock } = this.options
    const known = (this.#looks ??= (await this.kept.get('now')) ?? null)
    if (known?.open === open && known.dueAt - clock.now() <= LONGEST_LOOK_MS) return known.dueAt
    return this.next(open, 0) // other analyses than before, or a clock that was set back
  }

  private async plan(): Promise<void> {
    const { clock = systemClock, look } = this.options
    const dueAt = await this.dueAt()
    if (!this.#end) return
    this.#cancel?.()
    this.#cancel = null
    if (dueAt === null) return
    this.#cancel = clock.after(Math.max(0, dueAt - clock.now()), () => {
      void (async () => {
        await this.next(this.open(), (this.#looks?.count ?? 0) + 1)
        look()
        await this.plan()
      })()
    })
  }

  private open(): string {
    const open = this.entries.get().filter(({ state }) => state === 'queued' || state === 'processing')
    return open.map(({ id }) => id).sort().join(' ')
  }

  private async next(open: string, count: number): Promise<number> {
    const { clock = systemClock, random = Math.random } = this.options
    const longest = Math.min(LONGEST_LOOK_MS, FIRST_LOOK_MS * 2 ** count)
    const dueAt = clock.now() + longest / 2 + (random() * longest) / 2
    this.#looks = { open, count, dueAt }
    // On a phone without room the pause is known until the app is closed.
    await this.kept.change((kept) => (kept['now'] = { open, count, dueAt })).catch(() => undefined)
    return dueAt
  }

  private get kept() {
    return shelfOf<Looks>(this.options.database, 'kit/looks')
  }
}

function entryOf(row: Model, column: string, unsent: ReadonlySet<string>): QueueEntry {
  const raw = rawOf(row)
  const recordId = String(raw[column] ?? '')
  const said = String(raw['status'] ?? 'queued') as QueueState
  return {
    id: row.id,
    recordId,
    state: raw._status === 'created' && unsent.has(recordId) ? 'unsent' : said,
    attempts: Number(raw['attempts'] ?? 0),
    askedAt: Number(raw['created_at'] ?? 0),
  }
}
