import { systemClock, systemFetch, type Clock, type Fetch } from '../ports.js'
import { LoggedOut, Refused, Unreachable } from './errors.js'

/** The two tokens of a log-in. */
export interface Tokens {
  readonly access: string
  readonly refresh: string
}

/** Where the tokens are kept: the platform's keychain, where other apps cannot read them. */
export interface TokenStore {
  load(): Promise<Tokens | null>
  save(tokens: Tokens | null): Promise<void>
}

/** A store in memory: for tests, and for apps that ask for the password at every start. */
export function tokensInMemory(tokens: Tokens | null = null): TokenStore {
  return {
    load: async () => tokens,
    save: async (given) => {
      tokens = given
    },
  }
}

/** What a session needs. */
export interface SessionOptions {
  readonly url: string
  readonly version: string
  readonly tokens: TokenStore
  readonly fetch?: Fetch
  readonly clock?: Clock
}

/** What a log-in says beside e-mail address and password. */
export interface LogIn {
  readonly deviceId?: string
  readonly otp?: string
  /** Called with the user's id before the tokens are kept. What it throws ends the log-in. */
  readonly check?: (userId: string) => Promise<void>
}

/** Longest wait for an answer about tokens, ms. */
const PATIENCE_MS = 30_000

/**
 * Who is logged in. A refresh token is good for one use: its successor is written down before the new access token is
 * used, so an app that dies in between still has one that works. Of several requests that find the token expired, one
 * renews it.
 */
export class Session {
  #tokens: Tokens | null | undefined
  #renewing: Promise<void> | null = null

  constructor(private readonly options: SessionOptions) {}

  /** Logs in. Throws `Refused` (`credentials_wrong`, `otp_missing` …) and `Unreachable`. */
  async logIn(email: string, password: string, more: LogIn = {}): Promise<void> {
    const { deviceId, otp, check } = more
    const given = { ...(deviceId ? { device_id: deviceId } : {}), ...(otp ? { otp } : {}) }
    const answer = await this.post('login', { email, password, ...given })
    try {
      await check?.(String(answer['user_id'] ?? ''))
    } catch (error) {
      await this.post('logout', { refresh_token: answer['refresh_token'] }).catch(() => undefined)
      throw error
    }
    await this.keep(answer)
  }

  /** Logs out: here at once, on the server if it can be reached. */
  async logOut(): Promise<void> {
    const tokens = await this.loaded()
    await this.options.tokens.save(null)
    this.#tokens = null
    if (!tokens) return
    try {
      await this.post('logout', { refresh_token: tokens.refresh })
    } catch (error) {
      if (!(error instanceof Unreachable || error instanceof Refused)) throw error
    }
  }

  /** The access token. Throws `LoggedOut`. */
  async access(): Promise<string> {
    const tokens = await this.loaded()
    if (!tokens) throw new LoggedOut('nobody is logged in')
    return tokens.access
  }

  /**
   * A new access token instead of `spent`; nothing, if somebody has renewed it meanwhile. Throws `Refused` if the user
   * must log in, and `Unreachable`: then the same refresh token is good for another try.
   */
  async renew(spent: string): Promise<void> {
    const tokens = await this.loaded()
    if (!tokens) throw new LoggedOut('nobody is logged in')
    if (tokens.access !== spent) return
    if (!tokens.refresh) throw new LoggedOut('there is no refresh token')
    this.#renewing ??= this.post('refresh', { refresh_token: tokens.refresh })
      .then((answer) => this.keep(answer))
      .finally(() => (this.#renewing = null))
    try {
      await this.#renewing
    } catch (error) {
      // What is in the keychain is no token: to the user the same as one that has ended.
      if (error instanceof Refused && error.status === 400) throw new LoggedOut(error.message, { cause: error })
      throw error
    }
  }

  private async loaded(): Promise<Tokens | null> {
    if (this.#tokens === undefined) this.#tokens = await this.options.tokens.load()
    return this.#tokens
  }

  private async keep({ access_token, refresh_token }: Record<string, unknown>): Promise<void> {
    const tokens = { access: String(access_token), refresh: String(refresh_token) }
    await this.options.tokens.save(tokens) // first: the old one is worth nothing once the new one is used
    this.#tokens = tokens
  }

  private async post(path: string, body: object): Promise<Record<string, unknown>> {
    const { url, version, fetch = systemFetch, clock = systemClock } = this.options
    const limit = new AbortController()
    const stop = clock.after(PATIENCE_MS, () => limit.abort())
    let text, answer
    try {
      answer = await fetch(`${url}/api/v1/auth/${path}`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', 'X-App-Version': version },
        body: JSON.stringify(body),
        signal: limit.signal,
      })
      text = await answer.text()
    } catch (error) {
      throw new Unreachable(String(error))
    } finally {
      stop()
    }
    if (!answer.ok) throw Refused.from(answer.status, answer.headers.get('Retry-After'), text)
    try {
      return JSON.parse(text) as Record<string, unknown>
    } catch (error) {
      throw new Unreachable(String(error))
    }
  }
}
