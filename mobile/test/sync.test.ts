import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Connectivity } from '../src/connectivity/index.js'
import { contents, repositories } from '../src/dermadetect.js'
import { CareKit } from '../src/index.js'
import { Gone } from '../src/records/index.js'
import {
  advice,
  LoggedOut,
  OutOfTime,
  Refused,
  Server,
  Session,
  tokensInMemory,
  Unreachable,
  type Tokens,
} from '../src/sync/index.js'
import { agreeable, network, quiet, reply, TestClock, type Sent } from './machine.js'
import { openLoki } from './phone.js'

const url = 'https://care.example'
const version = '1.4.0'
const tokens = { access: 'a1', refresh: 'r1' }
const refused = (status: number, code: string, headers = {}) =>
  reply(status, { error: { code, message: 'no', request_id: 'q1' } }, headers)

// --- what to do after a failure

test('what an app does after each kind of failure', () => {
  const of = (status: number, seconds = 0) => advice(new Refused(status, 'code', '', '', seconds), 0, () => 0.5)
  const table: [number, string][] = [
    [400, 'report'], [401, 'log_in'], [403, 'report'], [404, 'report'], [408, 'retry'], [409, 'retry'],
    [410, 'retry'], [413, 'retry'], [426, 'update_app'], [429, 'retry'], [500, 'retry'], [503, 'retry'],
  ] // prettier-ignore
  for (const [status, next] of table) assert.equal(of(status).next, next, String(status))
  assert.equal(advice(new Unreachable(), 0).next, 'retry')
  assert.equal(advice(new LoggedOut(), 0).next, 'log_in')
  assert.deepEqual(advice(new OutOfTime(), 5).seconds, 0)
  assert.equal(advice(new TypeError('a fault of the app'), 0).next, 'report')
  assert.equal(of(503, 60).seconds, 61)
})

test('pauses double, are random, and have an end', () => {
  const longest = (attempt: number) => advice(new Unreachable(), attempt, () => 1).seconds
  assert.deepEqual([0, 1, 2, 7, 8, 50].map(longest), [2, 4, 8, 256, 300, 300])
  assert.equal(advice(new Unreachable(), 9, () => 0).seconds, 0)
})

// --- requests

test('the platform’s fetch is called as browsers want it: not as a method of something else', async (t) => {
  const asked: string[] = []
  t.mock.method(globalThis, 'fetch', async function (this: unknown, where: string) {
    if (this !== undefined && this !== globalThis) throw new TypeError('Illegal invocation')
    asked.push(where)
    return new Response('{"status": "ok", "access_token": "a2", "refresh_token": "r2"}')
  })
  const session = new Session({ url, version, tokens: tokensInMemory(tokens) })
  await session.renew('a1')
  await new Server({ url, version, session }).json('/x')
  assert.equal(await new Connectivity({ url }).probe(), 'online')
  assert.deepEqual(asked, [`${url}/api/v1/auth/refresh`, `${url}/x`, `${url}/health`])
})

// --- tokens

test('a refresh token is written down before the new access token is used', async () => {
  const order: string[] = []
  const { fetch } = network((sent) => {
    order.push(`${sent.path} ${sent.headers['Authorization'] ?? ''}`.trim())
    if (sent.path.endsWith('/refresh')) return reply(200, { access_token: 'a2', refresh_token: 'r2' })
    return sent.headers['Authorization'] === 'Bearer a2' ? reply(200, {}) : refused(401, 'token_expired')
  })
  const store = { load: async () => tokens, save: async (given: Tokens | null) => void order.push(`saved ${given?.refresh}`) }
  const session = new Session({ url, version, fetch, tokens: store })
  await new Server({ url, version, fetch, session }).json('/x')
  assert.deepEqual(order, ['/x Bearer a1', '/api/v1/auth/refresh', 'saved r2', '/x Bearer a2'])
})

test('of many requests that find the token expired, one renews it', async () => {
  const { fetch, sent } = network((one) => {
    if (one.path.endsWith('/refresh')) return reply(200, { access_token: 'a2', refresh_token: 'r2' })
    return one.headers['Authorization'] === 'Bearer a2' ? reply(200, {}) : refused(401, 'token_expired')
  })
  const session = new Session({ url, version, fetch, tokens: tokensInMemory(tokens) })
  const server = new Server({ url, version, fetch, session })
  await Promise.all([1, 2, 3].map(() => server.json('/x')))
  assert.equal(sent.filter(({ path }) => path.endsWith('/refresh')).length, 1)
})

test('a keychain that cannot be written leaves the old token, which is good for another try', async () => {
  let full = true
  const kept: (Tokens | null)[] = [tokens]
  const store = {
    load: async () => kept.at(-1) ?? null,
    save: async (given: Tokens | null) => {
      if (full) throw new Error('no room')
      kept.push(given)
    },
  }
  const { fetch, sent } = network((one) =>
    one.path.endsWith('/refresh') ? reply(200, { access_token: 'a2', refresh_token: 'r2' }) : refused(401, 'token_expired'),
  )
  const session = new Session({ url, version, fetch, tokens: store })
  await assert.rejects(session.renew('a1'), /no room/)
  assert.equal(await session.access(), 'a1')
  full = false
  await session.renew('a1')
  assert.equal(await session.access(), 'a2')
  assert.equal(sent.at(-1)!.body, '{"refresh_token":"r1"}')
})

test('a token that stays refused is not renewed again and again', async () => {
  const { fetch, sent } = network((one) =>
    one.path.endsWith('/refresh') ? reply(200, { access_token: 'a2', refresh_token: 'r2' }) : refused(401, 'token_invalid'),
  )
  const session = new Session({ url, version, fetch, tokens: tokensInMemory(tokens) })
  await assert.rejects(new Server({ url, version, fetch, session }).json('/x'), Refused)
  assert.equal(sent.length, 3)
})

// --- requests

test("an answer's date tells how wrong the phone's clock is", async () => {
  const clock = new TestClock()
  const date = new Date(clock.now() + 3_600_000).toUTCString()
  const { fetch } = network(() => reply(200, {}, { Date: date }))
  const session = new Session({ url, version, fetch, tokens: tokensInMemory(tokens) })
  const server = new Server({ url, version, fetch, session, clock })
  assert.equal(server.clockOffsetMs, null)
  await server.within(1000).json('/x')
  assert.equal(server.clockOffsetMs, -3_600_000)
})

test('a request ends when the time of its sync is over', async () => {
  const clock = new TestClock()
  const { fetch } = network(
    ({ signal }) =>
      new Promise((_, failed) => signal!.addEventListener('abort', () => failed(new Error('aborted')))),
  )
  const session = new Session({ url, version, fetch, tokens: tokensInMemory(tokens) })
  const asked = assert.rejects(new Server({ url, version, fetch, session, clock }).within(20_000).json('/x'), OutOfTime)
  await clock.pass(20_000)
  await asked
})

// --- when a sync runs

/** A phone with an executor that is started, on a network that can be cut. */
function phone(answer: (sent: Sent) => ReturnType<typeof agreeable> | Promise<ReturnType<typeof agreeable>> = agreeable) {
  const clock = new TestClock()
  const database = openLoki()
  const { fetch, sent } = network(answer)
  const kit = new CareKit({
    database, contents, url, version, fetch, clock, tokens: tokensInMemory(tokens), random: () => 0.5,
  }) // prettier-ignore
  const pulls = () => sent.filter(({ method }) => method === 'GET').length
  const pushes = () => sent.filter(({ method }) => method === 'POST').length
  return { clock, database, kit, sent, pulls, pushes, ...repositories(database, clock) }
}

test('many triggers make one sync, and calls at once are the same one', async () => {
  const { clock, kit, pulls } = phone()
  const stop = kit.start()
  for (let n = 0; n < 9; n++) kit.executor.trigger('poke')
  await clock.pass(1500)
  assert.equal(pulls(), 1)
  const [one, two] = await Promise.all([kit.sync(), kit.sync()])
  assert.equal(one, two)
  assert.equal(pulls(), 2)
  stop()
})

test('an edit is sent by itself, and what a sync brings is no edit', async () => {
  const { clock, kit, pulls, pushes, patients } = phone()
  const stop = kit.start()
  await clock.pass(5000)
  const made = await patients.create({ demographics: { age: 3 } })
  await clock.pass(5000)
  assert.equal(pushes(), 1)
  assert.equal((await patients.find(made.id))?.sync_status, 'synced')
  const before = pulls()
  await clock.pass(60_000)
  assert.equal(pulls(), before)
  await clock.pass(15 * 60_000)
  assert.equal(pulls(), before + 1) // the timer
  stop()
})

test('an edit made while a sync runs is sent by the next one, by itself', async () => {
  let during: () => Promise<unknown> = async () => {}
  const { clock, kit, patients, pushes } = phone(async (sent) => {
    if (sent.method === 'POST') await during()
    return agreeable(sent)
  })
  const made = await patients.create({ demographics: { v: 1 } })
  during = async () => {
    during = async () => {}
    await patients.update(made.id, { demographics: { v: 2 } })
  }
  const stop = kit.start()
  await clock.pass(20_000)
  assert.equal(pushes(), 2)
  assert.equal((await patients.find(made.id))?.sync_status, 'synced')
  stop()
})

test('a failure is tried again after a growing pause; Retry-After counts', async () => {
  let failing = true
  const { clock, kit, pulls } = phone((sent) =>
    failing ? refused(503, 'busy', { 'Retry-After': '60' }) : agreeable(sent),
  )
  const stop = kit.start()
  await clock.pass(1500)
  assert.equal(pulls(), 1)
  assert.equal(kit.executor.status.get().next, 'retry')
  await clock.pass(60_000)
  assert.equal(pulls(), 1)
  failing = false
  await clock.pass(3000)
  assert.equal(pulls(), 2)
  assert.equal(kit.executor.status.get().next, 'rest')
  stop()
})

test('no sync begins by itself without a network, and one begins when it is back', async () => {
  let online: (is: boolean) => void = () => {}
  const { clock, kit, patients, pulls } = phone()
  const stop = kit.start({
    online: (listener) => {
      online = listener
      return () => {}
    },
  })
  await clock.pass(5000)
  online(false)
  await patients.create({})
  await clock.pass(3_600_000)
  assert.equal(pulls(), 1)
  assert.equal(kit.executor.status.get().unsent, 1)
  online(true)
  await clock.pass(2000)
  assert.equal(kit.executor.status.get().unsent, 0)
  stop()
})

test('after a log-in that has ended nothing is tried until the user does something', async () => {
  const { clock, kit, sent } = phone(() => refused(401, 'session_ended'))
  const stop = kit.start()
  await clock.pass(2000)
  assert.equal(kit.executor.status.get().next, 'log_in')
  const before = sent.length
  await clock.pass(3_600_000)
  assert.equal(sent.length, before)
  kit.executor.trigger('user')
  await clock.pass(2000)
  assert.ok(sent.length > before)
  stop()
})

test('a fault of the app is not tried again and again', async () => {
  const { clock, kit, patients, sent } = phone(() => refused(400, 'invalid_request'))
  await patients.create({})
  const stop = kit.start()
  await clock.pass(10 * 60_000)
  assert.equal(kit.executor.status.get().next, 'report')
  assert.equal(sent.length, 1)
  await patients.create({})
  await clock.pass(2000)
  assert.equal(sent.length, 2)
  stop()
})

test('a sync whose time is over does not begin anew by itself', async () => {
  const { clock, kit, patients, sent } = phone()
  await patients.create({})
  const stop = kit.start()
  assert.equal((await kit.sync({ budgetMs: 0 })).next, 'retry')
  await clock.pass(60_000)
  assert.equal(sent.length, 0)
  await clock.pass(15 * 60_000)
  assert.equal(kit.executor.status.get().unsent, 0)
  stop()
})

test('a stopped executor does nothing by itself', async () => {
  const { clock, kit, patients, sent } = phone()
  kit.start()()
  await patients.create({})
  await clock.pass(3_600_000)
  assert.equal(sent.length, 0)
})

test('the history says what happened, and nothing of patients', async () => {
  const { kit, patients } = phone((sent) => (sent.method === 'GET' ? agreeable(sent) : refused(500, 'internal')))
  const made = await patients.create({ demographics: { name: 'Asha' } })
  await kit.sync()
  const [attempt] = await kit.history.load()
  assert.deepEqual(
    [attempt!.reason, attempt!.next, attempt!.code, attempt!.requestId, attempt!.unsent],
    ['user', 'retry', 'internal', 'q1', 1],
  )
  const text = JSON.stringify(attempt)
  assert.ok(!text.includes('Asha') && !text.includes(made.id))
})

test('a phone whose storage is full keeps what it has, and goes on when there is room', async () => {
  const { database, kit, patients } = phone()
  await patients.create({})
  const adapter = database.adapter.underlyingAdapter as unknown as Record<string, (...given: unknown[]) => void>
  const setLocal = adapter['setLocal']!.bind(adapter)
  adapter['setLocal'] = (_key, _value, answer) => (answer as (result: object) => void)({ error: new Error('disk is full') })
  assert.equal((await kit.sync()).next, 'retry')
  assert.equal(kit.executor.status.get().code, 'storage_full')
  adapter['setLocal'] = setLocal
  assert.equal(kit.executor.status.get().unsent, 1)
  assert.equal((await kit.sync()).next, 'rest')
  assert.equal(kit.executor.status.get().unsent, 0)
})

// --- what a pull destroys

test('an edit that falls just before a pulled deletion is applied is not lost unseen', async () => {
  const deletes = { changes: { patients: { created: [], updated: [], deleted: ['p1'] } }, timestamp: 2000 }
  let answer: unknown = { changes: {}, timestamp: 1000 }
  const { database, kit, patients } = phone((sent) => (sent.method === 'GET' ? reply(200, answer) : agreeable(sent)))
  await patients.create({ demographics: { v: 1 } }, 'p1')
  await kit.sync()
  answer = deletes
  const write = database.write.bind(database)
  let edit: Promise<unknown> | null = null
  database.write = (async (work: never, what: string) => {
    if (what === 'sync-synchronize-apply') {
      edit = assert.rejects(patients.update('p1', { demographics: { v: 2 } }), Gone) // the user is told
      await quiet()
    }
    return write(work, what)
  }) as typeof database.write
  await kit.sync()
  assert.ok(edit)
  await edit
})

// --- what the user decides

test('a conflict gives the other value as a repository takes it, and is gone from screens when it is settled', async () => {
  let rows: object[] = []
  const { kit, patients } = phone((sent) =>
    sent.method === 'GET' ? reply(200, { changes: { patients: { created: [], updated: rows, deleted: [] } }, timestamp: 2000 }) : agreeable(sent),
  )
  await patients.create({ demographics: { age: 34 } }, 'p1')
  await kit.sync()
  await patients.update('p1', { demographics: { age: 35 } })
  rows = [{ id: 'p1', demographics: '{"age":43}', last_modified_at: 1, created_at: 1, updated_at: 1 }]
  await kit.sync()
  const [conflict] = kit.executor.conflicts.get()
  assert.deepEqual(conflict?.columns, { demographics: { mine: '{"age":35}', theirs: '{"age":43}' } })
  await patients.update('p1', kit.executor.theirs(conflict))
  assert.deepEqual((await patients.find('p1'))?.demographics, { age: 43 })
  await kit.executor.settleConflict(conflict)
  assert.deepEqual([kit.executor.conflicts.get(), kit.executor.status.get().conflicts], [[], 0])
})

test('the echo of an own edit is no conflict, in whatever order the server writes its JSON', async () => {
  let rows: object[] = []
  const { kit, patients } = phone((sent) =>
    sent.method === 'GET' ? reply(200, { changes: { patients: { created: [], updated: rows, deleted: [] } }, timestamp: 2000 }) : agreeable(sent),
  )
  await patients.create({ demographics: { name: 'Asha', age: 34 } }, 'p1')
  await kit.sync()
  await patients.update('p1', { demographics: { name: 'Asha', age: 35 } })
  await kit.sync()
  await patients.update('p1', { demographics: { name: 'Asha', age: 36 } })
  rows = [{ id: 'p1', demographics: '{"age":35,"name":"Asha"}', last_modified_at: 1, created_at: 1, updated_at: 1 }]
  await kit.sync()
  assert.deepEqual(kit.executor.conflicts.get(), [])
})

test('a refused record that is put away is gone from screens, and still on the phone', async () => {
  const said = { table: 'patients', id: 'p1', code: 'too_long', field: 'demographics', message: 'no' }
  const { kit, patients } = phone((sent) =>
    sent.method === 'GET'
      ? agreeable(sent)
      : reply(200, { experimentalRejectedIds: { patients: ['p1'] }, rejected: [said], receipt: { id: 'r1', digest: {} } }),
  )
  await patients.create({ demographics: { age: 34 } }, 'p1')
  await kit.sync()
  assert.deepEqual(kit.executor.refused.get().map(({ id, kept }) => [id, kept]), [['p1', true]])
  await kit.executor.putAway({ table: 'patients', id: 'p1' })
  assert.deepEqual([kit.executor.refused.get(), kit.executor.status.get().refused], [[], 0])
  assert.equal((await patients.find('p1'))?.sync_status, 'created')
})
