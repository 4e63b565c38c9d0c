import { useState } from 'react'
import { Pressable, View } from 'react-native'
import { useConflicts, useRefused, type HasExecutor } from '../react/index.js'
import type { Conflict, Disagreement } from '../sync/conflicts.js'
import type { SyncExecutor } from '../sync/executor.js'
import type { RefusedRecord } from '../sync/refused.js'
import type { Speech } from '../words/speech.js'
import { Box, Button, Card, Cards, Say, useCare } from './parts.js'

/** Between what is read and what is pressed. */
const ROOM = { marginTop: 6 }

interface HasRefused {
  readonly executor: HasExecutor['executor'] & Pick<SyncExecutor, 'putAway'>
}

/** Records that the server did not take: which, why, and what to do. */
export function RefusedRecords({ kit, describe, onCorrect }: {
  readonly kit: HasRefused
  /** What the user calls a record: a patient's name. Without it, what the app's names call one of its table. */
  readonly describe?: (record: RefusedRecord) => string
  /** Opens a record that is still on the phone. */
  readonly onCorrect?: (record: RefusedRecord) => void
}) { // prettier-ignore
  const { theme, speech } = useCare()
  const { say, why, field, table } = speech
  return (
    <Cards
      title={say('refused_title')}
      none={say('refused_none')}
      entries={useRefused(kit)}
      of={(record) => {
        const name = describe?.(record) || table(record.table)
        return (
          <Card key={`${record.table}/${record.id}`}>
            <Say bold>{name}</Say>
            <Say color={theme.tones.bad.ink}>{why(record.code)}</Say>
            {record.field && <Say>{say('field', { field: field(record.table, record.field) })}</Say>}
            <Say color={theme.quiet} size="small">
              {say(record.kept ? 'refused_kept' : 'refused_let_go')}
            </Say>
            <Box row style={ROOM}>
              {record.kept && onCorrect && <Button label={say('correct')} about={name} onPress={() => onCorrect(record)} />}
              <Button plain label={say('put_away')} about={name} onPress={() => void kit.executor.putAway(record)} />
            </Box>
          </Card>
        )
      }}
    />
  )
}

interface HasConflicts {
  readonly executor: HasExecutor['executor'] & Pick<SyncExecutor, 'settleConflict' | 'theirs'>
}

/** What a conflict's columns are set to if the user marked the other value. */
type Take = (conflict: Conflict, values: ReturnType<SyncExecutor['theirs']>) => Promise<unknown>

/** What two people changed, with both values of each field. The phone's stand until the user marks others. */
export function ConflictView({ kit, describe, onTake }: {
  readonly kit: HasConflicts
  readonly describe?: (conflict: Conflict) => string
  /** Writes what the user marked of the others: `repositories(database)[conflict.table].update(conflict.id, values)`. */
  readonly onTake: Take
}) { // prettier-ignore
  const { speech } = useCare()
  return (
    <Cards
      title={speech.say('conflicts_title')}
      none={speech.say('conflicts_none')}
      entries={useConflicts(kit)}
      of={(conflict) => (
        // A conflict that is noted anew is another one: what was marked of the old one is forgotten.
        <OneConflict
          key={`${conflict.table}/${conflict.id}/${conflict.at}`}
          kit={kit}
          conflict={conflict}
          name={describe?.(conflict) || speech.table(conflict.table)}
          onTake={onTake}
        />
      )}
    />
  )
}

function OneConflict({ kit, conflict, name, onTake }: {
  readonly kit: HasConflicts
  readonly conflict: Conflict
  readonly name: string
  readonly onTake: Take
}) { // prettier-ignore
  const { theme, speech } = useCare()
  const { say, field } = speech
  const [taken, setTaken] = useState<readonly string[]>([])
  const [state, setState] = useState<'open' | 'busy' | 'failed'>('open')
  const mark = (column: string, theirs: boolean) =>
    setTaken((before) => [...before.filter((each) => each !== column), ...(theirs ? [column] : [])])
  const settle = async () => {
    if (state === 'busy') return
    setState('busy')
    try {
      if (taken.length > 0) await onTake(conflict, kit.executor.theirs(conflict, taken))
      await kit.executor.settleConflict(conflict)
    } catch {
      setState('failed')
    }
  }
  return (
    <Card>
      <Say bold>{name}</Say>
      <Say color={theme.quiet} size="small">
        {say('conflict_hint')}
      </Say>
      {Object.entries(conflict.columns).map(([column, both]) => {
        const label = field(conflict.table, column)
        const [mine, theirs] = shown(speech, column, both)
        return (
          <Box key={column} role="radiogroup" aria-label={label}>
            <Say bold size="small">
              {label}
            </Say>
            <Box row style={{ alignItems: 'stretch' }}>
              <Choice of={say('mine')} value={mine} marked={!taken.includes(column)} onPress={() => mark(column, false)} />
              <Choice of={say('theirs')} value={theirs} marked={taken.includes(column)} onPress={() => mark(column, true)} />
            </Box>
          </Box>
        )
      })}
      {state === 'failed' && <Problem>{say('did_not_work')}</Problem>}
      <Box style={ROOM}>
        <Button label={say('keep_marked')} about={name} busy={state === 'busy'} onPress={() => void settle()} />
      </Box>
    </Card>
  )
}

function Problem({ children }: { readonly children: string }) {
  const { theme } = useCare()
  return (
    <Box role="alert">
      <Say color={theme.tones.bad.ink}>{children}</Say>
    </Box>
  )
}

function Choice({ of, value, marked, onPress }: {
  readonly of: string
  readonly value: string
  readonly marked: boolean
  readonly onPress: () => void
}) { // prettier-ignore
  const { theme } = useCare()
  return (
    <Pressable
      role="radio"
      aria-checked={marked}
      aria-label={`${of}: ${value.replaceAll('\n', ', ')}`}
      onPress={onPress}
      onKeyDown={(event) => {
        if (event.key !== ' ') return // react-native-web takes Enter; browsers' radio buttons take the space bar
        event.preventDefault()
        onPress()
      }}
      style={{
        flexGrow: 1,
        gap: 4,
        flexBasis: 130,
        minHeight: theme.touch,
        padding: theme.gap - (marked ? 1 : 0), // what is marked has the thicker edge; the text stays where it is
        borderWidth: marked ? 2 : 1,
        borderColor: marked ? theme.accent : theme.quiet,
        borderRadius: theme.radius,
      }}
    >
      <Box row style={{ flexWrap: 'nowrap' }}>
        <View aria-hidden style={{ ...RING, borderColor: marked ? theme.accent : theme.quiet }}>
          {marked && <View style={{ ...DOT, backgroundColor: theme.accent }} />}
        </View>
        <Say color={theme.quiet} size="small" style={{ flexShrink: 1 }}>
          {of}
        </Say>
      </Box>
      <Say>{value}</Say>
    </Pressable>
  )
}

const RING = { width: 20, height: 20, borderRadius: 10, borderWidth: 2, alignItems: 'center', justifyContent: 'center' }
const DOT = { width: 10, height: 10, borderRadius: 5 }

/** Both values in words; of two JSON objects only what differs. */
function shown(speech: Speech, column: string, { mine, theirs }: Disagreement): readonly [string, string] {
  const [one, two] = [parsed(mine), parsed(theirs)]
  if (!isMap(one) || !isMap(two)) return [speech.value(column, one), speech.value(column, two)]
  const keys = [...new Set([...Object.keys(one), ...Object.keys(two)])]
  const differ = keys.filter((key) => JSON.stringify(one[key]) !== JSON.stringify(two[key]))
  const words = (of: Record<string, unknown>) =>
    differ.map((key) => `${speech.field(column, key)}: ${speech.value(key, of[key])}`).join('\n')
  return [words(one), words(two)]
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** JSON text as its value; other texts, and what only looks like JSON, as they are. */
function parsed(value: unknown): unknown {
  if (typeof value !== 'string' || !/^[[{]/.test(value)) return value
  try {
    return JSON.parse(value) as unknown
  } catch {
    return value
  }
}
