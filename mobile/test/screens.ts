/** A kit as the components see it, and every component in every state. */
import { createElement, type ReactElement } from 'react'
import type { Reach } from '../src/connectivity/index.js'
import type { Attempt } from '../src/history.js'
import { Store } from '../src/ports.js'
import type { QueueEntry, QueueState } from '../src/queue/index.js'
import type { Conflict, RefusedRecord, SyncStatus } from '../src/sync/index.js'
import {
  CareProvider, ConflictView, light, OfflineBanner, QueueList, RefusedRecords, RetryButton, StatusPill, SyncHistory,
  type PillState, type Theme,
} from '../src/ui/index.js' // prettier-ignore
import { en, type Language } from '../src/words/index.js'

const NAMES = { cases: 'Case', age: 'Age', risk_level: 'Risk', 'risk_level=red': 'Red', 'risk_level=green': 'Green' }

/** A status with nothing to say. */
export const quietly: SyncStatus = {
  phase: 'idle', next: 'rest', code: '', retryAt: null, lastSuccessAt: 1, unsent: 0, refused: 0, conflicts: 0, clockOffsetMs: 0,
} // prettier-ignore

export const refused = (code: string, kept = true, field: string | null = null): RefusedRecord => ({
  table: 'cases', id: code, code, field, message: 'for developers', row: null, kept,
}) // prettier-ignore

export const conflict: Conflict = {
  table: 'cases', id: 'c1', at: 1_800_000_000_000,
  columns: {
    risk_level: { mine: 'red', theirs: 'green' },
    body_site: { mine: true, theirs: null },
    triage_data: { mine: '{"age":34,"site":"foot"}', theirs: '{"age":43,"site":"foot"}' },
  },
} // prettier-ignore

const attempt = (next: string, code: string): Attempt => ({
  at: 1_800_000_000_000, reason: 'user', next, code, requestId: code && 'req-1', durationMs: 900, sent: 1, received: 2, refused: code ? 1 : 0,
  unsent: 0,
}) // prettier-ignore

const entry = (state: QueueState, attempts = 0): QueueEntry => ({
  id: state, recordId: state, state, attempts, askedAt: 1_800_000_000_000,
}) // prettier-ignore

/** A kit as the components see it. */
export function kitOf(status: Partial<SyncStatus> = {}, records: RefusedRecord[] = [], conflicts: Conflict[] = [], attempts: Attempt[] = []) {
  const called: unknown[][] = []
  const executor = {
    status: new Store<SyncStatus>({ ...quietly, ...status }),
    refused: new Store<readonly RefusedRecord[]>(records),
    conflicts: new Store<readonly Conflict[]>(conflicts),
    putAway: async ({ id }: { id: string }) => void called.push(['putAway', id]),
    settleConflict: async ({ id }: { id: string }) => void called.push(['settle', id]),
    theirs: (of: Conflict, columns: readonly string[] = []) =>
      Object.fromEntries(columns.map((column) => [column, String(of.columns[column]?.theirs)])),
  }
  const sync = async () => void called.push(['sync'])
  return { executor, sync, called, history: { attempts: new Store<readonly Attempt[]>(attempts) } }
}

export const inCare = (element: ReactElement, language: Language = en, theme: Theme = light) =>
  createElement(CareProvider, { language, theme, names: NAMES }, element)

/** Every component in every state: name → element. */
export function* everything(): Generator<[string, ReactElement]> {
  const time = Date.UTC(2027, 0, 15, 9)
  for (const reach of ['unknown', 'offline', 'unreachable', 'captive', 'online'] as const)
    for (const unsent of [0, 2])
      yield [`banner ${reach} ${unsent}`, createElement(OfflineBanner, { kit: kitOf({ unsent }), connectivity: reachOf(reach) })]
  for (const [state, status] of PILLS)
    for (const onPress of [undefined, () => {}])
      yield [
        `pill ${state}`,
        createElement(StatusPill, {
          kit: kitOf({ retryAt: time, ...status }),
          connectivity: reachOf(state === 'waits_for_network' ? 'offline' : 'online'),
          ...(onPress && { onPress }),
        }),
      ]
  for (const status of [{}, { phase: 'syncing' as const }, { next: 'retry' as const }, { next: null }])
    yield ['retry', createElement(RetryButton, { kit: kitOf(status) })]
  yield ['refused none', createElement(RefusedRecords, { kit: kitOf() })]
  const records = [refused('too_long', true, 'age'), refused('deleted', false), refused('from_the_future')]
  yield ['refused', createElement(RefusedRecords, { kit: kitOf({}, records), onCorrect: () => {} })]
  yield ['refused many', createElement(RefusedRecords, { kit: kitOf({}, Array.from({ length: 51 }, (_, n) => refused(`${n}`))) })]
  yield ['conflict none', createElement(ConflictView, { kit: kitOf(), onTake: async () => {} })]
  yield ['conflict', createElement(ConflictView, { kit: kitOf({}, [], [conflict]), onTake: async () => {} })]
  yield ['history none', createElement(SyncHistory, { kit: kitOf() })]
  const attempts = ['', 'busy', 'Unreachable', 'TypeError', '502'].map((code) => attempt(code ? 'retry' : 'rest', code))
  yield ['history', createElement(SyncHistory, { kit: kitOf({}, [], [], attempts) })]
  yield ['queue none', createElement(QueueList, { queue: { entries: new Store<readonly QueueEntry[]>([]) } })]
  const states = ['unsent', 'queued', 'processing', 'done', 'failed', 'of a newer server'] as QueueState[]
  const entries = states.map((state) => entry(state, 2))
  yield ['queue', createElement(QueueList, { queue: { entries: new Store<readonly QueueEntry[]>(entries) } })]
}

const reachOf = (reach: Reach) => ({ reach: new Store<Reach>(reach) })

/** A status for each state of the pill. */
export const PILLS: [PillState, Partial<SyncStatus>][] = [
  ['syncing', { phase: 'syncing', next: 'log_in' }],
  ['log_in', { next: 'log_in', clockOffsetMs: 1e9 }],
  ['update_app', { next: 'update_app', refused: 1 }],
  ['storage_full', { next: 'retry', code: 'storage_full', clockOffsetMs: 1e9 }],
  ['clock_wrong', { clockOffsetMs: -1e9, next: 'report' }],
  ['app_fault', { next: 'report', refused: 1 }],
  ['attention', { refused: 1, conflicts: 1, next: 'retry' }],
  ['waits_for_network', { unsent: 1, next: 'retry' }],
  ['retry_at', { next: 'retry', unsent: 1 }],
  ['waiting', { unsent: 11 }],
  ['never', { next: null, lastSuccessAt: null }],
  ['complete', {}],
]

