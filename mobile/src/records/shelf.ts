/** What is small and not synced lies here: `localStorage` of a WatermelonDB database, or a store of the app. */
export interface LocalStorage {
  get<T>(key: string): Promise<T | null | undefined>
  set(key: string, value: unknown): Promise<void>
}

/** A database, as far as shelves need one. */
export interface HasLocalStorage {
  readonly localStorage: LocalStorage
}

/**
 * A table of keys and values under one key of the database's local storage, for what is small and is not synced. It
 * survives the app. One change after the other: of two at once none is lost.
 */
export class Shelf<T> {
  #last: Promise<unknown> = Promise.resolve()

  constructor(
    private readonly database: HasLocalStorage,
    private readonly name: string,
  ) {}

  /** All that is kept. */
  async all(): Promise<Readonly<Record<string, T>>> {
    return (await this.database.localStorage.get<Record<string, T>>(this.name)) ?? {}
  }

  /** What is kept under `key`. */
  async get(key: string): Promise<T | undefined> {
    return (await this.all())[key]
  }

  /** Keeps what `change` makes of a copy of all that is kept. Returns what it returns. */
  change<R>(change: (kept: Record<string, T>) => R): Promise<R> {
    const step = this.#last.then(async () => {
      const kept = { ...(await this.all()) }
      const before = JSON.stringify(kept)
      const result = change(kept)
      if (JSON.stringify(kept) !== before) await this.database.localStorage.set(this.name, kept)
      return result
    })
    this.#last = step.catch(() => undefined)
    return step
  }
}

const shelves = new WeakMap<HasLocalStorage, Map<string, Shelf<unknown>>>()

/** The shelf of this name: one of each for a database, since its changes must wait for one another. */
export function shelfOf<T>(database: HasLocalStorage, name: string): Shelf<T> {
  let known = shelves.get(database)
  if (!known) shelves.set(database, (known = new Map()))
  let shelf = known.get(name)
  if (!shelf) known.set(name, (shelf = new Shelf<unknown>(database, name)))
  return shelf as Shelf<T>
}

/** The key of a record on a shelf. */
export const placeOf = (table: string, id: string): string => `${table}/${id}`
