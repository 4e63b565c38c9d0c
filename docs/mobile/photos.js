'use strict'
const { Unreachable, advice, parsed, request } = require('./request')

/** Bytes of a piece: at first, at least after breaks, at most on a good network. */
const FIRST_PIECE = 64 * 1024
const LEAST_PIECE = 16 * 1024
const MOST_PIECE = 512 * 1024

/** Pieces that take longer than this do not get larger; rest after a break, doubled with each more. */
const SLOW_MS = 10_000
const REST_MS = 1000

/** Most photos in one question; breaks in a row without a new byte; turns of a photo in one round. */
const MOST_ASKED = 50
const MOST_BREAKS = 3
const MOST_TURNS = 5

const RANKS = { red: 0, yellow: 1, green: 2 }

/** Codes after which the photo is read anew and sent again, once; and one that only needs time. */
const SEND_AGAIN = ['wrong_hash', 'wrong_size', 'upload_lost', 'not_processed', 'sha256_in_use']
const LATER = ['unknown_record', 'too_many_at_once']

/** Answers to a piece after which a new ticket is asked for: it says what is wrong, if anything is. */
const NEW_TICKET = [403, 404, 410]

/** Answers that concern all photos alike: the round ends. Others concern one photo. */
const FOR_ALL = [401, 426, 429, 503]

const placeOf = ({ table, record_id, key }) => `photo/${table}/${record_id}/${key}`

/**
 * The photos that are not safely on the server yet. `app.photos` has, beside `store` (as in batch.js):
 *
 *   measure(uri)             {bytes, sha256} of the file, read in pieces
 *   read(uri, first, end)    the bytes from `first` to before `end`, as a Uint8Array
 *   risk(table, record_id)   the record's risk_level: the most urgent go first
 *   settled(photo)           `photo.state` is `ready` or `refused`; may come twice after a crash
 *
 *   photo/TABLE/RECORD/KEY   {table, record_id, key, type, uri, bytes, sha256, state, id, offset, …}
 *
 * `state`: new → upload → checking → ready (then removed), or refused (then it stays for the user)
 */
class Photos {
  constructor(app) {
    this.app = app
    this.piece = FIRST_PIECE
    this.broken = false
    this.failures = 0
    this.running = null
  }

  /** A photo was taken. Its file stays where it is, unchanged, until `settled` says `ready`. */
  async add({ table, record_id, key, type, uri }) {
    await this.keep({ table, record_id, key, type, uri, state: 'new', tries: 0 })
    await this.measured({ table, record_id, key })
  }

  /** The user gives a photo up, or its record has left the phone. */
  async drop(photo) {
    await this.app.photos.store.write({ [placeOf(photo)]: null })
  }

  /** The user wants a refused photo to be sent once more. */
  async again(photo) {
    await this.change(photo, { state: 'new', sha256: null, tries: 0, told: false })
  }

  /** All that are kept, for a screen: `offset` of `bytes` are sent. */
  async list() {
    return (await this.app.photos.store.list('photo/')).map(([, photo]) => photo)
  }

  keep(photo) {
    return this.app.photos.store.write({ [placeOf(photo)]: photo })
  }

  /** Changes a photo that is still kept, and still of the same file. */
  async change(photo, values) {
    const now = await this.app.photos.store.read(placeOf(photo))
    if (!now || (photo.uri && now.uri !== photo.uri)) return null
    await this.keep({ ...now, ...values })
    return { ...now, ...values }
  }

  /** Size and SHA-256 of a photo, computed once. A file that is gone cannot be sent: the user is told. */
  async measured(photo) {
    const { store, measure } = this.app.photos
    const now = await store.read(placeOf(photo))
    if (!now || now.sha256) return now
    let found
    try {
      found = await measure(now.uri)
    } catch {
      return this.change(now, { state: 'refused', code: 'unreadable' })
    }
    return this.change(now, found)
  }

  /** Photos that are neither ready nor refused, the most urgent record's first. */
  async waiting() {
    const ranked = []
    for (const photo of await this.list()) {
      if (photo.state === 'ready' || photo.state === 'refused') continue
      const risk = await this.app.photos.risk(photo.table, photo.record_id).catch(() => null)
      ranked.push([risk in RANKS ? RANKS[risk] : 3, photo])
    }
    return ranked.sort(([one], [two]) => one - two).map(([, photo]) => photo)
  }

  /** `files` of a sync: photos without a ticket, and those that are being checked. */
  async asks() {
    const open = (await this.waiting()).filter(({ state, sha256 }) => state !== 'upload' && sha256)
    return open.slice(0, MOST_ASKED).map(asked)
  }

  /** Takes over the answers to `asks()`, from a sync or from `POST /api/v1/files`. */
  async told(answers) {
    for (const { error, ...answer } of answers) {
      const photo = await this.app.photos.store.read(placeOf(answer))
      if (!photo || !photo.sha256 || (answer.sha256 && answer.sha256 !== photo.sha256)) continue
      if (!error) await this.heard(photo, answer)
      else if (LATER.includes(error.code)) await this.change(photo, { state: 'new' })
      else await this.heard(photo, { ...error, id: answer.id, state: 'refused' })
    }
  }

  /** What the server says of a photo. */
  heard(photo, { id, state, code, message, found, quality, incomplete, upload }) {
    const again = { state: 'new', sha256: null, code, tries: photo.tries + 1 }
    if (state === 'refused' && photo.tries < 1) {
      if (SEND_AGAIN.includes(code)) return this.change(photo, again)
      // Pickers call a HEIC a JPEG: the server says what it is.
      if (code === 'wrong_type' && found) return this.change(photo, { ...again, type: found })
    }
    const offset = upload ? upload.offset : photo.bytes
    return this.change(photo, { id, state, code, message, quality, incomplete, offset })
  }

  /** The one function that the app calls, after each sync. Never throws: says what to do next. */
  send() {
    this.running = this.running || this.once().finally(() => (this.running = null))
    return this.running
  }

  async once() {
    try {
      await this.sendNow()
      if ((await this.waiting()).length === 0) {
        this.failures = 0
        return { next: 'rest' }
      }
      // Their records are not on the server yet, or the check takes longer.
      return { next: 'retry', seconds: Math.min(300, 5 * 2 ** this.failures++) }
    } catch (error) {
      return advice(error, this.failures++)
    }
  }

  /** One photo after the other until nothing can be done now. A bad one does not hold up the others. */
  async sendNow() {
    const turns = new Map()
    let fault = null
    for (;;) {
      await this.tell()
      const tired = (photo) => (turns.get(placeOf(photo)) || 0) >= MOST_TURNS
      const left = (await this.waiting()).filter((photo) => !tired(photo))
      if (left.length === 0) break
      const [photo] = left
      if (photo.state !== 'upload') {
        await this.ask(left.filter(({ state }) => state !== 'upload').slice(0, MOST_ASKED), turns)
        continue
      }
      try {
        turns.set(placeOf(photo), (turns.get(placeOf(photo)) || 0) + 1)
        await this.upload(photo)
      } catch (error) {
        if (error instanceof Unreachable || FOR_ALL.includes(error.status)) throw error
        fault = fault || error
        turns.set(placeOf(photo), MOST_TURNS)
      }
    }
    if (fault) throw fault
  }

  /** Tells the app what became of photos; what is ready needs no place any more. */
  async tell() {
    for (const photo of await this.list()) {
      const over = photo.state === 'ready' || (photo.state === 'refused' && !photo.told)
      if (!over) continue
      await this.app.photos.settled(photo)
      if (photo.state === 'ready') await this.drop(photo)
      else await this.change(photo, { told: true })
    }
  }

  /** Asks for tickets. Who gets none now is not asked for again in this round. */
  async ask(photos, turns) {
    const ready = []
    for (const photo of photos) {
      const now = await this.measured(photo)
      if (now && now.state !== 'refused') ready.push(now)
    }
    if (ready.length === 0) return
    const body = JSON.stringify({ files: ready.map(asked) })
    const { files } = parsed(await this.request('/api/v1/files', body))
    await this.told(files)
    ready.forEach((photo, at) => {
      const before = turns.get(placeOf(photo)) || 0
      turns.set(placeOf(photo), files[at].state === 'upload' ? before + 1 : MOST_TURNS)
    })
  }

  /** Sends a photo from where the server is. Returns when all is there, or a new ticket is needed. */
  async upload(photo) {
    let { offset } = photo
    let [reached, breaks] = [offset || 0, 0]
    for (;;) {
      const asks = offset === null
      let answer
      try {
        answer = await this.put(photo, offset)
      } catch (error) {
        offset = null // nobody knows how much of the piece arrived: ask
        await this.change(photo, { offset })
        if (NEW_TICKET.includes(error.status) || error.code === 'wrong_size')
          return this.change(photo, { state: 'new', sha256: null })
        if (!(error instanceof Unreachable) || ++breaks > MOST_BREAKS) throw error
        this.piece = Math.max(LEAST_PIECE, Math.floor(this.piece / 2))
        this.broken = true
        // The server may not have noticed yet that the line is dead: what came must be kept first.
        await new Promise((done) => setTimeout(done, REST_MS * 2 ** (breaks - 1)))
        continue
      }
      if (answer.state !== 'upload') return this.heard(photo, answer)
      offset = answer.upload.offset
      if (offset > reached) [reached, breaks] = [offset, 0]
      else if (!asks && ++breaks > MOST_BREAKS) return this.change(photo, { state: 'new' })
      photo = await this.change(photo, { offset })
      if (!photo) return null // the user has dropped it
    }
  }

  /** Sends the piece that begins at `offset`; null asks how far the upload is. */
  async put(photo, offset) {
    const path = `/api/v1/files/${photo.id}/content`
    if (offset === null) return parsed(await this.request(path, undefined, `bytes */${photo.bytes}`))
    const end = Math.min(photo.bytes, offset + this.piece)
    const bytes = await this.app.photos.read(photo.uri, offset, end)
    const began = this.app.now()
    const range = `bytes ${offset}-${end - 1}/${photo.bytes}`
    const answer = parsed(await this.request(path, bytes, range))
    // Twice as large while all goes well; after the first break by small steps.
    const larger = this.broken ? this.piece + LEAST_PIECE : 2 * this.piece
    if (this.app.now() - began < SLOW_MS) this.piece = Math.min(MOST_PIECE, larger)
    return answer
  }

  /** One attempt; after a 401 a second one with a new token. */
  async request(path, body, range) {
    const { app } = this
    const attempt = () => request(app, path, app.now() / 1000, body, range)
    try {
      return await attempt()
    } catch (error) {
      if (error.status !== 401) throw error
      await app.refreshToken()
      return attempt()
    }
  }
}

/** A photo as tickets are asked for. */
function asked({ table, record_id, key, type, bytes, sha256 }) {
  return { table, record_id, key, type, bytes, sha256 }
}

/** `app.photos.store` for WatermelonDB apps: on its local storage, one change after the other. */
function photoStore({ localStorage }) {
  let last = Promise.resolve()
  const all = async () => (await localStorage.get('photos')) || {}
  const change = async (values) => {
    const kept = { ...(await all()), ...values }
    for (const [key, value] of Object.entries(values)) if (value === null) delete kept[key]
    await localStorage.set('photos', kept)
  }
  return {
    read: async (key) => (await all())[key],
    list: async (prefix) => Object.entries(await all()).filter(([key]) => key.startsWith(prefix)),
    write(values) {
      const step = last.then(() => change(values))
      last = step.catch(() => {})
      return step
    },
  }
}

module.exports = { Photos, photoStore }
