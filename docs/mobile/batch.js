'use strict'
const { MOST_ROWS, Unreachable, advice, fewer, more, parsed, request } = require('./request')
const { differing, tableDigest } = require('./digest')

/** Most edits in one request; fewer after a 413, and when one breaks off again and again. */
const EDITS_A_REQUEST = 500

/** Rows of others that the answer to edits may bring: it must be short, or a bad line never ends it. */
const BESIDE_EDITS = 20

/** Times that the same edits are sent with the same bytes, before they go in smaller parts. */
const SAME_BYTES = 3

/** Codes after which the phone must let go of a record; what it said is kept on the server. */
const LET_GO = ['deleted', 'moved']

/**
 * A phone with the batch dialect. `app.store` is a table of keys and JSON values:
 *
 *   read(key)       the value, or undefined
 *   list(prefix)    [[key, value] …] of the keys that begin with it
 *   write(values)   {key: value, or null to remove it}: all or nothing, on disk when it resolves
 *
 *   row/TABLE/ID        what the app shows
 *   edit/TABLE/ID       what is not sent yet: {number, changed: {column: number}, record}
 *   sent                the request that has no answer yet: {body, edits, more, aside, tries}
 *   reading             a listing that is not at its end: {page, passed, again}
 *   unseen              rows that a listing of everything has not brought so far
 *   refused/TABLE/ID    an edit that the server did not take: the user mends it
 *   notice/TABLE/ID/…   what lost, was overwritten, or is not the phone's any more: the user reads it
 *   cursor, device_id, clock_offset_ms, in_doubt, page_rows
 */
class BatchPhone {
  constructor(app, photos = null) {
    this.app = app
    this.photos = photos // of photos.js: tickets are asked for in the same request as records
    this.size = EDITS_A_REQUEST
    this.failures = 0
    this.running = null
  }

  /** The user saves a record: what is shown and what is to be sent, in one write. */
  async save(table, id, values) {
    const { store, now, contents } = this.app
    const row = await store.read(`row/${table}/${id}`)
    const edit = await store.read(`edit/${table}/${id}`)
    const before = edit || (await store.read(`refused/${table}/${id}`)) || {}
    const { sync_status = row ? 'dirty' : 'new' } = row ? before.record || {} : {}
    const number = (before.number || 0) + 1
    const last_modified_at = now() / 1000
    const shown = { created_at: last_modified_at, ...row, ...values, id, last_modified_at }
    const changed = { ...before.changed }
    for (const name of Object.keys(values)) changed[name] = number
    const record = { ...values, id, sync_status, last_modified_at }
    // Of the server's own columns only those that say which version was edited, and where.
    for (const name of [...Object.keys(contents[table]), 'scope_id', 'created_at', 'updated_at'])
      if (shown[name] !== undefined) record[name] = shown[name]
    await store.write({
      [`row/${table}/${id}`]: shown,
      [`edit/${table}/${id}`]: { number, changed, record },
      [`refused/${table}/${id}`]: null,
    })
  }

  /** The user deletes a record. */
  async remove(table, id) {
    const { store, now } = this.app
    const edit = await store.read(`edit/${table}/${id}`)
    const record = { id, sync_status: 'deleted', last_modified_at: now() / 1000 }
    await store.write({
      [`row/${table}/${id}`]: null,
      [`edit/${table}/${id}`]: { number: edit ? edit.number + 1 : 1, record },
      [`refused/${table}/${id}`]: null,
    })
  }

  /** The one function that the app calls. Never throws: says what to do next. */
  sync() {
    this.running = this.running || this.once().finally(() => (this.running = null))
    return this.running
  }

  async once() {
    try {
      await this.syncNow()
      if (await this.app.store.read('in_doubt')) await this.verify()
      this.failures = 0
      return { next: 'rest' }
    } catch (error) {
      return advice(error, this.failures++)
    }
  }

  /** Sends all edits, and takes all pages. Throws `Refused` and `Unreachable`; nothing is lost. */
  async syncNow() {
    const { store } = this.app
    for (;;) {
      const interrupted = await store.read('sent')
      const sent = interrupted || (await this.prepare())
      let answer
      try {
        answer = await this.send(sent.body)
      } catch (error) {
        await this.recover(error, sent)
        if (error.status === 413 && Object.keys(sent.edits).length > 1) continue
        throw error
      }
      this.failures = 0 // something came through: the next pause is a short one
      const again = await this.apply(answer, sent)
      if (this.photos) await this.photos.told(answer.files || [])
      if (!again && !sent.more && !interrupted) return
    }
  }

  /** The next request. With edits it is kept before it is sent: without an answer, the same bytes go again. */
  async prepare() {
    const { store, contents } = this.app
    const order = Object.keys(contents)
    const all = (await store.list('edit/'))
      .map(([key, edit]) => ({ key, ...edit, table: key.split('/')[1] }))
      .sort((one, two) => order.indexOf(one.table) - order.indexOf(two.table))
    const reading = await store.read('reading')
    const device_id = await this.device()
    const rows = (await store.read('page_rows')) || MOST_ROWS
    if (all.length === 0 && reading) {
      const body = JSON.stringify({ device_id, page: reading.page, limit: rows })
      return { body, edits: {}, page: true }
    }
    const [changes, edits] = [{}, {}]
    for (const { key, table, number, changed, record } of all.slice(0, this.size)) {
      const named = changed && record.sync_status === 'dirty' && { changed: Object.keys(changed) }
      changes[table] = [...(changes[table] || []), { ...record, ...named }]
      edits[key] = number
    }
    const count = Object.keys(edits).length
    const files = this.photos ? await this.photos.asks() : []
    const body = JSON.stringify({
      last_sync_timestamp: (await store.read('cursor')) || 0,
      device_id,
      changes,
      limit: reading ? 1 : count ? count + BESIDE_EDITS : rows,
      ...(files.length > 0 && { files }),
    })
    const sent = { body, edits, more: all.length > count, aside: Boolean(reading), tries: 0 }
    if (count > 0) await store.write({ sent })
    return sent
  }

  async device() {
    const { store, randomId } = this.app
    const known = await store.read('device_id')
    if (known) return known
    const made = randomId()
    await store.write({ device_id: made })
    return made
  }

  /** One attempt; after a 401 a second one with a new token. */
  async send(body) {
    const { app } = this
    const attempt = async () => parsed(await request(app, '/api/sync', app.now() / 1000, body))
    try {
      return await attempt()
    } catch (error) {
      if (error.status !== 401) throw error
      await app.refreshToken()
      return attempt()
    }
  }

  /** Lets go of a request that must not be sent as it is. The edits stay. */
  async recover(error, sent) {
    const { store } = this.app
    const [count, writes] = [Object.keys(sent.edits).length, {}]
    if (error instanceof Unreachable) {
      if (count === 0) writes.page_rows = fewer(await store.read('page_rows'))
      else writes.sent = { ...sent, tries: (sent.tries || 0) + 1 }
    }
    const tired = count > 1 && writes.sent && writes.sent.tries >= SAME_BYTES
    if (error.status === 413 || tired) this.size = Math.ceil(count / 2) || 1
    if (sent.page && ['page_expired', 'invalid_cursor'].includes(error.code)) writes.reading = null
    else if (error.code === 'invalid_cursor') writes.cursor = 0
    if (advice(error, 0).next === 'report' || error.status === 413 || tired) writes.sent = null
    await store.write(writes)
  }

  /** Takes over an answer, in one write. True: there is more to send or to ask for. */
  async apply(answer, { edits, aside = false, page = false }) {
    const { store } = this.app
    const writes = { sent: null, clock_offset_ms: answer.clock_offset_ms }
    const reading = (await store.read('reading')) || {}
    const first = !aside && !page && !(await store.read('cursor')) // of a listing of everything
    const unseen = new Set(first ? (await store.list('row/')).map(([key]) => key) : await store.read('unseen'))
    const unsent = new Map((await store.list('edit/')).filter(([key, it]) => edits[key] !== it.number))
    const done = async (table, id) => {
      const key = `edit/${table}/${id}`
      if (!(key in edits) || unsent.has(key)) return null // the user has edited it again since
      writes[key] = null
      unseen.delete(`row/${table}/${id}`)
      return store.read(key)
    }
    for (const [table, ids] of Object.entries(answer.accepted))
      for (const id of ids) {
        const later = unsent.get(`edit/${table}/${id}`)
        if (later) writes[`edit/${table}/${id}`] = sinceThen(later, edits[`edit/${table}/${id}`])
        else await done(table, id)
      }
    for (const entry of answer.rejected) {
      const edit = await done(entry.table, entry.id)
      const place = `${entry.table}/${entry.id}`
      if (LET_GO.includes(entry.code)) {
        writes[`notice/${place}/${answer.receipt.id}`] = { ...entry, record: edit && edit.record }
        if (edit) writes[`row/${place}`] = null
      } else if (edit) writes[`refused/${place}`] = { ...entry, ...edit }
    }
    for (const entry of answer.conflicts)
      writes[`notice/${entry.table}/${entry.id}/${answer.receipt.id}`] = entry
    if (answer.resync === 'upload_first') {
      await this.offerAgain(writes)
      await store.write({ ...writes, cursor: 0, reading: null, unseen: null })
      return true
    }
    let passed = Boolean(reading.passed)
    for (const [table, rows] of Object.entries(answer.server_updates))
      for (const row of rows) {
        const [key, edit] = [`row/${table}/${row.id}`, `edit/${table}/${row.id}`]
        if (aside && !(edit in edits)) continue // the listing brings it, in its turn
        unseen.delete(key)
        const have = await store.read(key)
        const { changed } = writes[edit] || unsent.get(edit) || { changed: {} }
        // Edited again meanwhile: nobody has looked at this row yet.
        if (!changed || Object.keys(row).some((name) => name in changed)) passed = true
        // Of a record that was sent only the news come, and are laid over it.
        else writes[key] = { ...have, ...row }
      }
    for (const [table, ids] of Object.entries(answer.deleted))
      for (const id of ids)
        if (!aside || `edit/${table}/${id}` in edits) writes[`row/${table}/${id}`] = null
    if (!(await this.delivered(answer, writes, unsent))) writes.in_doubt = true
    if (aside) writes.reading = reading.page ? { ...reading, again: true } : null
    else if (answer.has_more) writes.reading = { ...reading, page: answer.next_page, passed }
    else {
      // A listing of everything names no deletions: what it does not bring, the server does not have.
      for (const key of unseen) {
        const place = key.slice('row/'.length)
        const waits = unsent.has(`edit/${place}`) || (await store.read(`refused/${place}`))
        if (!waits && !(`refused/${place}` in writes)) writes[key] = null
      }
      unseen.clear()
      writes.reading = null
      if (!passed) writes.cursor = answer.new_sync_timestamp
    }
    if (Object.keys(edits).length === 0) writes.page_rows = more(await store.read('page_rows'))
    writes.unseen = unseen.size > 0 ? [...unseen] : null
    await store.write(writes)
    return Boolean(writes.reading || (!aside && reading.again))
  }

  /** After a restore of the server: every record is an edit again, with its own time. */
  async offerAgain(writes) {
    const { store, contents } = this.app
    for (const [key, row] of await store.list('row/')) {
      const [, table, id] = key.split('/')
      const columns = Object.keys(contents[table])
      const edit = `edit/${table}/${id}`
      if (columns.length === 0 || ((await store.read(edit)) && writes[edit] !== null)) continue
      const { scope_id, created_at, last_modified_at } = row
      const record = { id, scope_id, created_at, last_modified_at, sync_status: 'new' }
      for (const name of columns) if (row[name] !== undefined) record[name] = row[name]
      writes[edit] = { number: 1, record }
    }
  }

  /** Whether the receipt's digest says that the server holds what this phone will hold. */
  async delivered({ accepted, receipt }, writes, unsent) {
    const { store, contents, sha256 } = this.app
    for (const [table, ids] of Object.entries(accepted)) {
      if (ids.some((id) => unsent.has(`edit/${table}/${id}`))) continue // cannot be told
      const rows = []
      for (const id of ids) {
        const key = `row/${table}/${id}`
        const row = key in writes ? writes[key] : await store.read(key)
        if (row) rows.push(row)
      }
      if (rows.some((row) => !row.scope_id)) continue
      const mine = tableDigest(rows, contents[table], sha256)
      const theirs = receipt.digest[table] || { count: 0, hash: mine.hash }
      if (mine.count !== theirs.count || mine.hash !== theirs.hash) return false
    }
    return true
  }

  /** Compares the phone with the server: {state, tables}. Only `different` is a reason to repair. */
  async check() {
    const { app } = this
    const { store, contents, sha256 } = app
    const waiting = [...(await store.list('edit/')), ...(await store.list('refused/'))]
    if (waiting.length > 0) return { state: 'unsent', tables: [] }
    if (await store.read('reading')) return { state: 'behind', tables: [] }
    const since = Math.round(((await store.read('cursor')) || 0) * 1000)
    const path = `/api/v1/sync/digest?last_pulled_at=${since}`
    const theirs = parsed(await request(app, path, app.now() / 1000))
    if (!theirs.current) return { state: 'behind', tables: [] }
    const rows = {}
    for (const [key, row] of await store.list('row/')) {
      const table = key.split('/')[1]
      rows[table] = [...(rows[table] || []), row]
    }
    const tables = differing(rows, theirs.tables, contents, sha256)
    return { state: tables.length === 0 ? 'equal' : 'different', tables }
  }

  /** Takes everything anew, and drops what the server does not have. */
  async repair() {
    const { store } = this.app
    await this.syncNow()
    await store.write({ cursor: 0, reading: null })
    await this.syncNow()
  }

  /** Checks; what differs is taken anew, then checked again. */
  async verify() {
    let found = await this.check()
    for (let round = 0; round < 3 && !['equal', 'unsent'].includes(found.state); round++) {
      await (found.state === 'different' ? this.repair() : this.syncNow())
      found = await this.check()
    }
    if (found.state === 'equal') await this.app.store.write({ in_doubt: null })
    return found
  }
}

/** What is left to send of an edit when the one before it, of that number, was accepted. */
function sinceThen({ changed, record, ...edit }, number) {
  if (!changed) return { ...edit, record } // a deletion: all of it
  const later = Object.entries(changed).filter(([, at]) => at > number)
  return { ...edit, changed: Object.fromEntries(later), record: { ...record, sync_status: 'dirty' } }
}

module.exports = { BatchPhone }
