import type { Database } from '@nozbe/watermelondb'
import { History } from './history.js'
import type { Clock, Fetch, Random, Sha256 } from './ports.js'
import { deviceId, type Phone } from './sync/phone.js'
import { SyncExecutor, type Signals, type SyncAsked } from './sync/executor.js'
import { OtherUser, type Outcome } from './sync/errors.js'
import { Server } from './sync/server.js'
import { Session, type TokenStore } from './sync/session.js'

/** What a kit needs. Only the first five have no default. */
export interface KitOptions {
  readonly database: Database
  /** `contents` of the product's module. */
  readonly contents: Phone['contents']
  /** The address of the server, without a slash at the end. */
  readonly url: string
  /** Addresses that this server had before. A database that was synced with another server is not synced. */
  readonly formerUrls?: readonly string[]
  /** The app's version, like `1.4.0`. */
  readonly version: string
  /** Where the tokens are kept: the platform's keychain. */
  readonly tokens: TokenStore
  readonly fetch?: Fetch
  readonly clock?: Clock
  readonly random?: Random
  readonly sha256?: Sha256
  readonly gzip?: (text: string) => Uint8Array<ArrayBuffer>
  /**
   * The first sync goes unparsed into the database: for SQLite with JSI, whose native code reads it (`unsafeTurbo` of
   * WatermelonDB). On a bad line it comes in pages all the same.
   */
  readonly turbo?: boolean
  /** Called after every sync: for photos and for what else goes on from there. */
  readonly after?: (outcome: Outcome) => Promise<void>
}

/** The parts put together, for one user's database. Each of them works alone, too. */
export class CareKit {
  readonly session: Session
  readonly server: Server
  readonly history: History
  readonly executor: SyncExecutor

  constructor(private readonly options: KitOptions) {
    const { database, tokens, after, turbo, formerUrls, contents, url, version, ...ports } = options
    const { fetch, clock, random, sha256, gzip } = ports
    const shared = { url, version, ...(fetch && { fetch }), ...(clock && { clock }) }
    this.session = new Session({ ...shared, tokens })
    this.server = new Server({ ...shared, session: this.session, ...(gzip && { gzip }), ...(formerUrls && { formerUrls }) })
    this.history = new History(database)
    this.executor = new SyncExecutor({
      database,
      contents,
      server: this.server,
      history: this.history,
      ...(clock && { clock }),
      ...(random && { random }),
      ...(sha256 && { sha256 }),
      ...(after && { after }),
      ...(turbo && { turbo }),
    })
  }

  /**
   * Logs in as the user of this database, and syncs if `start` was called. Throws `Refused`, `Unreachable`, and `OtherUser`
   * if the database belongs to somebody else.
   */
  async logIn(email: string, password: string, otp?: string): Promise<void> {
    const { database, random = Math.random } = this.options
    const device = await deviceId({ database, random })
    const check = async (userId: string) => {
      const before = await database.localStorage.get<string>('kit/user')
      if (before && userId && before !== userId) throw new OtherUser('this database belongs to somebody else: open a database for each user')
      if (userId) await database.localStorage.set('kit/user', userId)
    }
    await this.session.logIn(email, password, { deviceId: device, check, ...(otp ? { otp } : {}) })
    this.executor.loggedIn()
  }

  /** Syncs now. Never throws. */
  sync(asked?: SyncAsked): Promise<Outcome> {
    return this.executor.sync(asked)
  }

  /** Syncs by itself from now on. The answer stops that. */
  start(signals?: Signals): () => void {
    void this.history.load()
    return this.executor.start(signals)
  }
}
