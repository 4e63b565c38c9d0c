import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Database, Q } from '@nozbe/watermelondb'
import { hasUnsyncedChanges } from '@nozbe/watermelondb/sync/index.js'
import { repositories, type MedgemmaQueue } from '../src/dermadetect.js'
import { versions } from '../src/generated/dermadetect.js'
import { systemClock } from '../src/ports.js'
import { Gone, migrationsOf, rawOf, type SchemaVersion } from '../src/records/index.js'
import { disk, hasSqlite, openLoki, openSqlite, saved } from './phone.js'

const at = (now: number) => ({ ...systemClock, now: () => now })
const queue = (database: Database) => database.get<MedgemmaQueue>('medgemma_queue')

/** What a sync does to a record that was delivered. */
async function delivered(database: Database): Promise<void> {
  for (const { name } of versions.at(-1)!.tables)
    for (const record of await database.get(name).query().fetch())
      await database.write(() =>
        record.update(() => Object.assign(record._raw, { _status: 'synced', _changed: '' })),
      )
}

test('a new record says when it was made, and keeps JSON as text', async () => {
  const { patients } = repositories(openLoki(), at(5000))
  const made = await patients.create({ demographics: { name: 'Asha', age: 34 } })
  assert.deepEqual([made.created_at, made.last_modified_at, made.sync_status], [5000, 5000, 'created'])
  assert.equal(rawOf(made)['demographics'], '{"name":"Asha","age":34}')
  assert.deepEqual(made.demographics, { name: 'Asha', age: 34 })
})

test('an edit says when it was made and what it changed', async () => {
  const database = openLoki()
  const { cases } = repositories(database, at(5000))
  const made = await cases.create({ patient_id: 'p1', triage_data: {}, image_keys: ['a'] })
  await delivered(database)
  const later = repositories(database, at(6000)).cases
  const edited = await later.update(made.id, { triage_data: { site: 'arm' }, image_keys: ['a'] })
  assert.deepEqual([edited.created_at, edited.last_modified_at], [5000, 6000])
  assert.deepEqual([...edited.changed_columns].sort(), ['last_modified_at', 'triage_data'])
})

test('writing what is there already is no edit', async () => {
  const database = openLoki()
  const { patients } = repositories(database)
  const made = await patients.create({ demographics: { age: 3 } })
  await delivered(database)
  await patients.update(made.id, { demographics: { age: 3 } })
  assert.equal(await hasUnsyncedChanges({ database }), false)
})

test('an edit that is made of the record as it is loses no other', async () => {
  const { cases } = repositories(openLoki())
  const { id } = await cases.create({ patient_id: 'p1', image_keys: [] })
  const add = (key: string) => cases.update(id, ({ image_keys }) => ({ image_keys: [...(image_keys ?? []), key] }))
  await Promise.all([add('a'), add('b'), add('c')])
  assert.deepEqual((await cases.find(id))?.image_keys, ['a', 'b', 'c'])
})

test('a column of the server cannot be written, and a record that is gone cannot be edited', async () => {
  const { cases } = repositories(openLoki())
  await assert.rejects(cases.create({ patient_id: 'p1', status: 'DIAGNOSED' } as never), TypeError)
  await assert.rejects(cases.update('nobody', { risk_level: 'red' }), Gone)
  await assert.rejects(cases.delete('nobody'), Gone)
})

test('a red case and its place in the queue are one write', async () => {
  const database = openLoki()
  const { cases } = repositories(database)
  const batches: number[] = []
  const batch = database.batch.bind(database)
  database.batch = (...records: never[]) => {
    batches.push(records.flat().length)
    return batch(...records)
  }
  const red = await cases.create({ patient_id: 'p1', risk_level: 'red' })
  assert.deepEqual(batches, [2])
  const row = await queue(database).find(red.id)
  assert.deepEqual([row.case_id, row.status, row.attempts], [red.id, 'queued', 0])
  const green = await cases.create({ patient_id: 'p1', risk_level: 'green' })
  assert.equal(await queue(database).query(Q.where('id', green.id)).fetchCount(), 0)
  await cases.update(green.id, { risk_level: 'red' })
  assert.equal(await queue(database).query().fetchCount(), 2)
  await cases.update(green.id, { triage_data: { site: 'foot' }, risk_level: 'red' })
  assert.equal(await queue(database).query().fetchCount(), 2)
  await cases.delete(red.id)
  assert.equal(await queue(database).query().fetchCount(), 1)
})

test('a patient that is deleted takes its cases along', async () => {
  const database = openLoki()
  const { patients, cases } = repositories(database)
  const [gone, stays] = await patients.createMany([{}, {}])
  await cases.create({ patient_id: gone!.id, risk_level: 'red' })
  const kept = await cases.create({ patient_id: stays!.id, risk_level: 'red' })
  await patients.delete(gone!.id)
  assert.deepEqual((await cases.query().fetch()).map(({ id }) => id), [kept.id])
  assert.deepEqual((await queue(database).query().fetch()).map(({ id }) => id), [kept.id])
})

test('many records are made in one write, or none', async () => {
  const database = openLoki()
  const { patients, cases } = repositories(database)
  assert.equal((await patients.createMany([{}, {}, {}])).length, 3)
  const bad = [{ patient_id: 'p1' }, { patient_id: 'p1', chw_id: 'me' } as never]
  await assert.rejects(cases.createMany(bad), TypeError)
  assert.equal(await cases.query().fetchCount(), 0)
})

test('relations lead to parents and children', async () => {
  const { patients, cases } = repositories(openLoki())
  const patient = await patients.create({})
  const made = await cases.create({ patient_id: patient.id })
  assert.equal((await made.patient())?.id, patient.id)
  assert.deepEqual((await patient.cases.fetch()).map(({ id }) => id), [made.id])
})

test('half an emoji does not cost the record', async () => {
  const { patients } = repositories(openLoki())
  const made = await patients.create({ demographics: { note: 'cut \uD83D', whole: '😀' } })
  assert.deepEqual(made.demographics, { note: 'cut \uFFFD', whole: '😀' })
})

// --- upgrades

/** The example of an upgrade: the next version has a column and a table more. */
const last = versions.at(-1)!
const next: SchemaVersion = {
  version: last.version + 1,
  tables: [
    ...last.tables.map((table) =>
      table.name !== 'patients'
        ? table
        : { ...table, columns: [...table.columns, { name: 'village', type: 'string' as const, isOptional: true }] },
    ),
    { name: 'visits', columns: [{ name: 'patient_id', type: 'string', isIndexed: true }] },
  ],
}

/** Data and unsent edits of the old version are there after the upgrade, and the new column is empty. */
async function upgrades(open: (schema: readonly SchemaVersion[]) => Database, close: (old: Database) => Promise<void>) {
  const old = open(versions)
  const { patients, cases } = repositories(old)
  const patient = await patients.create({ demographics: { name: 'Asha' } })
  await delivered(old)
  await patients.update(patient.id, { demographics: { name: 'Ása' } })
  const red = await cases.create({ patient_id: patient.id, risk_level: 'red' })
  await close(old)
  const now = open([...versions, next])
  const kept = (await repositories(now).patients.find(patient.id))!
  assert.deepEqual(kept.demographics, { name: 'Ása' })
  assert.deepEqual([kept.sync_status, rawOf(kept)['village']], ['updated', null])
  assert.equal((await repositories(now).cases.find(red.id))?.sync_status, 'created')
  assert.equal(await queue(now).query().fetchCount(), 1)
  assert.ok(now.schema.tables['visits'])
  await now.write(() => kept.update(() => kept._setRaw('village', 'Kito')))
  assert.equal(await now.get('patients').query(Q.where('village', 'Kito')).fetchCount(), 1)
}

test('an upgrade keeps what the phone has (LokiJS)', async () => {
  const kept = disk()
  await upgrades((schema) => openLoki(kept, schema), saved)
})

test('an upgrade keeps what the phone has (SQLite)', { skip: !hasSqlite() }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'kit-'))
  await upgrades(
    (schema) => openSqlite(join(folder, 'phone.db'), schema),
    async () => {},
  )
  await rm(folder, { recursive: true })
})

test('a version that loses or changes a column, or is missing, is refused', () => {
  const without = { ...next, tables: last.tables.slice(1) }
  assert.throws(() => migrationsOf([...versions, without]), /lost the table patients/)
  const [first, ...more] = last.tables
  const narrowed = { ...first!, columns: first!.columns.slice(1) }
  assert.throws(() => migrationsOf([...versions, { ...next, tables: [narrowed, ...more] }]), /patients\.demographics/)
  assert.throws(() => migrationsOf([...versions, { ...next, version: 9 }]), /is missing/)
})
