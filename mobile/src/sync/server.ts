import { systemClock, systemFetch, type Clock, type Fetch } from '../ports.js'
import { OtherServer, OutOfTime, Refused, Unreachable } from './errors.js'
import type { Session } from './session.js'

/** What requests need. */
export interface ServerOptions {
  /** The address of the server, without a slash at the end. */
  readonly url: string
  /** The app's version, like `1.4.0`. The server may ask for a newer one. */
  readonly version: string
  readonly session: Pick<Session, 'access' | 'renew'>
  readonly fetch?: Fetch
  readonly clock?: Clock
  /** Addresses that this server had before. */
  readonly formerUrls?: readonly string[]
  /** The text's UTF-8 as gzip bytes, from any library: a third of the upload. */
  readonly gzip?: (text: string) => Uint8Array<ArrayBuffer>
}

/** One request. `range` says that the body is bytes of a photo, or absent to ask how far its upload is. */
export interface Asked {
  readonly body?: string | Uint8Array<ArrayBuffer>
  readonly range?: string
  /** The unit of `X-Client-Time`: that of the dialect. */
  readonly seconds?: boolean
}

/** The longest wait for one answer, ms. */
const PATIENCE_MS = 120_000

/** Texts that are not longer than this are not worth packing, characters: they fit into one packet of the network. */
const ONE_PACKET = 1400

/**
 * The server, as the phone asks it. Every attempt carries the token, the phone's clock and the app's version; an
 * expired token is renewed once. The clock is taken when the attempt is sent, so that the server can tell a wrong clock
 * from a slow network.
 */
export class Server {
  readonly #fetch: Fetch
  readonly #clock: Clock
  #until = Infinity
  #offset: { ms: number | null } = { ms: null }

  constructor(private readonly options: ServerOptions) {
    this.#fetch = options.fetch ?? systemFetch
    this.#clock = options.clock ?? systemClock
  }

  /** The address of the server. */
  get url(): string {
    return this.options.url
  }

  /** Throws `OtherServer` if `before`, where this phone's records were synced, is another server. */
  assertSame(before: string | null | undefined): void {
    if (before && before !== this.url && !this.options.formerUrls?.includes(before)) throw new OtherServer(before)
  }

  /** The phone's clock minus the server's, ms; null until an answer has said it. To the second. */
  get clockOffsetMs(): number | null {
    return this.#offset.ms
  }

  /** The same server for `ms` from now: then every request throws `OutOfTime`. */
  within(ms: number): Server {
    const limited = new Server(this.options)
    limited.#until = this.#clock.steady() + ms
    limited.#offset = this.#offset
    return limited
  }

  /** The text of an answer. Throws `Refused`, `Unreachable`, `LoggedOut` and `OutOfTime`. */
  async text(path: string, asked: Asked = {}): Promise<string> {
    const token = await this.options.session.access()
    try {
      return await this.attempt(path, token, asked)
    } catch (error) {
      if (!(error instanceof Refused && error.status === 401)) throw error
      await this.options.session.renew(token)
      return this.attempt(path, await this.options.session.access(), asked)
    }
  }

  /** An answer as a value. One that was cut short does not parse: `Unreachable`. */
  async json<T>(path: string, asked: Asked = {}): Promise<T> {
    return parsed<T>(await this.text(path, asked))
  }

  private async attempt(path: string, token: string, { body, range, seconds }: Asked): Promise<string> {
    const left = this.#until - this.#clock.steady()
    if (left <= 0) throw new OutOfTime('the time for this sync is over')
    const sent = this.#clock.now()
    const headers: Record<string, string> = {
      Authorization: `Bearer ${token}`,
      'X-Client-Time': String(seconds ? sent / 1000 : sent),
      'X-App-Version': this.options.version,
    }
    const json = typeof body === 'string'
    if (json) headers['Content-Type'] = 'application/json'
    if (range) headers['Content-Range'] = range
    const packed = json && body.length > ONE_PACKET ? this.options.gzip?.(body) : undefined
    if (packed) headers['Content-Encoding'] = 'gzip'
    const limit = new AbortController()
    const stop = this.#clock.after(Math.min(PATIENCE_MS, left), () => limit.abort())
    const content = packed ?? body
    let answer, text
    try {
      answer = await this.#fetch(this.options.url + path, {
        method: range ? 'PUT' : json ? 'POST' : 'GET',
        headers,
        ...(content === undefined ? {} : { body: content }),
        signal: limit.signal,
      })
      this.tell(answer.headers.get('Date'), sent)
      text = await answer.text()
    } catch (error) {
      if (this.#clock.steady() >= this.#until) throw new OutOfTime(String(error))
      throw new Unreachable(String(error))
    } finally {
      stop()
    }
    const goesOn = range !== undefined && answer.status === 308 // the upload of a photo
    if (!answer.ok && !goesOn) throw Refused.from(answer.status, answer.headers.get('Retry-After'), text)
    return text
  }

  private tell(date: string | null, sent: number): void {
    const theirs = date ? Date.parse(date) : NaN
    if (!Number.isNaN(theirs)) this.#offset.ms = Math.round((sent + this.#clock.now()) / 2 - theirs)
  }
}

/**
 * An answer's text as a value; throws `Unreachable` for one that was cut short. What the server left out of a request,
 * as columns that it does not know, is logged: names and codes, for whoever builds the app.
 */
export function parsed<T>(text: string): T {
  let answer
  try {
    answer = JSON.parse(text) as T & { readonly ignored?: unknown }
  } catch (error) {
    throw new Unreachable(String(error))
  }
  if (answer?.ignored) console.warn('The server left out:', JSON.stringify(answer.ignored))
  return answer
}
