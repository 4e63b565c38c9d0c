import assert from 'node:assert/strict'
import { test } from 'node:test'
import { contents, repositories } from '../src/dermadetect.js'
import { CareKit, telemetryOf, type Attempt } from '../src/index.js'
import { tokensInMemory } from '../src/sync/index.js'
import { network, reply, TestClock, type Sent } from './machine.js'
import { openLoki } from './phone.js'

const version = '1.4.0'

const attempt = (at: number, more: Partial<Attempt> = {}): Attempt => ({
  at, reason: 'edit', next: 'rest', code: '', requestId: 'r1', durationMs: 100, sent: 1, received: 2, refused: 0, unsent: 0, ...more,
}) // prettier-ignore

test('attempts are summed up', () => {
  const history = [
    attempt(4, { next: 'retry', code: 'Unreachable', durationMs: 900, unsent: 7 }),
    attempt(3, { reason: 'timer', durationMs: 300 }),
    attempt(2, { next: 'retry', code: 'Unreachable', durationMs: 200, sent: 0 }),
    attempt(1, { refused: 1 }),
  ]
  const photos = [{ state: 'upload' }, { state: 'new' }, { state: 'new' }]
  assert.deepEqual(telemetryOf(history, { version, photos }), {
    app_version: '1.4.0', first_at: 1, last_at: 4, attempts: 4,
    ended: { rest: 2, retry: 2 }, began: { edit: 3, timer: 1 }, codes: { Unreachable: 2 },
    duration_ms: { median: 200, p95: 900, longest: 900 },
    sent: 3, received: 8, refused: 1, unsent: 7, photos: { new: 2, upload: 1 },
  }) // prettier-ignore
})

test('the next summary has what was not in the last one, and one of nothing is none', () => {
  const history = [attempt(2), attempt(1)]
  const { last_at } = telemetryOf(history, { version })
  assert.equal(telemetryOf([attempt(3), ...history], { version, after: last_at }).attempts, 1)
  const none = telemetryOf([], { version })
  assert.deepEqual([none.attempts, none.first_at, none.duration_ms, none.unsent], [0, null, null, 0])
})

test('nothing of a patient, of a user or of a request is in it, whatever fails', async () => {
  const secrets = ['Asha Devi', 'p-asha', 'r-77', 'https://care.example', 'amina@example.org']
  const [database, clock] = [openLoki(), new TestClock()]
  await repositories(database, clock).patients.create({ demographics: { name: secrets[0]! } }, 'p-asha')
  const error = { code: secrets[0], message: `no place for ${secrets[0]}`, request_id: 'r-77' }
  const answers = [reply(409, { error }), reply(500, secrets[0]), reply(400, { error }), reply(401, { error: { code: 'token_invalid' } })]
  const { fetch } = network((sent: Sent) => {
    if (sent.path.includes('/auth/')) throw new TypeError(`no ${secrets[4]}`)
    return answers.shift() ?? reply(200, { changes: {}, timestamp: 1 })
  })
  const kit = new CareKit({
    database, contents, clock, fetch, version, url: secrets[3]!, tokens: tokensInMemory({ access: 'a', refresh: 'b' }),
  }) // prettier-ignore
  for (let turn = 0; turn < 4; turn++) await kit.sync()
  const history = kit.history.attempts.get()
  const text = JSON.stringify(telemetryOf(history, { version }))
  assert.equal(JSON.parse(text).attempts, 4)
  assert.ok(JSON.parse(text).codes.other >= 1)
  for (const secret of secrets) assert.ok(!text.includes(secret), text)
})
