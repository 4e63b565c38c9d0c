import type { HasLocalStorage } from '../records/shelf.js'

/**
 * What an app without WatermelonDB gives: a table of keys and JSON values. SQLite can do it; plain files and most stores
 * of settings cannot write several keys at once.
 */
export interface BatchStore {
  /** The value; undefined if there is none. */
  read(key: string): Promise<unknown>
  /** Keys that begin with `prefix`, with their values. */
  list(prefix: string): Promise<[string, unknown][]>
  /** Writes all of it, or nothing; null removes a key. On disk when it resolves. */
  write(values: Readonly<Record<string, unknown>>): Promise<void>
}

const storages = new WeakMap<BatchStore, HasLocalStorage>()

/** The store as `PhotoQueue` and `History` take it: `new PhotoQueue({ database: storageOf(store), … })`. */
export function storageOf(store: BatchStore): HasLocalStorage {
  let storage = storages.get(store)
  if (!storage) {
    const localStorage = {
      get: async <T>(key: string) => (await store.read(key)) as T | undefined,
      set: (key: string, value: unknown) => store.write({ [key]: value }),
    }
    storages.set(store, (storage = { localStorage }))
  }
  return storage
}
