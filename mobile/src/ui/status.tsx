import { Pressable } from 'react-native'
import type { Connectivity, Reach } from '../connectivity/index.js'
import { Store } from '../ports.js'
import { useReach, useStore, useUnsent, type HasExecutor } from '../react/index.js'
import type { SyncStatus } from '../sync/executor.js'
import type { Speech } from '../words/speech.js'
import { Box, Button, Say, Sign, useCare } from './parts.js'
import type { Tone } from './theme.js'

/** Something with a connectivity watcher's `reach`. */
export type HasReach = Pick<Connectivity, 'reach'>

const isAway = (reach: Reach): reach is 'offline' | 'unreachable' | 'captive' => reach !== 'online' && reach !== 'unknown'

/** Says that the server is out of reach, why, how many records wait, and how old is what is seen. Empty while it is in reach. */
export function OfflineBanner({ kit, connectivity }: { readonly kit: HasExecutor; readonly connectivity: HasReach }) {
  const { theme, speech } = useCare()
  const reach = useReach(connectivity)
  const unsent = useUnsent(kit)
  const since = useStore(kit.executor.status, ({ lastSuccessAt }) => lastSuccessAt)
  const { ink, ground } = theme.tones.wait
  // The box is there all the time: Android and browsers read out what appears in a region that they know.

  return (
    <Box role="status" aria-live="polite">
      {isAway(reach) && (
        <Box row style={{ backgroundColor: ground, borderRadius: theme.radius, padding: theme.gap, flexWrap: 'nowrap' }}>
          <Say aria-hidden bold color={ink} size="title" style={{ minWidth: 14 }}>
            {reach === 'captive' ? '!' : '×'}
          </Say>
          <Box style={{ flexShrink: 1, gap: 2 }}>
            <Say bold color={ink}>
              {speech.say(reach)}
            </Say>
            {unsent > 0 && <Say color={ink}>{speech.count('waiting', unsent)}</Say>}
            <Say color={ink} size="small">
              {speech.say('work_on')}
            </Say>
            {since !== null && (
              <Say color={ink} size="small">
                {speech.say('last_complete', { time: speech.when(since) })}
              </Say>
            )}
          </Box>
        </Box>
      )}
    </Box>
  )
}

/** What a status pill shows. */
export type PillState =
  | 'syncing' | 'log_in' | 'update_app' | 'storage_full' | 'clock_wrong' | 'app_fault' | 'attention' | 'waits_for_network'
  | 'retry_at' | 'waiting' | 'never' | 'complete' // prettier-ignore

const SIGNS: Readonly<Record<PillState, readonly [tone: Tone, sign: string]>> = {
  syncing: ['busy', '↻'],
  log_in: ['bad', '!'],
  update_app: ['bad', '!'],
  storage_full: ['bad', '!'],
  clock_wrong: ['bad', '!'],
  app_fault: ['bad', '!'],
  attention: ['wait', '!'],
  waits_for_network: ['wait', '…'],
  retry_at: ['wait', '…'],
  waiting: ['quiet', '↑'],
  never: ['quiet', '–'],
  complete: ['good', '✓'],
}

/** A clock that is this wrong is shown, ms: the server allows for it, people reading times do not. */
const CLOCK_MS = 5 * 60_000

/** What to show of a status: what only the user can mend comes first. */
export function pillOf(status: SyncStatus, away = false): PillState {
  const { phase, next, code, refused, conflicts, retryAt, unsent, lastSuccessAt, clockOffsetMs } = status
  if (phase === 'syncing') return 'syncing'
  if (next === 'log_in' || next === 'update_app') return next
  if (code === 'storage_full') return 'storage_full'
  if (Math.abs(clockOffsetMs ?? 0) > CLOCK_MS) return 'clock_wrong'
  if (next === 'report') return 'app_fault'
  if (refused + conflicts > 0) return 'attention'
  if (away && (unsent > 0 || next === 'retry')) return 'waits_for_network'
  if (next === 'retry' && retryAt !== null) return 'retry_at'
  if (unsent > 0) return 'waiting'
  return lastSuccessAt === null ? 'never' : 'complete'
}

function wordsOf({ say, count, clock }: Speech, { refused, conflicts, unsent, retryAt }: SyncStatus, state: PillState): string {
  if (state === 'attention') return count(state, refused + conflicts)
  if (state === 'waiting') return count(state, unsent)
  if (state === 'storage_full') return say('why_storage')
  return say(state, { time: clock(retryAt ?? 0) })
}

const UNKNOWN = /* @__PURE__ */ new Store<Reach>('unknown')

/** The state of the sync in a few words. With `onPress` it is a button: to a log-in, to a list, to the history. */
export function StatusPill({ kit, connectivity, onPress }: {
  readonly kit: HasExecutor
  /** With it the pill says that the network is waited for, instead of a time. */
  readonly connectivity?: HasReach
  readonly onPress?: (state: PillState) => void
}) { // prettier-ignore
  const { theme, speech } = useCare()
  const away = isAway(useStore(connectivity?.reach ?? UNKNOWN))
  // A status has more in it than is shown: only new words are drawn.
  const state = useStore(kit.executor.status, (status) => pillOf(status, away))
  const words = useStore(kit.executor.status, (status) => wordsOf(speech, status, state))
  const [tone, sign] = SIGNS[state]
  const alone = onPress ? {} : { accessible: true, 'aria-label': words }
  const pill = (
    <Sign tone={tone} sign={sign}>
      {words}
    </Sign>
  )
  return (
    <Box role="status" aria-live="polite" {...alone} style={{ alignSelf: 'flex-start' }}>
      {onPress ? (
        <Pressable
          role="button"
          aria-label={words}
          onPress={() => onPress(state)}
          style={{ minHeight: theme.touch, justifyContent: 'center' }}
        >
          {pill}
        </Pressable>
      ) : (
        pill
      )}
    </Box>
  )
}

/** Sends and receives now. */
export function RetryButton({ kit }: { readonly kit: HasExecutor & { sync(): Promise<unknown> } }) {
  const { speech } = useCare()
  const busy = useStore(kit.executor.status, ({ phase }) => phase === 'syncing')
  const failed = useStore(kit.executor.status, ({ next }) => next !== null && next !== 'rest')
  const label = speech.say(busy ? 'syncing' : failed ? 'try_again' : 'sync_now')
  return <Button label={label} busy={busy} onPress={() => void kit.sync()} />
}
