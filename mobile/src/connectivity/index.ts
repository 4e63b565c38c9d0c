/** Whether the server can be reached: "connected" is not "online", and a hotel's log-in page is neither. */
import { Store, systemClock, systemFetch, type Clock, type Fetch, type Random } from '../ports.js'

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
      readonly type?: string
      readonly isConnected: boolean | null
      readonly isInternetReachable?: boolean | null
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
  /**
   * An address of plain HTTP that answers 204, such as those that phones ask themselves. A hotspot cannot answer for the
   * server over HTTPS: only on such an address its log-in page is seen. Apps must allow plain HTTP for it.
   */
  readonly plainUrl?: string
  readonly fetch?: Fetch
  readonly clock?: Clock
  readonly random?: Random
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
    let before = ''
    const end = this.options.netInfo?.addEventListener(({ type, isConnected, isInternetReachable, details }) => {
      const metered = details?.isConnectionExpensive ?? false
      // Phones tell of every change of the signal's strength, too: that is no other network.
      const now = JSON.stringify([type, isConnected, isInternetReachable, metered])
      if (now === before) return
      before = now
      this.metered.set(metered)
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

  /**
   * Asks the server also when a sync got no answer: `connectivity.follow(kit.executor.status)`. Then the next one waits
   * until the server is there, and begins at once. The answer ends that.
   */
  follow(status: Store<{ readonly phase: string; readonly code: string }>): () => void {
    return status.subscribe(() => {
      const { phase, code } = status.get()
      if (phase === 'idle' && code === 'Unreachable' && this.reach.get() === 'online') void this.probe()
    })
  }

  /** Asks the server now. */
  async probe(): Promise<Reach> {
    const round = (this.#round += 1)
    const found = await this.ask()
    if (round !== this.#round) return this.reach.get() // the network has changed meanwhile
    this.say(found)
    this.#cancel?.()
    if (found === 'online') this.#failures = 0
    else if (this.#started) {
      const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failures++)
      const pause = longest * (0.5 + (this.options.random ?? Math.random)() / 2)
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
    const { url, plainUrl, netInfo } = this.options
    const said = await this.read(`${url}/health`)
    if (said) return reachOf(said)
    if (netInfo && !this.#connected) return 'offline'
    const plain = plainUrl ? await this.read(plainUrl) : null
    if (plain && plain.status !== 204) return 'captive'
    return this.#connected || plain ? 'unreachable' : 'offline'
  }

  /** An answer, whoever gives it; null if there is none in time. */
  private async read(url: string): Promise<Said | null> {
    const { fetch = systemFetch } = this.options
    const limit = new AbortController()
    const stop = this.#clock.after(PROBE_MS, () => limit.abort())
    try {
      const answer = await fetch(url, { method: 'GET', headers: { Accept: 'application/json' }, signal: limit.signal })
      return { status: answer.status, text: await answer.text() }
    } catch {
      return null
    } finally {
      stop()
    }
  }
}

interface Said {
  readonly status: number
  readonly text: string
}

/** Who answers. The server does in JSON; a proxy whose server is gone has a page of its own, with 502, 503 or 504. */
function reachOf({ status, text }: Said): Reach {
  try {
    const said = JSON.parse(text) as { status?: unknown; error?: unknown } | null
    return said?.status === 'ok' || said?.error ? 'online' : 'captive'
  } catch {
    return status >= 500 && status !== 511 ? 'unreachable' : 'captive' // 511: "log in to the network", RFC 6585
  }
}
