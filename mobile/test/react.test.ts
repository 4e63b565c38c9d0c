import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { act, createElement } from 'react'
import { contents, repositories } from '../src/dermadetect.js'
import { CareKit } from '../src/index.js'
import { useConflicts, useHistory, useRefused, useSyncStatus, useUnsent } from '../src/react/index.js'
import { tokensInMemory } from '../src/sync/index.js'
import { agreeable, network, TestClock } from './machine.js'
import { openLoki } from './phone.js'

const { create } = createRequire(import.meta.url)('react-test-renderer') as {
  create(element: unknown): { toJSON(): string; unmount(): void }
}
Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true })

test('a component is drawn anew when there is something to say', async () => {
  const [database, clock] = [openLoki(), new TestClock()]
  const { fetch } = network(agreeable)
  const kit = new CareKit({
    database, contents, clock, fetch, url: 'https://care.example', version: '1.4.0',
    tokens: tokensInMemory({ access: 'a', refresh: 'r' }),
  }) // prettier-ignore
  const drawn: string[] = []
  const Line = () => {
    const { next } = useSyncStatus(kit)
    const lists = [useRefused(kit), useConflicts(kit), useHistory(kit)].map(({ length }) => length)
    drawn.push(`${next} ${useUnsent(kit)} ${lists.join(' ')}`)
    return createElement('text', null, drawn.at(-1))
  }
  let shown: ReturnType<typeof create> | undefined
  await act(async () => void (shown = create(createElement(Line))))
  await repositories(database, clock).patients.create({})
  await act(async () => kit.executor.refresh())
  await act(async () => void (await kit.sync()))
  const times = drawn.length
  await act(async () => kit.executor.refresh())
  assert.equal(drawn.length, times) // nothing has changed
  assert.deepEqual([drawn[0], drawn.at(-1)], ['null 0 0 0 0', 'rest 0 0 0 1'])
  assert.ok(drawn.includes('null 1 0 0 0'))
  await act(async () => shown?.unmount())
})
