'use strict'
const { Q } = require('@nozbe/watermelondb')
const { hasUnsyncedChanges, synchronize } = require('@nozbe/watermelondb/sync')
const { getLastPulledAt } = require('@nozbe/watermelondb/sync/impl')
const randomId = require('@nozbe/watermelondb/utils/common/randomId').default
const { advice, parsed, request } = require('./request')
const { differing, tableDigest } = require('./digest')

/** The id of this installation: made once, kept as long as the phone's data. */
async function deviceId({ localStorage }) {
  const known = await localStorage.get('device_id')
  if (known) return known
  const made = randomId()
  await localStorage.set('device_id', made)
  return made
}

/** For synchronize(). `whole`: everything anew, as a repair. */
async function pullChanges(app, { lastPulledAt, schemaVersion, migration }, whole) {
  const query = [
    `last_pulled_at=${lastPulledAt}`,
    `schema_version=${schemaVersion}`,
    `migration=${encodeURIComponent(JSON.stringify(migration))}`,
    `device_id=${await deviceId(app.database)}`,
  ]
  if (whole) query.push('strategy=replacement')
  const text = await request(app, `/api/v1/sync?${query.join('&')}`, app.now())
  if (app.turbo && lastPulledAt === null) return { syncJson: text }
  const answer = parsed(text)
  if (answer.resync === 'upload_first') await offerAgain(app, answer.changes)
  await keepEdits(app, answer)
  return answer // as it came: with experimentalStrategy, resync and sync_again
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
    // No device_id: should the server store a row, then this phone must get it back.
    const path = `/api/v1/sync?last_pulled_at=${await getLastPulledAt(database)}`
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
        record._raw._status = theirs.has(record.id) ? 'updated' : 'created'
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
    const unsafeTurbo = Boolean(app.turbo) && (await getLastPulledAt(database)) === null
    const refused = []
    let pulled = {}
    try {
      await synchronize({
        database,
        pullChanges: (asked) => pullChanges(app, asked, whole),
        pushChanges: (asked) => pushChanges(app, asked, refused),
        onDidPullChanges: async (rest) => {
          pulled = rest
        },
        migrationsEnabledAtVersion: 1,
        sendCreatedAsUpdated: false,
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
  const once = async () => {
    try {
      await syncNow(app)
      failures = 0
      if (await app.database.localStorage.get('in_doubt')) await verify(app)
      return { next: 'rest' }
    } catch (error) {
      return advice(error, failures++)
    }
  }
  return () => {
    running = running || once().finally(() => (running = null))
    return running
  }
}

module.exports = { check, deviceId, pullChanges, pushChanges, syncNow, syncer, verify }
