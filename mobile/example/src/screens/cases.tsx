/** Skin problems: the list, one with all that is known of it, and the form with triage and photos. */
import { useState } from 'react'
import { View } from 'react-native'
import { Q, type Model } from '@nozbe/watermelondb'
import type { JsonMap } from '@dermadetect/care-kit'
import type { Case } from '@dermadetect/care-kit/dermadetect'
import { NoRoom } from '@dermadetect/care-kit/photos'
import { usePhotos, useQueue } from '@dermadetect/care-kit/react'
import { recordLook, triaged } from '@dermadetect/care-kit/triage'
import { useCare } from '@dermadetect/care-kit/ui'
import { shrunk } from '../files'
import { go, useDraft, usePhone, useRecords } from '../hooks'
import { Button, Camera, Card, Choice, Field, Photo, Row, Screen, Sign, Words, type Tone } from '../parts'
import { diagnosisOf } from '../phone'
import { device, riskOf, SIGNS, SITES, triageData, type Answers } from '../triage'
import { plain, t } from '../words'
import { nameOf } from './patients'

const TONES: Readonly<Record<string, Tone>> = { red: 'bad', yellow: 'wait', green: 'good' }
const toneOf = (risk: string | null): Tone => TONES[risk ?? ''] ?? 'quiet'
const RANKS = ['red', 'unknown', 'yellow', 'green']

const answersOf = (record: Case) => (record.triage_data ?? {}) as JsonMap
const siteOf = (record: Case): string => plain(answersOf(record)['site'] || 'case')

export function Cases() {
  const found = useRecords(async ({ cases, patients }) => {
    const rows = await cases.query(Q.sortBy('created_at', Q.desc), Q.take(200)).fetch()
    const people = await patients.query(Q.where('id', Q.oneOf(rows.map(({ patient_id }) => patient_id)))).fetch()
    const rank = ({ status, risk_level }: Case) => (status === 'DIAGNOSED' ? 9 : RANKS.indexOf(risk_level ?? 'unknown'))
    const whoOf = ({ patient_id }: Case) => nameOf(people.find(({ id }) => id === patient_id) ?? null)
    return rows.sort((one, two) => rank(one) - rank(two)).map((record) => ({ record, who: whoOf(record) }))
  }, 'cases')
  return (
    <Screen title={t('Cases')}>
      {found?.map((each) => <CaseCard key={each.record.id} {...each} />)}
      {found?.length === 0 && <Words quiet>{t('No cases yet.')}</Words>}
    </Screen>
  )
}

/** Says of a record that the server does not have it yet. */
export function Unsent({ record }: { record: Model & { sync_status: string } }) {
  return record.sync_status === 'synced' ? null : <Sign tone="quiet">{t('Not sent yet')}</Sign>
}

export function CaseCard({ record, who }: { record: Case; who?: string }) {
  const { when } = useCare().speech
  return (
    <Card href={`/case/${record.id}`} tone={toneOf(record.risk_level)}>
      <Row apart>
        <Words bold size={17}>{who ?? siteOf(record)}</Words>
        <Sign tone={toneOf(record.risk_level)}>{plain(record.risk_level ?? 'unknown')}</Sign>
      </Row>
      <Row apart>
        <Words quiet>{who ? siteOf(record) : when(record.created_at)}</Words>
        {record.status === 'DIAGNOSED' ? <Sign tone="good">{t('Diagnosed')}</Sign> : record.ai_analysis && <Sign tone="busy">{t('Read by the AI')}</Sign>}
        <Unsent record={record} />
      </Row>
    </Card>
  ) // prettier-ignore
}

export function CaseScreen({ id }: { id: string }) {
  const { when } = useCare().speech
  const found = useRecords(async (phone) => {
    const record = await phone.cases.find(id)
    return { record, patient: (await record?.patient()) ?? null, diagnosis: await diagnosisOf(phone, id) }
  }, `case/${id}`)
  if (!found) return null
  const { record, patient, diagnosis } = found
  if (!record) return <Screen title={t('Case')} back="/cases"><Sign says="status" tone="wait">{t('This is not on this phone any more.')}</Sign></Screen> // prettier-ignore
  return (
    <Screen
      title={siteOf(record)}
      back={`/patient/${record.patient_id}`}
      action={<Sign tone={toneOf(record.risk_level)}>{plain(record.risk_level ?? 'unknown')}</Sign>}
    >
      <Words quiet>{nameOf(patient)} · {when(record.created_at)}</Words>
      <Steps record={record} />
      {diagnosis && (
        <Card title={t('The doctor’s diagnosis')} tone="good">
          <Words>{diagnosis.diagnosis_text}</Words>
          {diagnosis.prescription && <Words bold>{diagnosis.prescription}</Words>}
        </Card>
      )}
      {record.ai_analysis && <Reading said={record.ai_analysis} />}
      <Photos record={record} />
      <Given record={record} />
    </Screen>
  ) // prettier-ignore
}

/** The way of a case, and how far it has come. */
function Steps({ record }: { record: Case }) {
  const { theme } = useCare()
  const entry = useQueue(usePhone().queue).find(({ recordId }) => recordId === record.id)
  const steps: [string, boolean][] = [
    [t('Saved on this phone'), true],
    [t('Sent'), record.sync_status === 'synced'],
    [t(entry?.state === 'failed' ? 'Could not be read by the AI' : 'Read by the AI'), record.ai_analysis !== null],
    [t('Diagnosed by a doctor'), record.status === 'DIAGNOSED'],
  ]
  const dot = { width: 22, height: 22, borderRadius: 11, alignItems: 'center', borderWidth: 2 }
  return (
    <Card>
      {steps.map(([text, done]) => (
        <Row key={text}>
          <View aria-hidden style={{ ...dot, borderColor: done ? theme.accent : theme.line, backgroundColor: done ? theme.accent : theme.card }}>
            <Words bold size={13} color={theme.onAccent}>{done ? '✓' : ''}</Words>
          </View>
          <Words bold={done} quiet={!done}>{done ? text : t('{step}: not yet', { step: text })}</Words>
        </Row>
      ))}
    </Card>
  ) // prettier-ignore
}

const URGENCIES: Readonly<Record<string, Tone>> = { routine: 'good', soon: 'wait' }

/** What the AI says; before a doctor has signed, phones see a part of it. */
function Reading({ said }: { said: JsonMap }) {
  const parts = { red_flags: 'Danger signs', suggested_next_steps: 'What to do', missing_information: 'Still missing' }
  const lines = Object.entries(parts).map(([name, title]) => [title, (said[name] ?? []) as readonly string[]] as const)
  const urgency = String(said['urgency'] ?? 'unknown')
  return (
    <Card title={t('What the AI says')}>
      <Sign tone={URGENCIES[urgency] ?? 'bad'}>{plain(urgency)}</Sign>
      {lines.filter(([, words]) => words.length > 0).map(([title, words]) => (
        <View key={title}>
          <Words quiet>{t(title)}</Words>
          <Words>{words.map(plain).join(' · ')}</Words>
        </View>
      ))}
      <Words quiet>{t('This is advice. A doctor decides.')}</Words>
    </Card>
  ) // prettier-ignore
}

function Photos({ record }: { record: Case }) {
  const waiting = usePhotos(usePhone().photos).filter(({ record_id }) => record_id === record.id)
  const said = (key: string) => {
    const photo = waiting.find((each) => each.key === key)
    if (!photo) return t('Sent')
    const share = Math.floor((100 * (photo.offset ?? 0)) / (photo.bytes || 1))
    return photo.state === 'refused' ? t('Not accepted') : t('{share} % sent', { share })
  }
  if (!record.image_keys?.length) return null
  return (
    <Card title={t('Photos')}>
      <Row>
        {record.image_keys.map((key, at) => <Photo key={key} uri={key} label={t('Photo {number}', { number: at + 1 })}>{said(key)}</Photo>)}
      </Row>
    </Card>
  ) // prettier-ignore
}

/** The answers, and what the model on the phone made of the photos. */
function Given({ record }: { record: Case }) {
  const { device_triage: look, model_score: _, ...given } = answersOf(record)
  const raised = (look as JsonMap | undefined)?.['risk']
  return (
    <Card title={t('Answers')}>
      {Object.entries(given).filter(([, value]) => value !== false).map(([name, value]) => (
        <Row apart key={name}>
          <Words quiet>{plain(name)}</Words>
          <Words>{plain(value === true ? 'yes' : value)}</Words>
        </Row>
      ))}
      {raised && <Words quiet>{t('The model on this phone says: at least {risk}.', { risk: plain(raised) })}</Words>}
    </Card>
  ) // prettier-ignore
}

/** More photos make no better reading. */
const MOST_PHOTOS = 4

const SENTENCES = {
  red: 'Red: it is read at once, and a doctor sees it first.',
  yellow: 'Yellow: a doctor looks at it.',
  green: 'Green: it can wait.',
}

export function CaseForm({ patientId }: { patientId: string }) {
  const { cases, files, photos, flush } = usePhone()
  const [draft, change, forget] = useDraft(`case/${patientId}`, (): Answers & { id: string; keys: readonly string[] } => ({
    id: crypto.randomUUID(), keys: [], site: '', days: '', signs: null, note: '', impression: '',
  })) // prettier-ignore
  const [wrong, setWrong] = useState('')
  const { id, keys, site, days, signs, impression } = draft
  const risk = riskOf(draft)
  const isFull = (error: unknown) => error instanceof NoRoom || (error instanceof DOMException && error.name === 'QuotaExceededError')
  const failed = (error: unknown) =>
    setWrong(t(isFull(error) ? 'There is no room for this photo. Make room, or send the photos that wait. Nothing is lost.' : 'This photo cannot be read.'))

  const take = async (photo: Blob) => {
    const key = `${id}.${keys.length + 1}.jpg`
    await files.keep(key, await shrunk(photo))
    change({ keys: [...keys, key] })
    setWrong('')
  }
  const press = (sign: string) => {
    if (sign === 'none_of_these') return change({ signs: [] })
    change({ signs: signs?.includes(sign) ? signs.filter((each) => each !== sign) : [...(signs ?? []), sign] })
  }
  const save = async () => {
    if (!site) return setWrong(t('Choose where it is.'))
    if (!risk) return setWrong(t(signs ? 'Say what you think.' : 'Choose the danger signs, or None of these.'))
    if (!(Number(days) >= 0)) return setWrong(t('Enter the days as a number.'))
    // Photos first: one without its case is tidied away, a case without its photo would wait for it.
    for (const key of keys) await photos.add({ table: 'cases', record_id: id, key, type: 'image/jpeg', uri: key })
    const look = await device.look(keys.map((key) => ({ key, read: () => files.pixels(key) })))
    const record = { patient_id: patientId, risk_level: risk, triage_data: triageData(draft), image_keys: keys }
    if (!(await cases.find(id))) await cases.create(triaged(record, look), id)
    void look.later?.then((found) => recordLook(cases, id, found))
    await flush()
    forget()
    go(`/case/${id}`)
  }
  return (
    <Screen title={t('New case')} back={`/patient/${patientId}`}>
      <Choice label={t('Where is it?')} options={SITES} chosen={(each) => each === site} onPress={(each) => change({ site: each })} />
      <Field label={t('Since how many days?')} value={days} onChange={(each) => change({ days: each })} mode="numeric" />
      <Choice
        many label={t('Danger signs: all that you see')} options={[...SIGNS, 'none_of_these']} onPress={press}
        chosen={(each) => (each === 'none_of_these' ? signs?.length === 0 : (signs?.includes(each) ?? false))}
        tone={(each) => (each === 'none_of_these' ? 'good' : 'bad')}
      />
      {signs?.length === 0 && <Choice label={t('What do you think?')} options={['yellow', 'green']} chosen={(each) => each === impression} onPress={(each) => change({ impression: each })} tone={toneOf} />}
      {risk && <Sign says="status" tone={toneOf(risk)}>{t(SENTENCES[risk])}</Sign>}
      <Row>
        {keys.map((key, at) => <Photo key={key} uri={key} label={t('Photo {number}', { number: at + 1 })} />)}
        {keys.length < MOST_PHOTOS && <Camera onPhoto={(photo) => void take(photo).catch(failed)} />}
      </Row>
      <Field label={t('Note')} value={draft.note} onChange={(note) => change({ note })} long />
      {wrong !== '' && <Sign says="alert" tone="bad">{wrong}</Sign>}
      <Button main onPress={() => save().catch(failed)}>{t('Save')}</Button>
    </Screen>
  ) // prettier-ignore
}
