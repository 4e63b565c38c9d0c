import type { Database } from '@nozbe/watermelondb'

/**
 * Edits wait while a sync applies what it pulled. Without this an edit that falls between the look for edits that the
 * pull would destroy and the pull's write would be destroyed unseen. It is shut for as long as WatermelonDB's own
 * writer is busy, and one look before.
 */
class Gate {
  #open: Promise<void> = Promise.resolve()
  #release: (() => void) | null = null

  /** Resolves when edits may go on. */
  passed(): Promise<void> {
    return this.#open
  }

  shut(): void {
    if (this.#release) return
    this.#open = new Promise((open) => (this.#release = open))
  }

  open(): void {
    this.#release?.()
    this.#release = null
  }
}

const gates = new WeakMap<Database, Gate>()

/** The gate of a database. */
export function gateOf(database: Database): Gate {
  let gate = gates.get(database)
  if (!gate) gates.set(database, (gate = new Gate()))
  return gate
}
