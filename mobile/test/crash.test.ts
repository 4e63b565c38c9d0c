import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Database } from '@nozbe/watermelondb'
import { contents, repositories } from '../src/dermadetect.js'
import { CareKit } from '../src/index.js'
import { rawOf } from '../src/records/index.js'
import { tokensInMemory } from '../src/sync/index.js'
import { network, reply, TestClock, type Sent } from './machine.js'
import { disk, openLoki, saved } from './phone.js'

interface Rows {
  created: Row[]
  updated: Row[]
  deleted: string[]
}
type Row = Record<string, unknown> & { id: string }

/** A server with a page for each change: p8 was deleted, p9 was edited by others. It takes what it is sent, but for p8. */
function care() {
  const has = new Map<string, Row>()
  const refused: Row[] = []
  const set = (more: Partial<Rows>): Rows => ({ created: [], updated: [], deleted: [], ...more })
  const p9 = { id: 'p9', demographics: '{"v":"theirs"}', last_modified_at: 9, created_at: 1, updated_at: 9 }
  const first = { changes: { patients: set({ updated: [p9] }) }, timestamp: 2000, has_more: true, next_page: 'two' }
  const second = { changes: { patients: set({ deleted: ['p8'] }) }, timestamp: 2000, has_more: false }
  const answer = ({ method, path, body }: Sent) => {
    if (method === 'GET') {
      if (path.includes('last_pulled_at=2000')) return reply(200, { changes: {}, timestamp: 2000 })
      if (path.includes('last_pulled_at=null')) return reply(200, { changes: {}, timestamp: 1000 })
      return reply(200, path.includes('page=two') ? second : first)
    }
    const rejected: object[] = []
    for (const [table, { created, updated }] of Object.entries(JSON.parse(String(body)) as Record<string, Rows>))
      for (const row of [...created, ...updated]) {
        if (row.id !== 'p8' || path.includes('last_pulled_at=null') || path.includes('last_pulled_at=1000')) {
          has.set(row.id, row)
          continue
        }
        refused.push(row)
        rejected.push({ table, id: row.id, code: 'deleted', message: 'somebody deleted it' })
      }
    const experimentalRejectedIds = rejected.length > 0 ? { patients: ['p8'] } : {}
    return reply(200, { rejected, experimentalRejectedIds, receipt: { id: 'r', digest: {} } })
  }
  return { has, refused, ...network(answer) }
}

const STEPS = ['batch', 'setLocal', 'removeLocal', 'destroyDeletedRecords'] as const

/** From the n-th change of the database on, none is made: the app is dead. Says how many were asked for. */
function dieAt(database: Database, n: number): { asked: () => number } {
  const adapter = database.adapter.underlyingAdapter as unknown as Record<string, (...given: unknown[]) => void>
  let asked = 0
  for (const step of STEPS) {
    const work = adapter[step]!.bind(adapter)
    adapter[step] = (...given) => {
      asked += 1
      if (asked < n) return work(...given)
      const answer = given.at(-1) as (result: { error: Error }) => void
      return answer({ error: new Error('killed') })
    }
  }
  return { asked: () => asked }
}

/** One life: what was synced before, then edits without a network, then a sync that dies at step `n`. */
async function life(n: number): Promise<boolean> {
  const [kept, clock, server] = [disk(), new TestClock(), care()]
  const open = () => {
    const database = openLoki(kept)
    const kit = new CareKit({
      database, contents, clock, fetch: server.fetch, url: 'https://care.example', version: '1.4.0',
      tokens: tokensInMemory({ access: 'a', refresh: 'r' }),
    }) // prettier-ignore
    return { database, kit, ...repositories(database, clock) }
  }
  const before = open()
  for (const id of ['p7', 'p8', 'p9']) await before.patients.create({ demographics: { v: 0 } }, id)
  await before.kit.sync()
  for (const id of ['p7', 'p8', 'p9']) await before.patients.update(id, { demographics: { v: 'mine' } })
  await before.patients.create({ demographics: {} }, 'new')
  await before.cases.create({ patient_id: 'new', risk_level: 'red' }, 'red')
  const { asked } = dieAt(before.database, n)
  await before.kit.sync().catch(() => undefined) // a dead app does not answer
  const died = asked() >= n
  await saved(before.database)
  const after = open()
  for (let again = 0; again < 3; again++) assert.equal((await after.kit.sync()).next, 'rest', `step ${n}`)
  const of = (id: string) => JSON.parse(String(server.has.get(id)?.['demographics']))
  const why = `killed at step ${n}`
  assert.deepEqual([of('p7'), of('p9')], [{ v: 'mine' }, { v: 'mine' }], why)
  assert.ok(server.has.has('new') && server.has.has('red'), why)
  assert.ok([of('p8').v, ...server.refused.map((row) => JSON.parse(String(row['demographics'])).v)].includes('mine'), why)
  assert.equal(await after.patients.find('p8'), null, why)
  const records = await Promise.all(['patients', 'cases'].map((table) => after.database.get(table).query().fetch()))
  assert.deepEqual(records.flat().filter((record) => rawOf(record)._status !== 'synced'), [], why)
  assert.equal((await after.database.get('medgemma_queue').find('red')).id, 'red', why)
  const [conflict] = after.kit.executor.conflicts.get()
  assert.deepEqual([conflict?.id, conflict?.columns['demographics']?.theirs], ['p9', '{"v":"theirs"}'], why)
  return died
}

test('an app that dies at any step of a sync loses nothing', async () => {
  let n = 1
  while (await life(n)) n += 1
  assert.ok(n > 15, `only ${n} steps`)
})
