import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Connectivity, type NetInfo } from '../src/connectivity/index.js'
import { Store } from '../src/ports.js'
import { network, quiet, reply, TestClock } from './machine.js'

const url = 'https://care.example'
const page = reply(200, '<html>Welcome to the hotel</html>')
const well = reply(200, { status: 'ok' })

/** netinfo, as a test says. */
function phoneNetwork() {
  let tell: Parameters<NetInfo['addEventListener']>[0] = () => {}
  const netInfo: NetInfo = {
    addEventListener(listener) {
      tell = listener
      return () => {}
    },
  }
  const say = (isConnected: boolean, isConnectionExpensive = false) => tell({ isConnected, details: { isConnectionExpensive } })
  return { netInfo, say }
}

test('what answers tells where the phone is', async () => {
  const clock = new TestClock()
  const of = (answer: () => ReturnType<typeof reply>) => new Connectivity({ url, clock, fetch: network(answer).fetch }).probe()
  assert.equal(await of(() => well), 'online')
  assert.equal(await of(() => reply(503, { error: { code: 'busy' } })), 'online')
  assert.equal(await of(() => page), 'captive')
  assert.equal(await of(() => reply(200, { login: 'here' })), 'captive')
  assert.equal(await of(() => reply(511, 'log in')), 'captive')
  assert.equal(await of(() => reply(502, '<html>Bad Gateway</html>')), 'unreachable')
  const dead = () => {
    throw new TypeError('fetch failed')
  }
  assert.equal(await of(dead), 'offline')
})

test('an answer that does not come is none', async () => {
  const clock = new TestClock()
  const silent = network(({ signal }) => new Promise((_, failed) => signal!.addEventListener('abort', () => failed(new Error()))))
  const probe = new Connectivity({ url, clock, fetch: silent.fetch }).probe()
  await clock.pass(8000)
  assert.equal(await probe, 'offline')
})

test('behind a log-in page the phone asks again, more and more rarely, until the server answers', async () => {
  const clock = new TestClock()
  let answer = page
  const { fetch, sent } = network(() => answer)
  const { netInfo, say } = phoneNetwork()
  const watcher = new Connectivity({ url, clock, fetch, netInfo, random: () => 1 })
  const told: boolean[] = []
  watcher.online((online) => told.push(online))
  const stop = watcher.start()
  say(true, true)
  await quiet()
  assert.deepEqual([watcher.reach.get(), watcher.metered.get()], ['captive', true])
  await clock.pass(60_000)
  assert.equal(sent.length, 4) // at 0, 5, 15 and 35 s
  answer = well
  await clock.pass(60_000)
  assert.equal(watcher.reach.get(), 'online')
  const before = sent.length
  await clock.pass(3_600_000)
  assert.equal(sent.length, before)
  assert.deepEqual(told, [false, true])
  say(false)
  assert.equal(watcher.reach.get(), 'offline')
  stop()
})

test('a phone that is connected and gets no answer is not called offline', async () => {
  const { netInfo, say } = phoneNetwork()
  const fetch = async () => {
    throw new TypeError('fetch failed')
  }
  const watcher = new Connectivity({ url, clock: new TestClock(), fetch, netInfo })
  const told: boolean[] = []
  watcher.online((online) => told.push(online))
  const stop = watcher.start()
  say(true)
  await quiet()
  assert.equal(watcher.reach.get(), 'unreachable')
  say(false)
  assert.equal(watcher.reach.get(), 'offline')
  assert.deepEqual(told, [false, false]) // no sync begins by itself
  stop()
})

test('news of the same network are none', async () => {
  const { fetch, sent } = network(() => well)
  const { netInfo, say } = phoneNetwork()
  const stop = new Connectivity({ url, clock: new TestClock(), fetch, netInfo }).start()
  for (let strength = 0; strength < 9; strength++) say(true)
  await quiet()
  assert.equal(sent.length, 1)
  say(true, true)
  assert.equal(sent.length, 2)
  stop()
})

test('over HTTPS a hotspot can only be seen on an address of plain HTTP', async () => {
  let plain: ReturnType<typeof reply> | null = page
  const { fetch, sent } = network(({ path }) => {
    if (!path.startsWith('http://') || !plain) throw new TypeError('the certificate is not for this name')
    return plain
  })
  const { netInfo, say } = phoneNetwork()
  const watcher = new Connectivity({ url, plainUrl: 'http://plain.example/204', clock: new TestClock(), fetch, netInfo })
  const stop = watcher.start()
  say(true)
  await quiet()
  assert.equal(watcher.reach.get(), 'captive')
  plain = reply(204, '')
  assert.equal(await watcher.probe(), 'unreachable')
  plain = null
  assert.equal(await watcher.probe(), 'unreachable')
  say(false)
  const before = sent.length
  assert.equal(await watcher.probe(), 'offline')
  assert.equal(sent.length, before + 1) // without a network nobody else is asked
  stop()
})

test('a sync without an answer makes it look, and the next one begins when the server is back', async () => {
  let answer: typeof well | null = well
  const { fetch, sent } = network(() => {
    if (!answer) throw new TypeError('fetch failed')
    return answer
  })
  const { netInfo, say } = phoneNetwork()
  const clock = new TestClock()
  const watcher = new Connectivity({ url, clock, fetch, netInfo, random: () => 1 })
  const told: boolean[] = []
  const status = new Store({ phase: 'idle', code: '' })
  const ends = [watcher.start(), watcher.follow(status)]
  say(true)
  await quiet()
  watcher.online((online) => told.push(online))
  status.set({ phase: 'syncing', code: '' })
  status.set({ phase: 'idle', code: 'busy' })
  await quiet()
  assert.equal(sent.length, 1)
  answer = null
  status.set({ phase: 'idle', code: 'Unreachable' })
  await quiet()
  assert.equal(watcher.reach.get(), 'unreachable')
  answer = well
  await clock.pass(5000)
  assert.deepEqual(told, [true, false, true])
  for (const end of ends) end()
})

test('an answer of the network before is not believed', async () => {
  let answered: (answer: typeof well) => void = () => {}
  const { fetch } = network(() => new Promise<typeof well>((done) => (answered = done)))
  const { netInfo, say } = phoneNetwork()
  const watcher = new Connectivity({ url, clock: new TestClock(), fetch, netInfo })
  const stop = watcher.start()
  say(true)
  say(false)
  answered(well)
  await quiet()
  assert.equal(watcher.reach.get(), 'offline')
  stop()
})
