import { Store } from './ports.js'
import { shelfOf, type HasLocalStorage } from './records/shelf.js'

/**
 * One attempt to sync. Counts, codes and times only: a support line may read it, and it may be sent as telemetry. There is
 * no text of a record in it, no id of one, and no message of a fault.
 */
export interface Attempt {
  /** When it began, by the phone's clock, ms. */
  readonly at: number
  /** What began it: `edit`, `online`, `foreground`, `timer`, `poke`, `retry`, `user`. */
  readonly reason: string
  /** How it ended, as in `Outcome`. */
  readonly next: string
  /** The server's code, or the kind of fault; empty if there was none. */
  readonly code: string
  /** What the server's log calls the request that failed. */
  readonly requestId: string
  readonly durationMs: number
  readonly sent: number
  readonly received: number
  readonly refused: number
  readonly unsent: number
}

/** So many attempts are kept. */
const MOST = 50

/** The last attempts of a phone, the newest first. */
export class History {
  /** What is known of them; empty until `load`. */
  readonly attempts = new Store<readonly Attempt[]>([])

  constructor(private readonly database: HasLocalStorage) {}

  /** Reads what was kept before the app was closed. */
  async load(): Promise<readonly Attempt[]> {
    const kept = (await this.shelf.get('attempts')) ?? []
    this.attempts.set(kept)
    return kept
  }

  /** Adds an attempt. */
  async add(attempt: Attempt): Promise<void> {
    const kept = await this.shelf.change((all) => (all['attempts'] = [attempt, ...(all['attempts'] ?? [])].slice(0, MOST)))
    this.attempts.set(kept)
  }

  private get shelf() {
    return shelfOf<readonly Attempt[]>(this.database, 'kit/history')
  }
}
