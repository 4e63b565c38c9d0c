/**
 * What the kit wants from its surroundings. Each has a default that works in React Native, in browsers and in Node;
 * tests give others.
 */

/** A value that JSON can say. */
export type Json = null | boolean | number | string | readonly Json[] | JsonMap

/** An object that JSON can say. */
export interface JsonMap {
  readonly [name: string]: Json
}

/** Time. `now` may be wrong and may jump, as clocks of phones do; `steady` only ever grows. */
export interface Clock {
  /** Milliseconds since 1970, as the phone believes. */
  now(): number
  /** Milliseconds since some moment. */
  steady(): number
  /** Calls `work` after `ms`; the answer calls it off. */
  after(ms: number, work: () => void): () => void
}

/** The phone's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  steady: () => globalThis.performance?.now() ?? Date.now(),
  after(ms, work) {
    const timer = setTimeout(work, ms)
    return () => clearTimeout(timer)
  },
}

/** A number from 0 to below 1, like `Math.random`. */
export type Random = () => number

/** What a request says; the kit uses no more of the platform's `fetch`. */
export interface FetchInit {
  readonly method: 'GET' | 'POST' | 'PUT'
  readonly headers: Record<string, string>
  readonly body?: string | Uint8Array<ArrayBuffer>
  readonly signal?: AbortSignal
}

/** What the kit reads of an answer. */
export interface FetchAnswer {
  readonly ok: boolean
  readonly status: number
  readonly headers: { get(name: string): string | null }
  text(): Promise<string>
}

/** The platform's `fetch`. */
export type Fetch = (url: string, init: FetchInit) => Promise<FetchAnswer>

/** The platform's own: browsers refuse one that is called as a method of something else. */
export const systemFetch: Fetch = (url, init) => globalThis.fetch(url, init)

/** SHA-256 of a text's UTF-8 as 64 hex digits. */
export type Sha256 = (text: string) => string

/** Half a character, as of an emoji that was cut, is marked as lost: the server would refuse the whole record. */
export function whole(value: unknown): unknown {
  return typeof value === 'string' ? value.replace(/[\uD800-\uDFFF]/gu, '\uFFFD') : value
}

/** A value that tells of its changes: what the hooks and any other screen read. */
export class Store<T> {
  #value: T
  readonly #listeners = new Set<() => void>()

  constructor(value: T) {
    this.#value = value
  }

  /** The value now. The same object as long as nothing changes. */
  readonly get = (): T => this.#value

  /** Calls `listener` after every change; the answer ends that. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** Sets the value. */
  set(value: T): void {
    this.#value = value
    for (const listener of [...this.#listeners]) listener()
  }
}
