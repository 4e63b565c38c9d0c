/** What others met with such kits, by the report that told it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { contents, repositories } from '../src/dermadetect.js'
import { CareKit, type KitOptions } from '../src/index.js'
import { OtherUser, tokensInMemory } from '../src/sync/index.js'
import { agreeable, network, reply, TestClock, type Sent } from './machine.js'
import { openLoki } from './phone.js'

/** A phone on a server; `answer` is asked first. */
function phone(answer: (sent: Sent) => ReturnType<typeof reply> | null = () => null, more: Partial<KitOptions> = {}) {
  const clock = new TestClock()
  const database = more.database ?? openLoki()
  const { fetch, sent } = network((one) => answer(one) ?? agreeable(one))
  const kit = new CareKit({
    database, contents, clock, fetch, url: 'https://care.example', version: '1.4.0', random: () => 0.5,
    tokens: tokensInMemory({ access: 'a', refresh: 'r' }), ...more,
  }) // prettier-ignore
  return { clock, database, kit, sent, ...repositories(database, clock) }
}

test('what fails in the app itself is tried again without an edit (powersync-swift#179, powersync-native#15)', async () => {
  let locked = true
  const tokens = {
    load: async () => {
      if (locked) throw new Error('the keychain is locked')
      return { access: 'a', refresh: 'r' }
    },
    save: async () => {},
  }
  const { clock, kit, patients } = phone(undefined, { tokens })
  await patients.create({})
  const stop = kit.start()
  await clock.pass(5000)
  assert.deepEqual([kit.executor.status.get().next, kit.executor.status.get().unsent], ['report', 1])
  locked = false
  await clock.pass(15 * 60_000)
  assert.deepEqual([kit.executor.status.get().next, kit.executor.status.get().unsent], ['rest', 0])
  stop()
})

test('an upload of photos that hangs holds up no record (avni-client#2067)', async () => {
  const { clock, kit, patients } = phone(undefined, { after: () => new Promise(() => {}) })
  const stop = kit.start()
  await clock.pass(2000)
  await patients.create({})
  await clock.pass(30_000)
  assert.equal(kit.executor.status.get().unsent, 0)
  stop()
})

test('a log-in after a session that has ended sends what waited, by itself (pouchdb-authentication#82)', async () => {
  let ended = true
  const { clock, kit, patients } = phone(({ path }) => {
    if (path.endsWith('/login')) {
      ended = false
      return reply(200, { access_token: 'a2', refresh_token: 'r2', user_id: 'amina' })
    }
    return ended ? reply(401, { error: { code: 'session_ended' } }) : null
  })
  const stop = kit.start()
  await patients.create({})
  await clock.pass(60 * 60_000)
  assert.deepEqual([kit.executor.status.get().next, kit.executor.status.get().unsent], ['log_in', 1])
  await kit.logIn('amina@example.org', 'correct horse battery')
  await clock.pass(2000)
  assert.deepEqual([kit.executor.status.get().next, kit.executor.status.get().unsent], ['rest', 0])
  stop()
})

test('nobody sends what another user of the phone left unsent (lunora#79)', async () => {
  const as = (user: string) => ({ path }: Sent) =>
    path.endsWith('/login') ? reply(200, { access_token: user, refresh_token: user, user_id: user }) : null
  const tokens = tokensInMemory()
  const amina = phone(as('amina'), { tokens })
  await amina.kit.logIn('amina@example.org', 'correct horse battery')
  await amina.patients.create({})
  const binta = phone(as('binta'), { tokens, database: amina.database })
  await assert.rejects(binta.kit.logIn('binta@example.org', 'correct horse battery'), OtherUser)
  assert.equal((await tokens.load())?.access, 'amina')
  assert.equal(binta.sent.at(-1)?.path, '/api/v1/auth/logout')
  await amina.kit.logIn('amina@example.org', 'correct horse battery') // a new token of the same user
  assert.equal((await amina.kit.sync()).next, 'rest')
})

test('records of one server do not go to another one (ode#109)', async () => {
  const { database, kit, patients } = phone()
  await kit.sync()
  await patients.create({})
  const url = 'https://other.example'
  const moved = phone(undefined, { database, url })
  const { next, error } = await moved.kit.sync()
  assert.deepEqual([next, error?.name, moved.sent.length], ['report', 'OtherServer', 0])
  assert.match(error!.message, /care\.example.*formerUrls/)
  const same = phone(undefined, { database, url, formerUrls: ['https://care.example'] })
  assert.equal((await same.kit.sync()).next, 'rest')
  assert.equal(same.kit.executor.status.get().unsent, 0)
})
