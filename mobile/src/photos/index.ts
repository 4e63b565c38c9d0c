/** Photos that are not safely on the server yet: sent after the records, in pieces, the most urgent first. */
import { Store, systemClock, type Clock, type Random } from '../ports.js'
import { shelfOf, type HasLocalStorage } from '../records/shelf.js'
import { Sha256Stream } from '../sha256.js'
import { advice, Refused, Unreachable, type Outcome } from '../sync/errors.js'
import type { Asked, Server } from '../sync/server.js'

/** Which photo: one of a record, under a key of its own. */
export interface PhotoName {
  readonly table: string
  readonly record_id: string
  readonly key: string
}

/**
 * A photo that waits. `state`: new → upload → checking → ready (then removed), or refused (then it stays for the user).
 */
export interface Photo extends PhotoName {
  /** Like `image/jpeg`. */
  readonly type: string
  /** Where its file is. It stays there, unchanged, until the photo is ready. */
  readonly uri: string
  readonly state: 'new' | 'upload' | 'checking' | 'ready' | 'refused'
  readonly bytes?: number | null
  readonly sha256?: string | null
  readonly id?: string | null
  /** How many bytes the server has; null if nobody knows. */
  readonly offset?: number | null
  /** Why it was refused; what to do; what the server thinks of its quality. */
  readonly code?: string | null
  readonly message?: string | null
  readonly quality?: unknown
  readonly incomplete?: boolean | null
  readonly tries: number
  /** The app was told of its refusal. */
  readonly told?: boolean
}

/** The files of the phone. */
export interface PhotoFiles {
  /** How many bytes a file has. Throws if it is gone. */
  size(uri: string): Promise<number>
  /** The bytes from `first` to before `end`. */
  read(uri: string, first: number, end: number): Promise<Uint8Array<ArrayBuffer>>
}

/** What a queue of photos needs. */
export interface PhotoOptions {
  /** The WatermelonDB database; in the batch dialect `storageOf(store)`. */
  readonly database: HasLocalStorage
  readonly server: Server
  readonly files: PhotoFiles
  /** The urgency of a record: `red` goes first, then `yellow`, `green`, and what has none. */
  readonly risk: (photo: PhotoName) => Promise<string | null>
  /** The photo is `ready`, or was `refused`; may be called twice if the app dies meanwhile. */
  readonly settled?: (photo: Photo) => Promise<void>
  /** Photos may wait for a network that costs nothing: `connectivity.metered`. Red ones never do. */
  readonly wifiOnly?: () => boolean
  /** Whether the network costs money. */
  readonly metered?: () => boolean
  /** Most bytes of photos that may wait on this phone. */
  readonly budgetBytes?: number
  readonly clock?: Clock
  readonly random?: Random
}

/** When photos go by themselves. Each function takes a listener and returns what ends it. */
export interface PhotoSignals {
  /** `connectivity.online`: photos go when it becomes true, and none while it is false. */
  readonly online?: (listener: (online: boolean) => void) => () => void
  /** `connectivity.metered.subscribe`: photos that waited for a network that costs nothing go at once. */
  readonly metered?: (listener: () => void) => () => void
}

/** There is no room for another photo: the user sends, or gives up, some that wait. */
export class NoRoom extends Error {
  override readonly name = 'NoRoom'
}

/** Bytes of a piece: at first, at least after breaks, at most on a good network. */
const FIRST_PIECE = 64 * 1024
const LEAST_PIECE = 16 * 1024
const MOST_PIECE = 512 * 1024

/** Pieces that take longer than this do not get larger; rest after a break, doubled with each more. */
const SLOW_MS = 10_000
const REST_MS = 1000

/** A photo that was just taken waits so long: the sync of its record is quicker, and sends it with the next `trigger`. */
const RECORD_FIRST_SECONDS = 3

/** Most photos in one question; breaks in a row without a new byte; turns of a photo in one round. */
const MOST_ASKED = 50
const MOST_BREAKS = 3
const MOST_TURNS = 5

const RANKS: Readonly<Record<string, number>> = { red: 0, yellow: 1, green: 2 }

/** Codes after which the photo is read anew and sent again, once; and those that only need time. */
const SEND_AGAIN = ['wrong_hash', 'wrong_size', 'upload_lost', 'not_processed', 'sha256_in_use']
const LATER = ['unknown_record', 'too_many_at_once']

/** Answers to a piece after which a new ticket is asked for: it says what is wrong, if anything is. */
const NEW_TICKET = [403, 404, 410]

/** Answers that concern all photos alike: the round ends. Others concern one photo. */
const FOR_ALL = [401, 426, 429, 503]

/** What the server says of a photo. */
interface Said {
  readonly id?: string
  readonly state: Photo['state']
  readonly code?: string
  readonly message?: string
  readonly found?: string
  readonly quality?: unknown
  readonly incomplete?: boolean
  readonly upload?: { offset: number }
}

type Told = Said & PhotoName & { sha256?: string; error?: { code: string; message: string; found?: string } }

/** The file of a photo cannot be read any more. */
class Gone extends Error {}

/** A photo as places are asked for. */
const asked = ({ table, record_id, key, type, bytes, sha256 }: Photo): object => ({
  table, record_id, key, type, bytes, sha256,
}) // prettier-ignore

const place = ({ table, record_id, key }: PhotoName): string => `${table}/${record_id}/${key}`

/** The queue of photos. It is kept in the database, and goes on after the app was killed where the server is. */
export class PhotoQueue {
  /** All that wait, for a screen: `offset` of `bytes` are sent. */
  readonly photos = new Store<readonly Photo[]>([])

  #piece = FIRST_PIECE
  #broken = false
  #failures = 0
  #running: Promise<Outcome> | null = null
  #added = false
  #online = true
  #cancel: (() => void) | null = null
  #ends: (() => void)[] | null = null
  readonly #clock: Clock

  constructor(private readonly options: PhotoOptions) {
    this.#clock = options.clock ?? systemClock
  }

  /**
   * A photo was taken: its file stays as it is until the photo is `ready`. Throws `NoRoom` if it would be more than the
   * phone may keep; then nothing is kept of it.
   */
  async add(photo: PhotoName & { readonly type: string; readonly uri: string }): Promise<void> {
    const { table, record_id, key, type, uri } = photo
    const bytes = await this.options.files.size(uri)
    await this.shelf.change((kept) => {
      const waiting = Object.values(kept).reduce((sum, each) => sum + (each.bytes ?? 0), 0)
      if (waiting + bytes > (this.options.budgetBytes ?? Infinity))
        throw new NoRoom(`${waiting} bytes of photos wait; ${bytes} more are over the budget`)
      kept[place(photo)] = { table, record_id, key, type, uri, bytes, state: 'new', tries: 0 }
    })
    await this.measured(photo)
    this.#added = true
    this.trigger(RECORD_FIRST_SECONDS)
    await this.list()
  }

  /** The user gives a photo up, or its record has left the phone. */
  async drop(photo: PhotoName): Promise<void> {
    await this.shelf.change((kept) => void delete kept[place(photo)])
    await this.list()
  }

  /** The user wants a refused photo to be sent once more. */
  async again(photo: PhotoName): Promise<void> {
    await this.change(photo, { state: 'new', sha256: null, tries: 0, told: false })
    this.trigger()
  }

  /** All that are kept. */
  async list(): Promise<readonly Photo[]> {
    const photos = Object.values(await this.shelf.all())
    if (JSON.stringify(photos) !== JSON.stringify(this.photos.get())) this.photos.set(photos)
    return photos
  }

  /** Sends now: what an app calls that has not called `start`. Never throws: says what to do next. */
  send(): Promise<Outcome> {
    this.#running ??= this.once().finally(() => (this.#running = null))
    return this.#running
  }

  /** `files` of a sync in the batch dialect: photos without a place, and those that are being checked. */
  async asks(): Promise<readonly object[]> {
    const open = (await this.waiting()).filter(({ state, sha256 }) => state !== 'upload' && sha256)
    return open.slice(0, MOST_ASKED).map(asked)
  }

  /** Takes over the answers to `asks`. */
  async told(answers: readonly object[]): Promise<void> {
    for (const { error, ...said } of answers as readonly Told[]) {
      const photo = await this.shelf.get(place(said))
      if (!photo?.sha256 || (said.sha256 && said.sha256 !== photo.sha256)) continue
      if (!error) await this.heard(photo, said)
      else if (LATER.includes(error.code)) await this.change(photo, { state: 'new' })
      else await this.heard(photo, { ...error, ...(said.id ? { id: said.id } : {}), state: 'refused' })
    }
  }

  /** Sends by itself from now on: photos that are taken, and after each pause. The answer stops that. */
  start({ online, metered }: PhotoSignals = {}): () => void {
    this.stop()
    const ends = [
      online?.((now) => {
        this.#online = now
        if (now) this.trigger()
      }),
      metered?.(() => this.trigger()),
    ]
    this.#ends = ends.filter((end) => end !== undefined)
    this.trigger()
    return () => this.stop()
  }

  /** Photos may go: after a sync, or when the user has changed what they wait for. Does nothing before `start`. */
  trigger(seconds = 0): void {
    if (this.#ends && this.#online) this.later(seconds)
  }

  private later(seconds: number): void {
    this.#cancel?.()
    this.#cancel = this.#clock.after(1000 * seconds, () => {
      this.#cancel = null
      void this.send().then(async ({ next, seconds = 0 }) => {
        // One that was taken while the last one ended is not in that round.
        const missed = next === 'rest' && (await this.waiting().catch(() => [])).length > 0
        if (this.#ends && this.#online && !this.#cancel && (missed || next === 'retry')) this.later(missed ? 0 : seconds)
      })
    })
  }

  private stop(): void {
    for (const end of this.#ends ?? []) end()
    this.#ends = null
    this.#cancel?.()
    this.#cancel = null
  }

  private get shelf() {
    return shelfOf<Photo>(this.options.database, 'kit/photos')
  }

  private async once(): Promise<Outcome> {
    const random = this.options.random ?? Math.random
    try {
      await this.round()
      if ((await this.waiting()).length === 0) {
        this.#failures = 0
        return { next: 'rest' }
      }
      // Their records are not on the server yet, or the check takes longer.
      return { next: 'retry', seconds: Math.min(300, 5 * 2 ** this.#failures++) * (0.5 + random() / 2) }
    } catch (error) {
      return advice(error, this.#failures++, random)
    }
  }

  /** One photo after the other until nothing can be done now. A bad one does not hold up the others. */
  private async round(): Promise<void> {
    const turns = new Map<string, number>()
    let fault: unknown = null
    for (;;) {
      await this.tell()
      const left = (await this.waiting()).filter((photo) => (turns.get(place(photo)) ?? 0) < MOST_TURNS)
      const [photo] = left
      if (!photo) break
      if (photo.state !== 'upload') {
        await this.ask(left.filter(({ state }) => state !== 'upload').slice(0, MOST_ASKED), turns)
        continue
      }
      try {
        const turn = turns.get(place(photo)) ?? 0
        turns.set(place(photo), turn + 1)
        if (await this.upload(photo)) turns.set(place(photo), turn) // it was overtaken, and goes on later
      } catch (error) {
        if (!(error instanceof Refused) || FOR_ALL.includes(error.status)) throw error
        fault ??= error
        turns.set(place(photo), MOST_TURNS)
      }
    }
    if (fault) throw fault
  }

  private async rankOf(photo: PhotoName): Promise<number> {
    const risk = await this.options.risk(photo).catch(() => null)
    return RANKS[risk ?? ''] ?? 3
  }

  /** Whether a more urgent photo was taken meanwhile: nobody with a red case waits for the end of a large green photo. */
  private async overtaken(photo: Photo): Promise<boolean> {
    if (!this.#added) return false
    this.#added = false
    const [first] = await this.waiting()
    return first !== undefined && (await this.rankOf(first)) < (await this.rankOf(photo))
  }

  /** Photos that may go now, the most urgent first. */
  private async waiting(): Promise<Photo[]> {
    const ranked: [number, Photo][] = []
    for (const photo of await this.list()) {
      if (photo.state === 'ready' || photo.state === 'refused') continue
      ranked.push([await this.rankOf(photo), photo])
    }
    const held = (this.options.wifiOnly?.() ?? false) && (this.options.metered?.() ?? false)
    return ranked
      .filter(([rank]) => rank === 0 || !held)
      .sort(([one], [two]) => one - two)
      .map(([, photo]) => photo)
  }

  /** Tells the app what became of photos; what is ready needs no place any more. */
  private async tell(): Promise<void> {
    for (const photo of await this.list()) {
      if (photo.state !== 'ready' && (photo.state !== 'refused' || photo.told)) continue
      await this.options.settled?.(photo)
      if (photo.state === 'ready') await this.drop(photo)
      else await this.change(photo, { told: true })
    }
  }

  /** Asks for tickets. Who gets none now is not asked for again in this round. */
  private async ask(photos: readonly Photo[], turns: Map<string, number>): Promise<void> {
    const ready: Photo[] = []
    for (const photo of photos) {
      const now = await this.measured(photo)
      if (now && now.state !== 'refused') ready.push(now)
    }
    if (ready.length === 0) return
    const body = JSON.stringify({ files: ready.map(asked) })
    const answer = await this.request<{ files: Told[] }>('/api/v1/files', { body })
    await this.told(answer.files)
    for (const [at, photo] of ready.entries())
      turns.set(place(photo), answer.files[at]?.state === 'upload' ? (turns.get(place(photo)) ?? 0) + 1 : MOST_TURNS)
  }

  /** What the server says of a photo. */
  private heard(photo: Photo, { id, state, code, message, found, quality, incomplete, upload }: Said) {
    const again = { state: 'new', sha256: null, code: code ?? null, tries: photo.tries + 1 } as const
    if (state === 'refused' && photo.tries < 1) {
      if (SEND_AGAIN.includes(code ?? '')) return this.change(photo, again)
      // Pickers call a HEIC a JPEG: the server says what it is.
      if (code === 'wrong_type' && found) return this.change(photo, { ...again, type: found })
    }
    return this.change(photo, {
      id: id ?? photo.id ?? null,
      state,
      code: code ?? null,
      message: message ?? null,
      quality: quality ?? null,
      incomplete: incomplete ?? null,
      offset: upload ? upload.offset : (photo.bytes ?? null),
    })
  }

  /** Size and SHA-256 of a photo, computed once. A file that is gone cannot be sent: the user is told. */
  private async measured(photo: PhotoName): Promise<Photo | null> {
    const now = await this.shelf.get(place(photo))
    if (!now || now.sha256) return now ?? null
    const { files } = this.options
    try {
      const bytes = await files.size(now.uri)
      const hash = new Sha256Stream()
      for (let at = 0; at < bytes; at += MOST_PIECE) hash.add(await files.read(now.uri, at, Math.min(bytes, at + MOST_PIECE)))
      return await this.change(now, { bytes, sha256: hash.hex() })
    } catch {
      return this.change(now, { state: 'refused', code: 'unreadable' })
    }
  }

  /**
   * Sends a photo from where the server is. Returns when all is there, when a new ticket is needed, or, with true, when a
   * more urgent photo is waiting.
   */
  private async upload(photo: Photo): Promise<boolean> {
    let offset = photo.offset ?? null
    let reached = offset ?? 0
    for (let breaks = 0; ; ) {
      const asks = offset === null
      let answer: Said
      try {
        answer = await this.put(photo, offset)
      } catch (error) {
        if (error instanceof Gone) {
          await this.change(photo, { state: 'refused', code: 'unreadable' })
          return false
        }
        offset = null // nobody knows how much of the piece arrived: ask
        await this.change(photo, { offset })
        if (error instanceof Refused && (NEW_TICKET.includes(error.status) || error.code === 'wrong_size')) {
          await this.change(photo, { state: 'new', sha256: null })
          return false
        }
        if (!(error instanceof Unreachable) || ++breaks > MOST_BREAKS) throw error
        this.#piece = Math.max(LEAST_PIECE, Math.floor(this.#piece / 2))
        this.#broken = true
        // The server may not have noticed yet that the line is dead: what came must be kept first.
        await new Promise<void>((done) => this.#clock.after(REST_MS * 2 ** (breaks - 1), done))
        continue
      }
      if (answer.state !== 'upload' || !answer.upload) {
        await this.heard(photo, answer)
        return false
      }
      offset = answer.upload.offset
      if (offset > reached) {
        reached = offset
        breaks = 0
      } else if (!asks && ++breaks > MOST_BREAKS) {
        await this.change(photo, { state: 'new' })
        return false
      }
      const now = await this.change(photo, { offset })
      if (!now) return false // the user has dropped it
      if (await this.overtaken(now)) return true
      photo = now
    }
  }

  /** Sends the piece that begins at `offset`; null asks how far the upload is. */
  private async put(photo: Photo, offset: number | null): Promise<Said> {
    const path = `/api/v1/files/${photo.id}/content`
    const bytes = photo.bytes ?? 0
    if (offset === null) return this.request(path, { range: `bytes */${bytes}` })
    const end = Math.min(bytes, offset + this.#piece)
    const piece = await this.options.files.read(photo.uri, offset, end).catch((error: unknown) => {
      throw new Gone(String(error))
    })
    const began = this.#clock.steady()
    const answer = await this.request<Said>(path, { body: piece, range: `bytes ${offset}-${end - 1}/${bytes}` })
    // Twice as large while all goes well; after the first break by small steps.
    const larger = this.#broken ? this.#piece + LEAST_PIECE : 2 * this.#piece
    if (this.#clock.steady() - began < SLOW_MS) this.#piece = Math.min(MOST_PIECE, larger)
    return answer
  }

  private request<T>(path: string, asked: Asked): Promise<T> {
    return this.options.server.json<T>(path, { ...asked, seconds: true })
  }

  /** Changes a photo that is still kept, and still of the same file. */
  private async change(photo: PhotoName & { uri?: string }, values: Partial<Photo>): Promise<Photo | null> {
    const changed = await this.shelf.change((kept) => {
      const now = kept[place(photo)]
      if (!now || (photo.uri && now.uri !== photo.uri)) return null
      return (kept[place(photo)] = { ...now, ...values })
    })
    await this.list()
    return changed
  }
}
