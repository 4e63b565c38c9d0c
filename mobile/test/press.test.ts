import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { act, createElement, Fragment, Profiler, type ReactElement } from 'react'
import { useUnsent } from '../src/react/index.js'
import type { Conflict, SyncStatus } from '../src/sync/index.js'
import { ConflictView, RefusedRecords, RetryButton, StatusPill } from '../src/ui/index.js'
import { conflict, inCare, kitOf, refused } from './screens.js'

const { create } = createRequire(import.meta.url)('react-test-renderer') as { create(element: ReactElement): Drawn }
Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true })

interface Node {
  readonly type: string
  readonly props: Record<string, unknown> & { readonly onClick?: (event: object) => void }
  readonly children: readonly (Node | string)[]
  findAll(where: (node: Node) => boolean): Node[]
}
interface Drawn {
  readonly root: Node
}

/** Draws into memory: what is pressed there is pressed as in an app. */
async function drawn(element: ReactElement): Promise<Drawn> {
  let shown: Drawn | undefined
  await act(async () => void (shown = create(inCare(element))))
  return shown!
}

const byLabel = ({ root }: Drawn, label: string): Node => {
  const [found] = root.findAll(({ type, props }) => typeof type === 'string' && props['aria-label'] === label)
  assert.ok(found, `nothing is called ${label}`)
  return found
}

const press = (shown: Drawn, label: string) =>
  act(async () => byLabel(shown, label).props.onClick?.({ stopPropagation() {}, preventDefault() {}, nativeEvent: {}, altKey: false }))

test('buttons do what they say, of the record that they stand at', async () => {
  const kit = kitOf({}, [refused('too_long'), refused('deleted', false)])
  const corrected: string[] = []
  const describe = ({ id }: { id: string }) => `record ${id}`
  const list = await drawn(createElement(RefusedRecords, { kit, describe, onCorrect: ({ id }) => void corrected.push(id) }))
  await press(list, 'Put away: record deleted')
  await press(list, 'Correct: record too_long')
  assert.throws(() => byLabel(list, 'Correct: record deleted')) // it is not on the phone any more
  await press(await drawn(createElement(RetryButton, { kit })), 'Send and receive now')
  const states: string[] = []
  await press(await drawn(createElement(StatusPill, { kit: kitOf({ next: 'log_in' }), onPress: (state) => void states.push(state) })), 'Log in to send')
  assert.deepEqual([kit.called, corrected, states], [[['putAway', 'deleted'], ['sync']], ['too_long'], ['log_in']])
})

test('of a conflict only what was marked is taken, and it is settled after that', async () => {
  const kit = kitOf({}, [], [conflict])
  let full = true
  const onTake = async ({ id }: Conflict, values: object) => {
    if (full) throw new Error('the disk is full')
    kit.called.push(['take', id, values])
  }
  const view = await drawn(createElement(ConflictView, { kit, onTake }))
  assert.equal(byLabel(view, 'This phone: Red').props['aria-checked'], true)
  await press(view, 'Somebody else: Age: 43')
  await press(view, 'Somebody else: Green')
  await press(view, 'This phone: Red')
  await press(view, 'Keep what is marked: Case')
  assert.deepEqual(kit.called, []) // the conflict stays until the values are written
  assert.equal(view.root.findAll(({ type, props }) => typeof type === 'string' && props['role'] === 'alert').length, 1)
  full = false
  await press(view, 'Keep what is marked: Case')
  assert.deepEqual(kit.called, [['take', 'c1', { triage_data: '{"age":43,"site":"foot"}' }], ['settle', 'c1']])
})

test('a pill and a count are drawn anew only when they say something else', async () => {
  const kit = kitOf({ unsent: 2 })
  const drawings = { pill: 0, count: 0 }
  const counted = (id: keyof typeof drawings, element: ReactElement) =>
    createElement(Profiler, { key: id, id, onRender: () => (drawings[id] += 1) }, element)
  const Count = () => createElement('text', null, useUnsent(kit))
  await drawn(createElement(Fragment, null, counted('pill', createElement(StatusPill, { kit })), counted('count', createElement(Count))))
  const say = (status: Partial<SyncStatus>) => act(async () => kit.executor.status.set({ ...kit.executor.status.get(), ...status }))
  await say({ clockOffsetMs: 12, lastSuccessAt: 2, code: 'busy' })
  assert.deepEqual(drawings, { pill: 1, count: 1 })
  await say({ phase: 'syncing' })
  assert.deepEqual(drawings, { pill: 2, count: 1 })
  await say({ unsent: 3 })
  assert.deepEqual(drawings, { pill: 2, count: 2 })
})
