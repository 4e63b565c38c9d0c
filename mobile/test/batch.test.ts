import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BatchPhone, Server, Session, tokensInMemory, type BatchStore } from '../src/batch/index.js'
import { contents, type Drafts } from '../src/generated/dermadetect-columns.js'
import { network, quiet, reply, TestClock, type Sent } from './machine.js'

interface Row {
  id: string
  sync_status: string
}

/** A server that takes everything. */
const takes = ({ body }: Sent) => {
  const { changes = {} } = JSON.parse(String(body)) as { changes?: Record<string, Row[]> }
  const accepted = Object.fromEntries(Object.entries(changes).map(([table, rows]) => [table, rows.map(({ id }) => id)]))
  return reply(200, {
    new_sync_timestamp: 1000, server_updates: {}, deleted: {}, accepted, rejected: [], conflicts: [],
    has_more: false, next_page: null, clock_offset_ms: 0, receipt: { id: 'r', digest: {} },
  }) // prettier-ignore
}

/** A phone; `before` is called before each write to its store. */
function phone(answer: (sent: Sent) => ReturnType<typeof takes> | Promise<ReturnType<typeof takes>> = takes) {
  const disk = new Map<string, unknown>()
  const hooks = { before: async (_values: object) => {} }
  const store: BatchStore = {
    read: async (key) => structuredClone(disk.get(key)),
    list: async (prefix) => [...disk].filter(([key]) => key.startsWith(prefix)),
    write: async (values) => {
      await hooks.before(values)
      for (const [key, value] of Object.entries(values)) value === null ? disk.delete(key) : disk.set(key, value)
    },
  }
  const { fetch, sent } = network(answer)
  const shared = { url: 'https://care.example', version: '1.4.0', fetch }
  const session = new Session({ ...shared, tokens: tokensInMemory({ access: 'a', refresh: 'r' }) })
  const server = new Server({ ...shared, session })
  const made = new BatchPhone<Drafts>({ store, contents, server, clock: new TestClock() })
  return { phone: made, disk, hooks, sent }
}

test('an edit that is saved while an answer is taken over is not lost', async () => {
  const { phone: one, disk, hooks, sent } = phone()
  await one.save('patients', 'p1', { demographics: { v: 1 } })
  let late: Promise<void> | null = null
  hooks.before = async (values) => {
    if (late || !('sent' in values) || (values as { sent: unknown }).sent !== null) return
    late = one.save('patients', 'p1', { demographics: { v: 2 } }) // just before the answer is written
    await quiet()
  }
  assert.equal((await one.sync()).next, 'rest')
  await late
  await one.sync()
  assert.equal(await one.unsent(), 0)
  assert.deepEqual((await one.find('patients', 'p1'))?.['demographics'], { v: 2 })
  const last = JSON.parse(String(sent.at(-1)!.body)) as { changes: Record<string, Record<string, unknown>[]> }
  assert.deepEqual(last.changes['patients']?.[0]?.['demographics'], { v: 2 })
  assert.ok(!disk.has('sent'))
})

test('two edits of one record at once are both kept', async () => {
  const { phone: one } = phone()
  await one.save('cases', 'c1', { patient_id: 'p1' })
  await one.sync()
  await Promise.all([one.save('cases', 'c1', { risk_level: 'red' }), one.save('cases', 'c1', { image_keys: ['a'] })])
  const row = await one.find('cases', 'c1')
  assert.deepEqual([row?.['risk_level'], row?.['image_keys'], row?.['patient_id']], ['red', ['a'], 'p1'])
  assert.equal(await one.unsent(), 1)
})

test('a repair and a sync never run at once', async () => {
  let [now, most] = [0, 0]
  const { phone: one, sent } = phone(async (asked) => {
    now += 1
    most = Math.max(most, now)
    await quiet()
    now -= 1
    return asked.method === 'GET' ? reply(200, { current: true, tables: {} }) : takes(asked)
  })
  await one.save('patients', 'p1', { demographics: {} })
  const [outcome, found] = await Promise.all([one.sync(), one.repair(), one.sync()])
  assert.deepEqual([outcome.next, found.state, most], ['rest', 'equal', 1])
  assert.ok(sent.some(({ path }) => path.includes('/digest')))
})

test('half an emoji does not cost the record, and a column of the server is not written', async () => {
  const { phone: one } = phone()
  await one.save('patients', 'p1', { demographics: { note: 'cut \uD83D', whole: '😀' } })
  assert.deepEqual((await one.find('patients', 'p1'))?.['demographics'], { note: 'cut \uFFFD', whole: '😀' })
  await assert.rejects(one.save('cases', 'c1', { status: 'DIAGNOSED' } as never), TypeError)
  assert.equal(await one.find('cases', 'c1'), null)
})

test('what was refused is listed until it is mended, what is gone until it is read', async () => {
  let code = 'unknown_parent'
  const { phone: one } = phone(async (sent) => {
    const taken = JSON.parse(await takes(sent).text()) as object
    const { changes = {} } = JSON.parse(String(sent.body)) as { changes?: Record<string, Row[]> }
    const rejected = (changes['cases'] ?? []).map(({ id }) => ({ table: 'cases', id, field: null, code, message: 'no' }))
    return reply(200, { ...taken, accepted: {}, rejected: code ? rejected : [], ...(code ? {} : { accepted: { cases: ['c1'] } }) })
  })
  await one.save('cases', 'c1', { patient_id: 'nobody' })
  await one.sync()
  const [refused] = await one.refused()
  assert.deepEqual([refused?.code, refused?.record['patient_id'], await one.unsent()], ['unknown_parent', 'nobody', 0])
  code = 'moved'
  await one.save('cases', 'c1', { patient_id: 'p1' })
  await one.sync()
  assert.deepEqual(await one.refused(), [])
  assert.equal(await one.find('cases', 'c1'), null)
  const [notice] = await one.notices()
  assert.deepEqual([notice?.code, notice?.record?.['patient_id']], ['moved', 'p1'])
  await one.putAway(notice!)
  assert.deepEqual(await one.notices(), [])
})

test('a brief answer says as much as a whole one', async () => {
  const { phone: one, sent } = phone(({ body }) => {
    const { changes, last_sync_timestamp } = JSON.parse(String(body)) as Record<'changes' | 'last_sync_timestamp', unknown>
    assert.equal((JSON.parse(String(body)) as { brief: boolean }).brief, true)
    if (last_sync_timestamp) return reply(200, { new_sync_timestamp: 2000, deleted: { patients: ['p2'] } })
    const ids = (changes as Record<string, Row[]>)['patients']!.map(({ id }) => id)
    const row = { chw_id: 'u1', updated_at: 999 }
    const same = { patients: [{ ids: ids.slice(1), row }] }
    const server_updates = { patients: [{ id: ids[0], chw_id: 'u2' }] }
    return reply(200, { new_sync_timestamp: 1000, server_updates, same, accepted: { patients: ids } })
  })
  for (const id of ['p1', 'p2', 'p3']) await one.save('patients', id, { demographics: { v: id } })
  assert.equal((await one.sync()).next, 'rest')
  const makers = async () => (await one.rows('patients')).map(({ id, chw_id }) => [id, chw_id])
  assert.deepEqual((await makers()).sort(), [['p1', 'u2'], ['p2', 'u1'], ['p3', 'u1']]) // prettier-ignore
  assert.equal((await one.sync()).next, 'rest')
  assert.deepEqual((await makers()).sort(), [['p1', 'u2'], ['p3', 'u1']]) // prettier-ignore
  assert.deepEqual((await one.find('patients', 'p3'))?.['demographics'], { v: 'p3' })
  assert.equal(sent.length, 2)
})
