/** Whether the server can be reached: "connected" is not "online", and a hotel's log-in page is neither. */
import { Store, systemClock, systemFetch, type Clock, type Fetch } from '../ports.js'

/**
 * `offline`: there is no network; without netinfo, also if nothing answers. `unreachable`: the phone is connected, and
 * nothing answers. `captive`: something else than the server answers, as the log-in page of a hotspot does. `unknown`:
 * nobody has looked yet.
 */
export type Reach = 'unknown' | 'offline' | 'unreachable' | 'captive' | 'online'

/** What the phone says of its network: the part of `@react-native-community/netinfo` that the kit uses. */
export interface NetInfo {
  addEventListener(
    listener: (state: {
      readonly isConnected: boolean | null
      readonly details: { readonly isConnectionExpensive?: boolean } | null
    }) => void,
  ): () => void
}

/** What a watcher needs. */
export interface ConnectivityOptions {
  /** The address of the server, without a slash at the end. */
  readonly url: string
  /** The default export of netinfo. Without it only probes tell. */
  readonly netInfo?: NetInfo
  readonly fetch?: Fetch
  readonly clock?: Clock
}

/** How long a probe waits for an answer; pauses between probes while the server is out of reach, ms. */
const PROBE_MS = 8000
const FIRST_PAUSE_MS = 5000
const LONGEST_PAUSE_MS = 5 * 60_000

/** Watches the network, and asks the server itself whether it is there. */
export class Connectivity {
  /** Whether the server can be reached. */
  readonly reach = new Store<Reach>('unknown')

  /** Whether the network costs money; false if the phone does not say. */
  readonly metered = new Store<boolean>(false)

  #connected = false
  #started = false
  #failures = 0
  #round = 0
  #cancel: (() => void) | null = null
  readonly #clock: Clock

  constructor(private readonly options: ConnectivityOptions) {
    this.#clock = options.clock ?? systemClock
  }

  /** Watches until the answer is called. */
  start(): () => void {
    this.#started = true
    const end = this.options.netInfo?.addEventListener(({ isConnected, details }) => {
      this.metered.set(details?.isConnectionExpensive ?? false)
      this.#failures = 0
      this.#connected = isConnected === true
      if (isConnected === false) this.gone()
      else void this.probe()
    })
    if (!this.options.netInfo) void this.probe()
    return () => {
      this.#started = false
      this.#cancel?.()
      end?.()
    }
  }

  /** For `kit.start({ online })`: tells whether the server can be reached, whenever that changes. */
  readonly online = (listener: (online: boolean) => void): (() => void) => {
    const tell = () => {
      const reach = this.reach.get()
      if (reach !== 'unknown') listener(reach === 'online')
    }
    tell()
    return this.reach.subscribe(tell)
  }

  /** Asks the server now: also after a request that failed. */
  async probe(): Promise<Reach> {
    const round = (this.#round += 1)
    const found = await this.ask()
    if (round !== this.#round) return this.reach.get() // the network has changed meanwhile
    this.say(found)
    this.#cancel?.()
    if (found === 'online') this.#failures = 0
    else if (this.#started) {
      const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failures++)
      this.#cancel = this.#clock.after(pause, () => void this.probe())
    }
    return found
  }

  private gone(): void {
    this.#round += 1
    this.#cancel?.()
    this.say('offline')
  }

  private say(reach: Reach): void {
    if (reach !== this.reach.get()) this.reach.set(reach)
  }

  private async ask(): Promise<Reach> {
    const { url, fetch = systemFetch } = this.options
    const limit = new AbortController()
    const stop = this.#clock.after(PROBE_MS, () => limit.abort())
    try {
      const answer = await fetch(`${url}/health`, { method: 'GET', headers: { Accept: 'application/json' }, signal: limit.signal })
      const said = JSON.parse(await answer.text()) as { status?: unknown; error?: unknown } | null
      return said?.status === 'ok' || said?.error ? 'online' : 'captive'
    } catch (error) {
      if (error instanceof SyntaxError) return 'captive'
      return this.#connected ? 'unreachable' : 'offline'
    } finally {
      stop()
    }
  }
}
