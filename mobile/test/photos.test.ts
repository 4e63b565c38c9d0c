import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { NoRoom, PhotoQueue, type Photo, type PhotoOptions } from '../src/photos/index.js'
import { Store } from '../src/ports.js'
import { Server, tokensInMemory, Session } from '../src/sync/index.js'
import { network, quiet, reply, TestClock, type Sent } from './machine.js'
import { openLoki } from './phone.js'

const url = 'https://care.example'
const version = '1.4.0'

/** A server of files that keeps what it gets, and a phone with photos. `breaks`: so many pieces get lost on the way. */
function camera(more: Partial<PhotoOptions> = {}, database = openLoki()) {
  const files = new Map<string, Uint8Array<ArrayBuffer>>()
  const uploads = new Map<string, { key: string; bytes: number; sha256: string; have: Buffer }>()
  const order: string[] = []
  const state = { breaks: 0, requestsLeft: Infinity, refuse: new Map<string, object>(), meanwhile: async () => {} }
  const answer = async (sent: Sent) => {
    if (sent.method === 'PUT') await state.meanwhile()
    if (state.requestsLeft-- <= 0) throw new TypeError('fetch failed')
    if (sent.path === '/api/v1/files') {
      const asked = (JSON.parse(String(sent.body)) as { files: (Photo & { sha256: string; bytes: number })[] }).files
      const told = asked.map(({ key, bytes, sha256, ...file }) => {
        const error = state.refuse.get(key)
        if (error) return { ...file, key, sha256, error }
        const upload = uploads.get(key) ?? { key, bytes, sha256, have: Buffer.alloc(0) }
        uploads.set(key, upload)
        return { ...file, key, sha256, id: key, state: 'upload', upload: { offset: upload.have.length } }
      })
      return reply(200, { files: told })
    }
    const upload = uploads.get(sent.path.split('/').at(-2)!)!
    if (sent.body && state.breaks > 0) {
      state.breaks -= 1
      upload.have = Buffer.concat([upload.have, Buffer.from(sent.body as Uint8Array).subarray(0, 9000)])
      throw new TypeError('fetch failed')
    }
    if (sent.body) upload.have = Buffer.concat([upload.have, Buffer.from(sent.body as Uint8Array)])
    if (upload.have.length < upload.bytes) return reply(308, { state: 'upload', upload: { offset: upload.have.length } })
    const right = createHash('sha256').update(upload.have).digest('hex') === upload.sha256
    if (right) order.push(upload.key)
    return reply(200, right ? { id: upload.key, state: 'ready' } : { id: upload.key, state: 'refused', code: 'wrong_hash' })
  }
  const clock = new TestClock()
  const { fetch, sent } = network(answer)
  const session = new Session({ url, version, fetch, tokens: tokensInMemory({ access: 'a', refresh: 'r' }) })
  const settled: Photo[] = []
  const queue = new PhotoQueue({
    database,
    clock,
    server: new Server({ url, version, fetch, session, clock }),
    files: {
      size: async (uri) => files.get(uri)!.length,
      read: async (uri, first, end) => files.get(uri)!.slice(first, end),
    },
    risk: async ({ record_id }) => record_id,
    settled: async (photo) => void settled.push(photo),
    ...more,
  })
  const take = (key: string, risk: string, bytes = 5000) => {
    files.set(key, new Uint8Array(randomBytes(bytes)))
    return queue.add({ table: 'cases', record_id: risk, key, type: 'image/jpeg', uri: key })
  }
  return { queue, take, order, settled, state, uploads, sent, clock, database, files }
}

test('photos of red records go first, and what is ready is no longer kept', async () => {
  const { queue, take, order, settled } = camera()
  await take('a', 'green')
  await take('b', 'red')
  await take('c', 'yellow')
  assert.deepEqual(await queue.send(), { next: 'rest' })
  assert.deepEqual(order, ['b', 'c', 'a'])
  assert.deepEqual(settled.map(({ key, state }) => [key, state]), [['b', 'ready'], ['c', 'ready'], ['a', 'ready']]) // prettier-ignore
  assert.deepEqual(await queue.list(), [])
})

test('a large photo goes in pieces, and after a break from where the server is', async () => {
  const { queue, take, order, state, sent, clock } = camera()
  await take('a', 'red', 300_000)
  state.breaks = 2
  const sending = queue.send()
  await clock.pass(10_000)
  assert.equal((await sending).next, 'rest')
  assert.deepEqual(order, ['a'])
  const bodies = sent.filter(({ method, body }) => method === 'PUT' && body).length
  assert.ok(bodies > 3)
  const bytes = sent.reduce((sum, { method, body }) => sum + (method === 'PUT' && body ? body.length : 0), 0)
  assert.ok(bytes < 300_000 + 2 * 64 * 1024) // no more than the broken pieces went twice
})

test('a new start of the app goes on where the last one was', async () => {
  const first = camera()
  await first.take('a', 'red', 200_000)
  first.state.requestsLeft = 2 // the ticket, and one piece of 64 KiB
  const sending = first.queue.send()
  await first.clock.pass(60_000)
  assert.equal((await sending).next, 'retry')
  const again = camera({}, first.database)
  again.files.set('a', first.files.get('a')!)
  again.uploads.set('a', first.uploads.get('a')!)
  assert.equal((await again.queue.send()).next, 'rest')
  assert.deepEqual(again.order, ['a'])
  const bytes = again.sent.reduce((sum, { method, body }) => sum + (method === 'PUT' && body ? body.length : 0), 0)
  assert.equal(bytes, 200_000 - 64 * 1024)
})

test('on a network that costs money only red photos go, if the user wants it so', async () => {
  let metered = true
  const { queue, take, order } = camera({ wifiOnly: () => true, metered: () => metered })
  await take('a', 'green')
  await take('b', 'red')
  await queue.send()
  assert.deepEqual(order, ['b'])
  metered = false
  await queue.send()
  assert.deepEqual(order, ['b', 'a'])
})

test('a photo over the budget is refused before anything of it is kept', async () => {
  const { queue, take } = camera({ budgetBytes: 12_000 })
  await take('a', 'red', 6000)
  await take('b', 'red', 6000)
  await assert.rejects(take('c', 'red', 1), NoRoom)
  assert.deepEqual((await queue.list()).map(({ key }) => key), ['a', 'b'])
  await queue.send()
  await take('c', 'red', 1)
})

test('a refused photo stays, is told once, and holds up no other', async () => {
  const { queue, take, order, settled, state } = camera()
  state.refuse.set('a', { code: 'too_many_files', message: 'no' })
  await take('a', 'red')
  await take('b', 'green')
  assert.equal((await queue.send()).next, 'rest')
  await queue.send()
  assert.deepEqual(order, ['b'])
  assert.deepEqual(settled.map(({ key, state }) => [key, state]), [['a', 'refused'], ['b', 'ready']])
  assert.deepEqual((await queue.list()).map(({ key, code }) => [key, code]), [['a', 'too_many_files']])
  state.refuse.clear()
  await queue.again({ table: 'cases', record_id: 'red', key: 'a' })
  await queue.send()
  assert.deepEqual(order, ['b', 'a'])
})

test('a photo whose record is not there yet waits', async () => {
  const { queue, take, state, order } = camera()
  state.refuse.set('a', { code: 'unknown_record', message: 'later' })
  await take('a', 'red')
  assert.equal((await queue.send()).next, 'retry')
  state.refuse.clear()
  assert.equal((await queue.send()).next, 'rest')
  assert.deepEqual(order, ['a'])
  await quiet()
})

test('a red photo that is taken meanwhile goes first, and the other one goes on where it was', async () => {
  const { queue, take, order, state, sent } = camera()
  await take('a', 'green', 200_000)
  state.meanwhile = async () => {
    state.meanwhile = async () => {}
    await take('b', 'red')
    await take('c', 'green')
  }
  assert.equal((await queue.send()).next, 'rest')
  assert.deepEqual(order, ['b', 'a', 'c'])
  const bytes = sent.reduce((sum, { method, body }) => sum + (method === 'PUT' && body ? body.length : 0), 0)
  assert.equal(bytes, 210_000)
})

test('photos go by themselves: when they are taken, after a pause, when the network is back, when it costs nothing', async () => {
  const online = new Store(true)
  const metered = new Store(false)
  const { queue, take, order, state, clock } = camera({ wifiOnly: () => true, metered: metered.get, random: () => 1 })
  const listener = (tell: (now: boolean) => void) => online.subscribe(() => tell(online.get()))
  const stop = queue.start({ online: listener, metered: metered.subscribe })
  await clock.pass(0)
  await take('a', 'green')
  await clock.pass(2999)
  assert.deepEqual(order, [])
  queue.trigger() // its record was sent
  await clock.pass(0)
  assert.deepEqual(order, ['a'])
  state.refuse.set('b', { code: 'unknown_record', message: 'later' })
  await take('b', 'red')
  await clock.pass(3000 + 4999)
  state.refuse.clear()
  assert.deepEqual(order, ['a'])
  await clock.pass(1)
  assert.deepEqual(order, ['a', 'b'])
  online.set(false)
  await take('c', 'red')
  await clock.pass(3_600_000)
  assert.deepEqual(order, ['a', 'b'])
  online.set(true)
  await clock.pass(0)
  assert.deepEqual(order, ['a', 'b', 'c'])
  metered.set(true)
  await take('d', 'green')
  await clock.pass(3_600_000)
  assert.equal(order.length, 3)
  metered.set(false)
  await clock.pass(0)
  assert.equal(order.at(-1), 'd')
  stop()
  await take('e', 'red')
  await clock.pass(3_600_000)
  assert.equal(order.length, 4)
})
