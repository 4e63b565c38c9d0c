import type { Random } from '../ports.js'

/** The server answered with an error. Decide by `status` and `code`; log `requestId`. */
export class Refused extends Error {
  override readonly name = 'Refused'

  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly requestId: string,
    readonly retryAfterSeconds: number,
    /** The records that others changed, of a push that was overtaken. */
    readonly conflicts: readonly { readonly table: string; readonly id: string }[] = [],
  ) {
    super(`${status} ${code} ${message}`)
  }

  /** From an answer, also from a proxy's own page. */
  static from(status: number, retryAfter: string | null, text: string): Refused {
    let body: { error?: { code?: string; message?: string; request_id?: string }; conflicts?: Refused['conflicts'] } = {}
    try {
      body = (JSON.parse(text) as typeof body | null) ?? {}
    } catch {
      // a proxy's own page
    }
    const { code = '', message = '', request_id = '' } = body.error ?? {}
    return new Refused(status, code, message, request_id, Number(retryAfter) || 0, body.conflicts ?? [])
  }
}

/** No answer, or one that was cut short: nobody knows whether the server has the push. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable'
}

/** Nobody is logged in on this phone. */
export class LoggedOut extends Error {
  override readonly name = 'LoggedOut'
}

/** Somebody else has logged in than the one whose database this is: what is unsent would be sent in the wrong name. */
export class OtherUser extends Error {
  override readonly name = 'OtherUser'
}

/** The database was synced with another server: its records and its cursor mean nothing to this one. */
export class OtherServer extends Error {
  override readonly name = 'OtherServer'

  constructor(before: string) {
    super(`this database was synced with ${before}: open another one, or name that address in formerUrls`)
  }
}

/** The time that the sync was given is over. What was done is kept; the next one goes on from there. */
export class OutOfTime extends Error {
  override readonly name = 'OutOfTime'
}

/** What platforms say of a write for which there is no room: SQLite, files, IndexedDB. */
const NO_ROOM = /disk (is )?full|SQLITE_FULL|ENOSPC|no space left|QuotaExceeded/i

/** Whether the phone's storage is full. What is kept stays, and the same sync can succeed when there is room. */
export function isFull(error: unknown): boolean {
  const { name, message, code } = error as { name?: unknown; message?: unknown; code?: unknown }
  return NO_ROOM.test(`${name} ${message} ${code}`)
}

/** What an attempt is called on screens and in the history: the server's code, or the kind of fault. */
export function codeOf(error: Error | undefined): string {
  if (!error) return ''
  if (error instanceof Refused) return error.code || String(error.status)
  return isFull(error) ? 'storage_full' : error.name
}

/**
 * What an app does after a sync: nothing (`rest`), sync again after a pause (`retry`), ask the user to log in or to
 * update, or report a fault of the app. Everything unsent stays unsent, and it is always safe to sync again.
 */
export type Next = 'rest' | 'retry' | 'log_in' | 'update_app' | 'report'

/** How a sync ended. `seconds` is the pause before the next try. */
export interface Outcome {
  readonly next: Next
  readonly seconds?: number
  readonly error?: Error
}

/** The longest pause between two tries, seconds; the first one is up to twice `SHORTEST`. */
const LONGEST = 300
const SHORTEST = 1

/** Answers after which the same request can succeed later. */
const PASSES = [408, 409, 410, 413, 429]

/**
 * What to do after a failure; `attempt` counts failures from 0. Pauses are random between nothing and a bound that
 * doubles, so that phones that failed together do not come back together (AWS calls it full jitter).
 */
export function advice(error: unknown, attempt: number, random: Random = Math.random): Outcome {
  const fault = error instanceof Error ? error : new Error(String(error))
  if (fault instanceof OutOfTime) return { next: 'retry', seconds: 0, error: fault }
  const pause = random() * Math.min(LONGEST, 2 * SHORTEST * 2 ** attempt)
  if (fault instanceof Unreachable) return { next: 'retry', seconds: pause, error: fault }
  if (fault instanceof LoggedOut) return { next: 'log_in', error: fault }
  if (isFull(fault)) return { next: 'retry', seconds: LONGEST, error: fault }
  if (!(fault instanceof Refused)) return { next: 'report', error: fault }
  if (fault.status === 401) return { next: 'log_in', error: fault }
  if (fault.status === 426) return { next: 'update_app', error: fault }
  if (!PASSES.includes(fault.status) && fault.status < 500) return { next: 'report', error: fault }
  return { next: 'retry', seconds: fault.retryAfterSeconds + pause, error: fault }
}
