/** Time that stands still until a test moves it, and a network that answers as a test says. */
import type { Clock, Fetch, FetchAnswer, FetchInit } from '../src/ports.js'

/** A clock under a test's hand. */
export class TestClock implements Clock {
  #now = 1_800_000_000_000
  #timers: { at: number; work: () => void }[] = []

  now = () => this.#now
  steady = () => this.#now

  after(ms: number, work: () => void): () => void {
    const timer = { at: this.#now + ms, work }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((each) => each !== timer)
    }
  }

  /** Lets time pass; what is due is done in its order. */
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms
    for (;;) {
      await quiet()
      const [next] = this.#timers.filter(({ at }) => at <= end).sort((one, two) => one.at - two.at)
      if (!next) break
      this.#timers = this.#timers.filter((each) => each !== next)
      this.#now = Math.max(this.#now, next.at)
      next.work()
    }
    this.#now = end
  }
}

/** Until what can be done without waiting is done. */
export async function quiet(): Promise<void> {
  for (let turn = 0; turn < 60; turn++) await new Promise((done) => setImmediate(done))
}

/** An answer. */
export const reply = (status: number, body: unknown, headers: Record<string, string> = {}): FetchAnswer => ({
  ok: status >= 200 && status < 300,
  status,
  headers: { get: (name) => headers[name] ?? null },
  text: async () => (typeof body === 'string' ? body : JSON.stringify(body)),
})

/** A request that was sent. */
export interface Sent extends FetchInit {
  readonly path: string
}

/** A server of one line: `answer` is asked for every request. */
export function network(answer: (sent: Sent) => FetchAnswer | Promise<FetchAnswer>): { fetch: Fetch; sent: Sent[] } {
  const sent: Sent[] = []
  return {
    sent,
    fetch: async (url, init) => {
      const one = { ...init, path: url.replace('https://care.example', '') }
      sent.push(one)
      return answer(one)
    },
  }
}

/** A server that has nothing and takes everything. */
export const agreeable = (sent: Sent): FetchAnswer =>
  sent.method === 'GET'
    ? reply(200, { changes: {}, timestamp: 1000 })
    : reply(200, { rejected: [], receipt: { id: 'r1', digest: {} } })
