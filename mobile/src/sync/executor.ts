import type { Database } from '@nozbe/watermelondb'
import type { History } from '../history.js'
import { Store, systemClock, type Clock, type Json, type Random, type Sha256 } from '../ports.js'
import { sha256 as ownSha256 } from '../sha256.js'
import { conflictsOf, settleConflict, theirsOf, type Conflict } from './conflicts.js'
import { advice, codeOf, Refused, type Next, type Outcome } from './errors.js'
import { deviceId, writable, type Phone } from './phone.js'
import { piecesOf } from './pull.js'
import { putAway, refusedOf, type RefusedRecord } from './refused.js'
import { check, synchronizeNow, unsentOf, verify, type Comparison, type Moved } from './run.js'
import type { Server } from './server.js'

/** What a screen shows of the sync. */
export interface SyncStatus {
  readonly phase: 'idle' | 'syncing'
  /** How the last sync ended; null before the first one of this start. */
  readonly next: Next | null
  /** The server's code of the last failure, or the kind of fault. */
  readonly code: string
  /** When the next try begins by itself, by the phone's clock, ms. */
  readonly retryAt: number | null
  /** When all was delivered and fetched last, ms; also from before the app was closed. */
  readonly lastSuccessAt: number | null
  /** Records that wait to be sent. */
  readonly unsent: number
  readonly refused: number
  readonly conflicts: number
  /** The phone's clock minus the server's, ms: tell the user if it is more than a few minutes. */
  readonly clockOffsetMs: number | null
}

/** What begins a sync. */
export type Reason = 'edit' | 'online' | 'foreground' | 'timer' | 'poke' | 'retry' | 'user'

/** Signals of the platform. Each function takes a listener and returns what ends it. */
export interface Signals {
  /** Whether the server can be reached: when it becomes true, a sync begins; while it is false, none does by itself. */
  readonly online?: (listener: (online: boolean) => void) => () => void
  /** The app came to the foreground. */
  readonly foreground?: (listener: () => void) => () => void
  /** The server has sent a push message. */
  readonly poke?: (listener: () => void) => () => void
}

/** What an executor needs. */
export interface ExecutorOptions {
  readonly database: Database
  readonly contents: Phone['contents']
  readonly server: Server
  readonly history?: History
  readonly clock?: Clock
  readonly random?: Random
  readonly sha256?: Sha256
  readonly turbo?: boolean
  /** Called after every sync; the next one waits for it, but not for long. */
  readonly after?: (outcome: Outcome) => Promise<void>
}

/** How one sync is run. */
export interface SyncAsked {
  readonly reason?: Reason
  /** The time that it may take, ms: for background tasks. What does not fit goes on with the next one. */
  readonly budgetMs?: number
}

/** Triggers within this time are one sync, ms. */
const DEBOUNCE_MS = 1500

/** A sync begins by itself after so long, ms. */
const PERIOD_MS = 15 * 60_000

/** So long a sync waits for what the app does after it, ms. */
const AFTER_MS = 10_000

/** After these only the user, or a start of the app, begins a sync. */
const WAITS_FOR_USER: readonly (Next | null)[] = ['log_in', 'update_app']

/**
 * Syncs, one at a time, when there is a reason to. Never throws: every sync ends in an `Outcome`. An edit that is made
 * while a sync runs is sent by the next one, which begins by itself.
 */
export class SyncExecutor {
  /** What a screen shows. */
  readonly status = new Store<SyncStatus>({
    phase: 'idle',
    next: null,
    code: '',
    retryAt: null,
    lastSuccessAt: null,
    unsent: 0,
    refused: 0,
    conflicts: 0,
    clockOffsetMs: null,
  })

  /** Records that the server did not take. */
  readonly refused = new Store<readonly RefusedRecord[]>([])

  /** Edits that somebody else disagrees with. */
  readonly conflicts = new Store<readonly Conflict[]>([])

  readonly #phone: Phone
  #running: Promise<Outcome> | null = null
  #failures = 0
  #online = true
  #again: Reason | null = null
  #cancel: (() => void) | null = null
  #ends: (() => void)[] | null = null

  constructor(private readonly options: ExecutorOptions) {
    const { database, contents, server, clock = systemClock, random = Math.random, sha256 = ownSha256 } = options
    const { turbo = false } = options
    this.#phone = { database, contents, server, clock, random, sha256, turbo }
  }

  /** Syncs now, or joins the sync that runs. */
  sync({ reason = 'user', budgetMs }: SyncAsked = {}): Promise<Outcome> {
    this.#running ??= this.once(reason, budgetMs).finally(() => {
      this.#running = null
      this.follow()
    })
    return this.#running
  }

  /** Asks for a sync soon. Many triggers make one sync. */
  trigger(reason: Reason): void {
    if (this.#running) {
      this.#again ??= reason
      return
    }
    if (!this.#online && reason !== 'user') return
    if (WAITS_FOR_USER.includes(this.status.get().next) && !['user', 'foreground'].includes(reason)) return
    this.later(DEBOUNCE_MS, reason)
  }

  /** Somebody has logged in: if syncs begin by themselves, one does now. */
  loggedIn(): void {
    if (this.#ends) this.trigger('user')
  }

  /** Syncs by itself from now on. The answer stops that. */
  start(signals: Signals = {}): () => void {
    this.stop()
    const { database, contents } = this.#phone
    const edits = database.withChangesForTables(writable(contents)).subscribe((changes) => {
      if (changes) void this.edited()
    })
    this.#ends = [
      () => edits.unsubscribe(),
      signals.online?.((online) => {
        const back = online && !this.#online
        this.#online = online
        if (back) this.trigger('online')
      }),
      signals.foreground?.(() => this.trigger('foreground')),
      signals.poke?.(() => this.trigger('poke')),
    ].filter((end) => end !== undefined)
    this.periodically()
    void this.refresh()
    this.trigger('foreground')
    return () => this.stop()
  }

  /** Compares the phone with the server. Throws as `Server` does. */
  compare(): Promise<Comparison> {
    return check(this.#phone)
  }

  /** Compares, and gets anew what differs; unsent edits stay. Waits for a sync that runs. Throws as `Server` does. */
  async repair(): Promise<Comparison> {
    while (this.#running) await this.#running
    let found: Comparison | undefined
    let fault: unknown
    const work = verify(this.#phone).then(
      (comparison): Outcome => {
        found = comparison
        return { next: 'rest' }
      },
      (error: unknown): Outcome => {
        fault = error
        return advice(error, 0, this.#phone.random)
      },
    )
    this.#running = work.finally(() => (this.#running = null))
    await this.#running
    await this.refresh()
    if (!found) throw fault
    return found
  }

  /** As `putAway`; screens see it at once. */
  async putAway(record: Pick<RefusedRecord, 'table' | 'id'>): Promise<void> {
    await putAway(this.#phone.database, record)
    await this.refresh()
  }

  /** As `settleConflict`; screens see it at once. */
  async settleConflict(conflict: Pick<Conflict, 'table' | 'id'>): Promise<void> {
    await settleConflict(this.#phone.database, conflict)
    await this.refresh()
  }

  /** What the others wrote in these columns, as a repository's `update` takes it. */
  theirs(conflict: Conflict, columns: readonly string[] = Object.keys(conflict.columns)): Record<string, Json> {
    return theirsOf(conflict, columns, this.#phone.contents[conflict.table] ?? {})
  }

  /** Reads anew what is unsent, refused and in conflict. */
  async refresh(): Promise<void> {
    const { database, server } = this.#phone
    const refused = Object.values(await refusedOf(database).all())
    const conflicts = Object.values(await conflictsOf(database).all())
    const unsent = await unsentOf(this.#phone)
    const lastSuccessAt = (await database.localStorage.get<number>('kit/last_success')) ?? null
    if (!sameRecords(this.refused.get(), refused)) this.refused.set(refused)
    if (!sameRecords(this.conflicts.get(), conflicts)) this.conflicts.set(conflicts)
    this.say({
      unsent,
      refused: refused.length,
      conflicts: conflicts.length,
      lastSuccessAt,
      clockOffsetMs: server.clockOffsetMs,
    })
  }

  private async once(reason: Reason, budgetMs: number | undefined): Promise<Outcome> {
    this.#cancel?.()
    this.#cancel = null
    const { database, server, clock, random } = this.#phone
    this.say({ phase: 'syncing', retryAt: null })
    const [at, began] = [clock.now(), clock.steady()]
    const phone = budgetMs === undefined ? this.#phone : { ...this.#phone, server: server.within(budgetMs) }
    let outcome: Outcome
    let moved: Moved = { received: 0, sent: 0, refused: 0 }
    let pieces = Infinity
    try {
      const before = await database.localStorage.get<string>('kit/server')
      server.assertSame(before)
      if (before !== server.url) await database.localStorage.set('kit/server', server.url)
      pieces = await piecesOf(database)
      await deviceId(phone)
      moved = await synchronizeNow(phone)
      this.#failures = 0
      if (await database.localStorage.get('in_doubt')) await verify(phone)
      await database.localStorage.set('kit/last_success', clock.now())
      outcome = { next: 'rest' }
    } catch (error) {
      const more = await piecesOf(database).catch(() => 0)
      if (more > pieces) this.#failures = 0 // a page came through: the next pause is a short one
      outcome = advice(error, this.#failures++, random)
    }
    const { next, error } = outcome
    const code = codeOf(error)
    try {
      await this.refresh()
      await this.options.history?.add({
        at,
        reason,
        next,
        code,
        requestId: error instanceof Refused ? error.requestId : '',
        durationMs: Math.round(clock.steady() - began),
        ...moved,
        unsent: this.status.get().unsent,
      })
      await this.afterwards(outcome)
    } catch (fault) {
      // A phone whose storage is full, or the app's own `after`: what the sync did stays done.
      if (!error) outcome = advice(fault, 0, random)
    }
    this.say({ phase: 'idle', next: outcome.next, code: codeOf(outcome.error), retryAt: this.dueAt(outcome) })
    return outcome
  }

  /** What hangs there, as an upload of photos does, holds up no record. */
  private async afterwards(outcome: Outcome): Promise<void> {
    let stop = () => {}
    const enough = new Promise<void>((done) => (stop = this.#phone.clock.after(AFTER_MS, done)))
    await Promise.race([this.options.after?.(outcome), enough]).finally(stop)
  }

  private dueAt({ next, seconds = 0 }: Outcome): number | null {
    return next === 'retry' ? this.#phone.clock.now() + 1000 * seconds : null
  }

  /** After a sync: what waited for its end, or the next try. Only while the executor is started. */
  private follow(): void {
    const again = this.#again
    this.#again = null
    if (!this.#ends) return
    const { next, code, retryAt } = this.status.get()
    // Time that was over is the platform's word: what is left waits for the next reason.
    if (next === 'retry' && retryAt !== null && this.#online && code !== 'OutOfTime')
      this.later(Math.max(0, retryAt - this.#phone.clock.now()), 'retry')
    else if (again) this.trigger(again)
    else if (next === 'rest') void this.edited()
  }

  /** The database has changed: by the user, or by the sync itself, which is no reason for another one. */
  private async edited(): Promise<void> {
    if (this.#running) return
    const before = this.status.get()
    await this.refresh()
    if (!this.#ends) return // stopped meanwhile
    const { unsent, refused } = this.status.get()
    if (unsent > refused || unsent > before.unsent) this.trigger('edit')
  }

  private later(ms: number, reason: Reason): void {
    if (this.#cancel && reason !== 'user' && reason !== 'online') return
    this.#cancel?.()
    this.#cancel = this.#phone.clock.after(ms, () => {
      this.#cancel = null
      void this.sync({ reason })
    })
  }

  private periodically(): void {
    const end = this.#phone.clock.after(PERIOD_MS, () => {
      this.#ends?.splice(this.#ends.indexOf(end), 1)
      this.trigger('timer')
      if (this.#ends) this.periodically()
    })
    this.#ends?.push(end)
  }

  private stop(): void {
    for (const end of this.#ends ?? []) end()
    this.#ends = null
    this.#cancel?.()
    this.#cancel = null
  }

  private say(more: Partial<SyncStatus>): void {
    const before = this.status.get()
    const now = { ...before, ...more }
    if (JSON.stringify(before) !== JSON.stringify(now)) this.status.set(now)
  }
}

const sameRecords = (one: readonly object[], two: readonly object[]): boolean => JSON.stringify(one) === JSON.stringify(two)
