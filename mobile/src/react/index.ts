/** Hooks for React and React Native. They draw a component anew only when what they give has changed. */
import { useSyncExternalStore } from 'react'
import type { Attempt, History } from '../history.js'
import type { Store } from '../ports.js'
import type { AnalysisQueue, QueueEntry } from '../queue/index.js'
import type { Photo, PhotoQueue } from '../photos/index.js'
import type { Connectivity, Reach } from '../connectivity/index.js'
import type { Conflict } from '../sync/conflicts.js'
import type { SyncExecutor, SyncStatus } from '../sync/executor.js'
import type { RefusedRecord } from '../sync/refused.js'

/** What the hooks want of a kit. */
export interface HasExecutor {
  readonly executor: Pick<SyncExecutor, 'status' | 'refused' | 'conflicts'>
}

/** The value of any store of the kit; or what `of` reads from it: a word, a number, or an object that stays the same. */
export function useStore<T, Part = T>(store: Store<T>, of = (value: T): Part => value as unknown as Part): Part {
  const read = (): Part => of(store.get())
  return useSyncExternalStore(store.subscribe, read, read)
}

/** What a status line shows. */
export const useSyncStatus = ({ executor }: HasExecutor): SyncStatus => useStore(executor.status)

/** How many records wait to be sent. */
export const useUnsent = ({ executor }: HasExecutor): number => useStore(executor.status, ({ unsent }) => unsent)

/** Records that the server did not take, with what it said. */
export const useRefused = ({ executor }: HasExecutor): readonly RefusedRecord[] => useStore(executor.refused)

/** Edits that somebody else disagrees with, with both values. */
export const useConflicts = ({ executor }: HasExecutor): readonly Conflict[] => useStore(executor.conflicts)

/** The last attempts to sync, the newest first. */
export const useHistory = ({ history }: { readonly history: Pick<History, 'attempts'> }): readonly Attempt[] =>
  useStore(history.attempts)

/** Where each analysis stands. */
export const useQueue = (queue: Pick<AnalysisQueue, 'entries'>): readonly QueueEntry[] => useStore(queue.entries)

/** Photos that wait, with how much of each is sent. */
export const usePhotos = (queue: Pick<PhotoQueue, 'photos'>): readonly Photo[] => useStore(queue.photos)

/** Whether the server can be reached. */
export const useReach = (connectivity: Pick<Connectivity, 'reach'>): Reach => useStore(connectivity.reach)
