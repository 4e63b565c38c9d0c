import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Database } from '@nozbe/watermelondb'
import { repositories } from '../src/dermadetect.js'
import { AnalysisQueue } from '../src/queue/index.js'
import { quiet, TestClock } from './machine.js'
import { disk, openLoki, saved } from './phone.js'

const of = (database: Database, clock: TestClock, looks: number[] = []) =>
  new AnalysisQueue({
    database, clock, random: () => 1, table: 'medgemma_queue', column: 'case_id', of: 'cases',
    look: () => void looks.push(clock.now()),
  }) // prettier-ignore

/** What a sync does: the case is delivered, and the server's row says so. */
async function sync(database: Database, id: string, status: string, attempts = 0): Promise<void> {
  const done = { _status: 'synced', _changed: '' }
  const [case_, row] = [await database.get('cases').find(id), await database.get('medgemma_queue').find(id)]
  await database.write(() =>
    database.batch([
      case_.prepareUpdate(() => Object.assign(case_._raw, done)),
      row.prepareUpdate(() => Object.assign(row._raw, { status, attempts, ...done })),
    ]),
  )
}

test('an analysis goes from unsent to queued, processing and done', async () => {
  const [database, clock] = [openLoki(), new TestClock()]
  const queue = of(database, clock)
  const { id } = await repositories(database, clock).cases.create({ patient_id: 'p1', risk_level: 'red' })
  const state = async () => (await queue.refresh()).map(({ state, attempts }) => [state, attempts])
  assert.deepEqual(await state(), [['unsent', 0]])
  for (const status of ['queued', 'processing', 'done']) {
    await sync(database, id, status, 1)
    assert.deepEqual(await state(), [[status, 1]])
  }
})

test('while one is open it looks again, more and more rarely, and then not at all', async () => {
  const [database, clock, looks] = [openLoki(), new TestClock(), [] as number[]]
  const queue = of(database, clock, looks)
  const { id } = await repositories(database, clock).cases.create({ patient_id: 'p1', risk_level: 'red' })
  const stop = queue.start()
  await clock.pass(3_600_000)
  assert.deepEqual(looks, []) // it is not even sent
  const began = clock.now()
  await sync(database, id, 'queued')
  await clock.pass(80_000)
  assert.deepEqual(looks.map((at) => at - began), [5000, 15_000, 35_000, 75_000])
  await sync(database, id, 'failed', 3)
  await clock.pass(3_600_000)
  assert.equal(looks.length, 4)
  assert.equal(queue.entries.get()[0]!.state, 'failed')
  stop()
})

test('a phone without room looks no more often', async () => {
  const [database, clock, looks] = [openLoki(), new TestClock(), [] as number[]]
  const { id } = await repositories(database, clock).cases.create({ patient_id: 'p1', risk_level: 'red' })
  await sync(database, id, 'queued')
  database.localStorage.set = () => Promise.reject(new Error('QuotaExceededError'))
  const began = clock.now()
  const stop = of(database, clock, looks).start()
  await clock.pass(80_000)
  stop()
  assert.deepEqual(looks.map((at) => at - began), [5000, 15_000, 35_000, 75_000])
})

test('a pause goes on after the app was killed', async () => {
  const [kept, clock, looks] = [disk(), new TestClock(), [] as number[]]
  const before = openLoki(kept)
  const { id } = await repositories(before, clock).cases.create({ patient_id: 'p1', risk_level: 'red' })
  await sync(before, id, 'processing')
  const stop = of(before, clock).start()
  await clock.pass(20_000) // two looks: the third is due 20 s after the second, at 35 s
  await saved(before)
  stop()
  const after = openLoki(kept)
  const end = of(after, clock, looks).start()
  await clock.pass(14_000)
  await quiet()
  assert.equal(looks.length, 0)
  await clock.pass(2000)
  assert.equal(looks.length, 1)
  end()
})
