'use strict'
const { advice, parsed, request } = require('./request')
const { differing, tableDigest } = require('./digest')

/** Most edits in one request; fewer after a 413. */
const EDITS_A_REQUEST = 500

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
 *   edit/TABLE/ID       what is not sent yet: {number, record}
 *   sent                the request that has no answer yet: {body, edits, more}
 *   refused/TABLE/ID    an edit that the server did not take: the user mends it
 *   notice/TABLE/ID/…   what lost, was overwritten, or is not the phone's any more: the user reads it
 *   cursor, device_id, clock_offset_ms, in_doubt
 */
class BatchPhone {
  constructor(app, photos = null) {
    this.app = app
    this.photos = photos // of photos.js: tickets are asked for in the same request as records
    this.size = EDITS_A_REQUEST
    this.failures = 0
    this.running = null
    this.seen = null // rows that a sync from 0 has brought so far
    this.passed = false // whether this sync passed over a row
  }

  /** The user saves a record: what is shown and what is to be sent, in one write. */
  async save(table, id, values) {
    const { store, now } = this.app
    const row = await store.read(`row/${table}/${id}`)
    const edit = await store.read(`edit/${table}/${id}`)
    const refused = await store.read(`refused/${table}/${id}`)
    const { record: before = { sync_status: row ? 'dirty' : 'new' } } = edit || refused || {}
    const last_modified_at = now() / 1000
    await store.write({
      [`row/${table}/${id}`]: { ...row, ...values, id, last_modified_at },
      [`edit/${table}/${id}`]: {
        number: edit ? edit.number + 1 : 1,
        record: { ...before, ...values, id, last_modified_at },
      },
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

  /** Sends all edits, then takes all pages. Throws `Refused` and `Unreachable`; nothing is lost. */
  async syncNow() {
    const whole = !(await this.app.store.read('cursor'))
    this.seen = whole ? new Set() : null
    this.passed = false
    await this.exchange()
    // A sync from 0 lists no deletions: what it does not bring, the server does not have.
    if (whole) await this.dropUnseen()
  }

  async exchange() {
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
      const again = await this.apply(answer, sent.edits)
      if (this.photos) await this.photos.told(answer.files || [])
      if (again || sent.more || interrupted) continue
      while (answer.has_more) {
        const page = { device_id: await this.device(), page: answer.next_page }
        answer = await this.send(JSON.stringify(page))
        await this.apply(answer, {})
      }
      return
    }
  }

  /** The next request, kept before it is sent: without an answer, the same bytes go again. */
  async prepare() {
    const { store, contents } = this.app
    const order = Object.keys(contents)
    const all = (await store.list('edit/'))
      .map(([key, edit]) => ({ key, ...edit, table: key.split('/')[1] }))
      .sort((one, two) => order.indexOf(one.table) - order.indexOf(two.table))
    const [changes, edits] = [{}, {}]
    for (const { key, table, number, record } of all.slice(0, this.size)) {
      changes[table] = [...(changes[table] || []), record]
      edits[key] = number
    }
    const files = this.photos ? await this.photos.asks() : []
    const body = JSON.stringify({
      last_sync_timestamp: (await store.read('cursor')) || 0,
      device_id: await this.device(),
      changes,
      ...(files.length > 0 && { files }),
    })
    const sent = { body, edits, more: all.length > this.size }
    if (all.length > 0) await store.write({ sent })
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
    if (error.status === 413) this.size = Math.ceil(Object.keys(sent.edits).length / 2) || 1
    if (error.code === 'invalid_cursor') await store.write({ cursor: 0 })
    if (advice(error, 0).next === 'report' || error.status === 413) await store.write({ sent: null })
  }

  /** Takes over an answer, in one write. `edits`: which of them were sent. True: sync again. */
  async apply(answer, edits) {
    const { store } = this.app
    const writes = { sent: null, clock_offset_ms: answer.clock_offset_ms }
    const unsent = new Map((await store.list('edit/')).filter(([key, it]) => edits[key] !== it.number))
    const done = async (table, id) => {
      const key = `edit/${table}/${id}`
      if (!(key in edits) || unsent.has(key)) return null // the user has edited it again since
      writes[key] = null
      if (this.seen) this.seen.add(`row/${table}/${id}`)
      return store.read(key)
    }
    for (const [table, ids] of Object.entries(answer.accepted))
      for (const id of ids) await done(table, id)
    for (const entry of answer.rejected) {
      const edit = await done(entry.table, entry.id)
      const place = `${entry.table}/${entry.id}`
      if (LET_GO.includes(entry.code)) {
        writes[`notice/${place}/${answer.receipt.id}`] = { ...entry, record: edit && edit.record }
        if (edit) writes[`row/${place}`] = null
      } else if (edit) writes[`refused/${place}`] = { ...entry, record: edit.record }
    }
    for (const entry of answer.conflicts)
      writes[`notice/${entry.table}/${entry.id}/${answer.receipt.id}`] = entry
    if (answer.resync === 'upload_first') {
      await this.offerAgain(writes)
      await store.write({ ...writes, cursor: 0 })
      return true
    }
    for (const [table, rows] of Object.entries(answer.server_updates))
      for (const row of rows) {
        if (this.seen) this.seen.add(`row/${table}/${row.id}`)
        if (!unsent.has(`edit/${table}/${row.id}`)) writes[`row/${table}/${row.id}`] = row
        else this.passed = true // edited again meanwhile: nobody has looked at this row yet
      }
    for (const [table, ids] of Object.entries(answer.deleted))
      for (const id of ids) writes[`row/${table}/${id}`] = null
    if (!(await this.delivered(answer, writes, unsent))) writes.in_doubt = true
    if (!this.passed) writes.cursor = answer.new_sync_timestamp
    await store.write(writes)
    return false
  }

  /** After a restore of the server: every record is an edit again, with its own time. */
  async offerAgain(writes) {
    const { store, contents } = this.app
    for (const [key, row] of await store.list('row/')) {
      const [, table, id] = key.split('/')
      const columns = Object.keys(contents[table])
      const edit = `edit/${table}/${id}`
      if (columns.length === 0 || ((await store.read(edit)) && writes[edit] !== null)) continue
      const { scope_id, last_modified_at } = row
      const record = { id, scope_id, last_modified_at, sync_status: 'new' }
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
    await store.write({ cursor: 0 })
    await this.syncNow()
  }

  async dropUnseen() {
    const { store } = this.app
    const writes = {}
    for (const [key] of await store.list('row/')) {
      const place = key.slice('row/'.length)
      const waits = (await store.read(`edit/${place}`)) || (await store.read(`refused/${place}`))
      if (!this.seen.has(key) && !waits) writes[key] = null
    }
    await store.write(writes)
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

module.exports = { BatchPhone }
