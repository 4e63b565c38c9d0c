import type { Attempt, History } from '../history.js'
import type { AnalysisQueue, QueueEntry, QueueState } from '../queue/index.js'
import { useHistory, useQueue } from '../react/index.js'
import { Box, Card, Cards, Say, Sign, useCare } from './parts.js'
import type { Tone } from './theme.js'

/** The last syncs: when, how they ended, and how much they moved. Nothing of patients. */
export function SyncHistory({ kit, most = 20 }: {
  readonly kit: { readonly history: Pick<History, 'attempts'> }
  readonly most?: number
}) { // prettier-ignore
  const { theme, speech } = useCare()
  const { say, why, when, number } = speech
  return (
    <Cards<Attempt>
      title={say('history_title')}
      none={say('history_none')}
      entries={useHistory(kit)}
      most={most}
      of={({ at, next, code, sent, received, refused, requestId }, place) => (
        <Card key={`${at}/${place}`}>
          <Box row style={{ justifyContent: 'space-between' }}>
            <Say bold>{when(at)}</Say>
            <Sign tone={next === 'rest' ? 'good' : next === 'retry' ? 'wait' : 'bad'} sign={next === 'rest' ? '✓' : '!'}>
              {say(next === 'rest' ? 'history_complete' : 'history_open')}
            </Sign>
          </Box>
          {next !== 'rest' && <Say>{why(code)}</Say>}
          <Say color={theme.quiet} size="small">
            {[
              say('sent', { n: number(sent) }),
              say('received', { n: number(received) }),
              ...(refused > 0 ? [say('refused', { n: number(refused) })] : []),
              ...(requestId ? [say('support', { id: requestId })] : []),
            ].join(' · ')}
          </Say>
        </Card>
      )}
    />
  )
}

const SIGNS: Readonly<Record<QueueState, readonly [tone: Tone, sign: string]>> = {
  unsent: ['quiet', '↑'],
  queued: ['wait', '…'],
  processing: ['busy', '↻'],
  done: ['good', '✓'],
  failed: ['bad', '!'],
}

/** Where each analysis stands. */
export function QueueList({ queue, describe }: {
  readonly queue: Pick<AnalysisQueue, 'entries'>
  /** What the user calls the record that is analysed. */
  readonly describe?: (entry: QueueEntry) => string
}) { // prettier-ignore
  const { theme, speech } = useCare()
  const { say, count, when } = speech
  return (
    <Cards<QueueEntry>
      title={say('queue_title')}
      none={say('queue_none')}
      entries={useQueue(queue)}
      of={(entry) => {
        const [tone, sign] = SIGNS[entry.state] ?? SIGNS.queued
        return (
          <Card key={entry.id}>
            <Box row style={{ justifyContent: 'space-between' }}>
              <Say bold>{describe?.(entry) || say('record')}</Say>
              <Sign tone={tone} sign={sign}>
                {say(`state_${SIGNS[entry.state] ? entry.state : 'queued'}`)}
              </Sign>
            </Box>
            <Say color={theme.quiet} size="small">
              {[when(entry.askedAt), ...(entry.attempts > 1 ? [count('attempts', entry.attempts)] : [])].join(' · ')}
            </Say>
          </Card>
        )
      }}
    />
  )
}
