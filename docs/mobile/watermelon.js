'use strict'
const { Q } = require('@nozbe/watermelondb')
const { hasUnsyncedChanges, synchronize } = require('@nozbe/watermelondb/sync')
const {
  fetchLocalChanges,
  getLastPulledAt,
  markLocalChangesAsSynced,
} = require('@nozbe/watermelondb/sync/impl')
const randomId = require('@nozbe/watermelondb/utils/common/randomId').default
const { MOST_ROWS, Unreachable, advice, fewer, more, parsed, request } = require('./request')
const { differing, tableDigest } = require('./digest')

/** The id of this installation: made once, kept as long as the phone's data. */
async function deviceId({ localStorage }) {
  const known = await localStorage.get('device_id')
  if (known) return known
  const made = randomId()
  await localStorage.set('device_id', made)
  return made
}

/** Of each database the receipt of the last push. In memory only: a phone that was restored has none. */
const receipts = new WeakMap()

/** For synchronize(). `whole`: everything anew, as a repair. `turbo`: for unsafeTurbo. */
async function pullChanges(app, { lastPulledAt, schemaVersion, migration }, { whole, turbo } = {}) {
  const { database } = app
  const query = [
    `last_pulled_at=${lastPulledAt}`,
    `schema_version=${schemaVersion}`,
    `migration=${encodeURIComponent(JSON.stringify(migration))}`,
    `created_as_updated=1`,
    ...(whole ? ['strategy=replacement'] : []),
    `device_id=${await deviceId(database)}`,
  ].join('&')
  const receipt = lastPulledAt && !whole ? receipts.get(database) : null
  if (turbo) return { syncJson: await inOneGo(app, query) }
  const answer = await gather(app, query, { lastPulledAt, whole, receipt })
  receipts.delete(database)
  if (answer.resync === 'upload_first') await offerAgain(app, answer.changes)
  await keepEdits(app, answer)
  return answer // as it came: with experimentalStrategy, resync and sync_again
}

/** The text of a first answer, unparsed. If it breaks off, the next attempt takes pages. */
async function inOneGo(app, query) {
  try {
    const text = await request(app, `/api/v1/sync?${query}`, app.now())
    // behind some proxies a connection that breaks looks like the end of the answer
    if (!/"timestamp":\d+}$/.test(text.slice(-40))) throw new Unreachable('the answer was cut short')
    return text
  } catch (error) {
    if (error instanceof Unreachable) await app.database.localStorage.set('page_rows', fewer())
    throw error
  }
}

/** Longest text in one value of the local storage: Android reads values of up to 2 MB. */
const LONGEST_PIECE = 500_000

/** Pages that may break off in a row before the pull gives up for now. */
const MOST_BREAKS = 3

/** All pages of a pull, as one answer. */
async function gather(app, query, { lastPulledAt, whole, receipt }) {
  const { localStorage } = app.database
  let kept = (await localStorage.get('pull')) || { pieces: 0 }
  if (kept.query !== query) {
    await forget(app)
    kept = { query, pieces: 0, next: null }
  }
  const refused = new Set()
  for (let breaks = 0; kept.pieces === 0 || kept.next; ) {
    const rows = await localStorage.get('page_rows')
    if (!whole && (kept.next || rows)) await pushCreated(app, lastPulledAt, refused)
    let path = `/api/v1/sync?${query}&limit=${rows || MOST_ROWS}`
    if (kept.next) path += `&page=${encodeURIComponent(kept.next)}`
    else if (receipt) path += `&receipt=${encodeURIComponent(receipt)}`
    let text, answer
    try {
      text = await request(app, path, app.now())
      answer = parsed(text)
    } catch (error) {
      if (['page_expired', 'invalid_cursor'].includes(error.code)) await forget(app)
      if (!(error instanceof Unreachable)) throw error
      await localStorage.set('page_rows', fewer(rows))
      breaks += 1
      if (kept.pieces === 0 || breaks > MOST_BREAKS) throw error
      continue
    }
    breaks = 0
    if (rows) await localStorage.set('page_rows', more(rows))
    if (kept.pieces === 0 && !answer.has_more) return answer
    // Deletions that are held back set the timestamp, which pages do not know: in one go, then.
    if (kept.pieces === 0 && answer.sync_again)
      return parsed(await request(app, `/api/v1/sync?${query}`, app.now()))
    let { pieces } = kept
    text += '\n'
    for (let at = 0; at < text.length; at += LONGEST_PIECE)
      await localStorage.set(`pull/${pieces++}`, text.slice(at, at + LONGEST_PIECE))
    kept = { query, pieces, next: answer.next_page }
    await localStorage.set('pull', kept)
  }
  return together(app, kept.pieces)
}

/** The kept pages as one answer: each id once, as the last page that names it has it. */
async function together({ database }, pieces) {
  let text = ''
  for (let at = 0; at < pieces; at++) text += await database.localStorage.get(`pull/${at}`)
  const found = {}
  const whole = { changes: {} }
  for (const line of text.trimEnd().split('\n')) {
    const { changes, has_more, next_page, ...rest } = JSON.parse(line)
    Object.assign(whole, rest)
    for (const [table, { updated, deleted }] of Object.entries(changes)) {
      found[table] = found[table] || new Map()
      for (const row of updated) found[table].set(row.id, row)
      for (const id of deleted) found[table].set(id, null)
    }
  }
  for (const [table, rows] of Object.entries(found)) {
    const all = [...rows]
    const deleted = all.filter(([, row]) => !row).map(([id]) => id)
    whole.changes[table] = { created: [], updated: all.map(([, row]) => row).filter(Boolean), deleted }
  }
  return whole
}

/** The kept pages are not needed any more. */
async function forget({ database: { localStorage } }) {
  const kept = await localStorage.get('pull')
  if (!kept) return
  await localStorage.remove('pull')
  for (let at = 0; at < kept.pieces; at++) await localStorage.remove(`pull/${at}`)
}

/** Pushes what was created, ahead of a long pull; each refused record once. */
async function pushCreated(app, lastPulledAt, refused) {
  const local = await fetchLocalChanges(app.database)
  const created = ({ _raw: { id, _status } }) => _status === 'created' && !refused.has(id)
  const affectedRecords = local.affectedRecords.filter(created)
  if (affectedRecords.length === 0) return
  const changes = {}
  for (const [table, sets] of Object.entries(local.changes)) {
    const rows = sets.created.filter(({ id }) => !refused.has(id))
    changes[table] = { created: rows, updated: [], deleted: [] }
  }
  const said = []
  let answer
  try {
    answer = await pushChanges(app, { changes, lastPulledAt }, said)
  } catch (error) {
    // It arrived before, its answer was lost, and somebody has changed it since: it waits for the pull.
    const stale = error.status === 409 ? error.stale.filter((id) => !refused.has(id)) : []
    if (stale.length === 0) throw error
    stale.forEach((id) => refused.add(id))
    return pushCreated(app, lastPulledAt, refused)
  }
  const { experimentalRejectedIds } = answer
  await markLocalChangesAsSynced(app.database, { changes, affectedRecords }, experimentalRejectedIds)
  for (const ids of Object.values(experimentalRejectedIds)) ids.forEach((id) => refused.add(id))
  await settle(app, said)
}

/** For synchronize(). Returns its answer, and tells `refused` of what the server did not take. */
async function pushChanges(app, { changes, lastPulledAt }, refused) {
  const device = await deviceId(app.database)
  const path = `/api/v1/sync?last_pulled_at=${lastPulledAt}&device_id=${device}`
  const rejectedIds = {}
  const send = async (part) => {
    let answer
    try {
      answer = parsed(await request(app, path, app.now(), JSON.stringify(part)))
    } catch (error) {
      const halves = error.status === 413 ? halved(app, part) : null
      if (!halves) throw error
      for (const half of halves) await send(half)
      return
    }
    for (const [table, ids] of Object.entries(answer.experimentalRejectedIds || {}))
      rejectedIds[table] = [...(rejectedIds[table] || []), ...ids]
    for (const entry of answer.rejected || []) {
      const { created = [], updated = [] } = part[entry.table] || {}
      const row = [...created, ...updated].find(({ id }) => id === entry.id)
      refused.push({ ...entry, row: row && { ...row } })
    }
    if (!delivered(app, part, answer)) await app.database.localStorage.set('in_doubt', true)
    receipts.set(app.database, answer.receipt.id)
  }
  await send(changes)
  return { experimentalRejectedIds: rejectedIds }
}

/** Two halves of a push that is too large, parents before children; null if it is one record. */
function halved(app, changes) {
  const tables = Object.keys(app.contents).filter((table) => changes[table])
  const list = [
    ...tables.flatMap((table) =>
      ['created', 'updated'].flatMap((kind) => changes[table][kind].map((row) => [table, kind, row])),
    ),
    ...tables.flatMap((table) => changes[table].deleted.map((id) => [table, 'deleted', id])),
  ]
  if (list.length < 2) return null
  const middle = Math.ceil(list.length / 2)
  return [list.slice(0, middle), list.slice(middle)].map((part) => {
    const half = {}
    for (const [table, kind, row] of part) {
      half[table] = half[table] || { created: [], updated: [], deleted: [] }
      half[table][kind].push(row)
    }
    return half
  })
}

/** Whether the receipt's digest says that the server holds what was sent. */
function delivered(app, changes, { receipt, experimentalRejectedIds = {} }) {
  return Object.entries(changes).every(([table, { created, updated }]) => {
    const refused = new Set(experimentalRejectedIds[table])
    const rows = [...created, ...updated].filter((row) => !refused.has(row.id))
    if (!app.contents[table] || rows.some((row) => !row.scope_id)) return true // cannot be told
    const mine = tableDigest(rows, app.contents[table], app.sha256)
    const theirs = receipt.digest[table] || { count: 0, hash: mine.hash }
    return mine.count === theirs.count && mine.hash === theirs.hash
  })
}

/** Keeps a copy of unpushed edits that the phone is about to drop with this answer. */
async function keepEdits({ database, contents }, { changes, experimentalStrategy }) {
  const dropped = []
  for (const table of writable(contents)) {
    const sets = changes[table] || { created: [], updated: [], deleted: [] }
    const whole = experimentalStrategy === 'replacement'
    if (!whole && sets.deleted.length === 0) continue
    const gone = new Set(sets.deleted)
    const sent = new Set([...sets.created, ...sets.updated].map(({ id }) => id))
    const dirty = Q.where('_status', Q.oneOf(['created', 'updated']))
    for (const { _raw: row } of await database.get(table).query(dirty).fetch())
      if (gone.has(row.id) || (whole && row._status === 'updated' && !sent.has(row.id)))
        dropped.push({ table, row: { ...row } })
  }
  if (dropped.length === 0) return
  const kept = (await database.localStorage.get('kept_edits')) || []
  const again = ({ table, row }) => dropped.some((one) => one.table === table && one.row.id === row.id)
  await database.localStorage.set('kept_edits', [...kept.filter((one) => !again(one)), ...dropped])
}

const writable = (contents) =>
  Object.keys(contents).filter((table) => Object.keys(contents[table]).length > 0)

/** Hands the kept edits to the server, once. True if some were stored: the next pull brings them. */
async function sendKept(app) {
  const { database, contents } = app
  const kept = (await database.localStorage.get('kept_edits')) || []
  if (kept.length === 0) return false
  const changes = {}
  for (const { table, row } of kept) {
    const [back] = await database.get(table).query(Q.where('id', row.id)).fetch()
    if (back) {
      // The record has come back meanwhile: the edit is an edit of it again.
      const changed = row._changed.split(',')
      await database.write(() =>
        back.update(() => {
          for (const name of Object.keys(contents[table]))
            if (changed.includes(name)) back._setRaw(name, row[name])
          back._setRaw('last_modified_at', app.now())
        }),
      )
      continue
    }
    changes[table] = changes[table] || { created: [], updated: [], deleted: [] }
    changes[table].updated.push(row)
  }
  let refused = []
  if (Object.keys(changes).length > 0) {
    // The receipt is not kept: should the server store a row, then this phone must get it back.
    const query = `last_pulled_at=${await getLastPulledAt(database)}&device_id=${await deviceId(database)}`
    const path = `/api/v1/sync?${query}`
    const answer = parsed(await request(app, path, app.now(), JSON.stringify(changes)))
    refused = answer.rejected || []
  }
  for (const { table, row } of kept) {
    const entry = refused.find((one) => one.table === table && one.id === row.id)
    if (entry) await app.show({ ...entry, row })
  }
  await database.localStorage.remove('kept_edits')
  return refused.length < kept.length
}

/** Codes after which the phone must let go of a record; what it said is kept on the server. */
const LET_GO = ['deleted', 'moved']

/** Shows refused records to the user, and drops those that are not the phone's any more. */
async function settle(app, refused) {
  for (const entry of refused) {
    await app.show(entry)
    if (!LET_GO.includes(entry.code) || !entry.row) continue
    const [found] = await app.database.get(entry.table).query(Q.where('id', entry.id)).fetch()
    const same = found && found._raw.last_modified_at === entry.row.last_modified_at
    if (same) await app.database.write(() => found.destroyPermanently())
  }
}

/** After a restore of the server: marks what it lost as unsent. `changes` is all that it holds. */
async function offerAgain({ database, contents }, changes) {
  for (const table of writable(contents)) {
    const { created = [], updated = [] } = changes[table] || {}
    const theirs = new Map([...created, ...updated].map((row) => [row.id, row]))
    const synced = await database.get(table).query(Q.where('_status', 'synced')).fetch()
    const lost = synced.filter(({ id, _raw }) => {
      const row = theirs.get(id)
      return !row || row.last_modified_at < _raw.last_modified_at
    })
    const marked = (record) =>
      record.prepareUpdate(() => {
        record._raw._status = 'created' // a copy is offered, nobody edited it: the later one stands
        record._raw._changed = [...Object.keys(contents[table]), 'last_modified_at'].join(',')
      })
    await database.write(() => database.batch(...lost.map(marked)))
  }
}

/** Pulls and pushes until both are done. Throws `Refused` and `Unreachable`; all stays unsent then. */
async function syncNow(app, { whole = false } = {}) {
  const { database } = app
  let [conflicts, rounds, refreshed] = [0, 0, false]
  for (;;) {
    const fresh = (await getLastPulledAt(database)) === null
    const unsafeTurbo = Boolean(app.turbo) && fresh && !(await database.localStorage.get('page_rows'))
    const refused = []
    let pulled = {}
    try {
      await synchronize({
        database,
        pullChanges: (asked) => pullChanges(app, asked, { whole, turbo: unsafeTurbo }),
        pushChanges: (asked) => pushChanges(app, asked, refused),
        onDidPullChanges: async (rest) => {
          pulled = rest
        },
        migrationsEnabledAtVersion: 1,
        sendCreatedAsUpdated: true,
        unsafeTurbo,
        log: app.log,
      })
    } catch (error) {
      if (error.status === 401 && !refreshed) {
        refreshed = true
        await app.refreshToken()
        continue
      }
      if (error.status === 409 && conflicts < 2) {
        conflicts += 1 // somebody was faster: pull, merge and push again
        continue
      }
      throw error
    }
    await forget(app)
    await settle(app, refused)
    const stored = await sendKept(app)
    rounds += 1
    whole = false
    if (rounds === 5 || !(pulled.sync_again || stored)) return
  }
}

/** Compares the phone with the server: {state, tables}. Only `different` is a reason to repair. */
async function check(app) {
  const { database, contents, sha256 } = app
  if (await hasUnsyncedChanges({ database })) return { state: 'unsent', tables: [] }
  const since = await getLastPulledAt(database)
  if (since === null || (await database.localStorage.get('pull'))) return { state: 'behind', tables: [] }
  const path = `/api/v1/sync/digest?last_pulled_at=${since}`
  const theirs = parsed(await request(app, path, app.now()))
  if (!theirs.current) return { state: 'behind', tables: [] } // sync, then ask again
  const rows = {}
  for (const table of Object.keys(contents))
    rows[table] = await database.get(table).query().unsafeFetchRaw()
  const tables = differing(rows, theirs.tables, contents, sha256)
  if (await hasUnsyncedChanges({ database })) return { state: 'unsent', tables: [] }
  return { state: tables.length === 0 ? 'equal' : 'different', tables }
}

/** Checks; what differs is replaced, then checked again. */
async function verify(app) {
  let found = await check(app)
  for (let round = 0; round < 3 && !['equal', 'unsent'].includes(found.state); round++) {
    await syncNow(app, { whole: found.state === 'different' })
    found = await check(app)
  }
  if (found.state === 'equal') await app.database.localStorage.remove('in_doubt')
  return found
}

/** The one function that the app calls: when it opens, when the network is back, after an edit. */
function syncer(app) {
  let running = null
  let failures = 0
  const pieces = async () => ((await app.database.localStorage.get('pull')) || { pieces: 0 }).pieces
  const once = async () => {
    const before = await pieces()
    try {
      await syncNow(app)
      failures = 0
      if (await app.database.localStorage.get('in_doubt')) await verify(app)
      return { next: 'rest' }
    } catch (error) {
      if ((await pieces()) > before) failures = 0 // a page came through: the next pause is a short one
      return advice(error, failures++)
    }
  }
  return () => {
    running = running || once().finally(() => (running = null))
    return running
  }
}

module.exports = { check, deviceId, pullChanges, pushChanges, syncNow, syncer, verify }
