/** Skin problems: the list, one with all that is known of it, and the form with triage and photos. */
import { useState } from 'react'
import { View, Pressable } from 'react-native'
import { Q } from '@nozbe/watermelondb'
import type { JsonMap } from '@dermadetect/care-kit'
import type { Case, Diagnosis } from '@dermadetect/care-kit/dermadetect'
import { NoRoom } from '@dermadetect/care-kit/photos'
import { usePhotos, useQueue } from '@dermadetect/care-kit/react'
import { recordLook, triaged } from '@dermadetect/care-kit/triage'
import { Camera } from '../camera'
import { go, useDraft, usePhone, useRecords } from '../hooks'
import { shrunk } from '../files'
import { Button, Card, Chip, Choice, Field, Notice, Photo, Row, Screen, Section, Words } from '../parts'
import { diagnosisOf } from '../phone'
import { toneOf, useTheme, type Tone } from '../theme'
import { device, riskOf, SIGNS, SITES, triageData, type Answers } from '../triage'
import { plain, t, when } from '../words'
import { nameOf } from './patients'

/** The tone of an urgency. */
export const riskTone = (risk: string | null): Tone => (risk === 'red' || risk === 'yellow' || risk === 'green' ? risk : 'grey')

const siteOf = (record: Case): string => plain(((record.triage_data ?? {}) as JsonMap)['site'] || t('Case'))

const RANKS = ['red', 'yellow', 'unknown', 'green']

export function Cases() {
  const found = useRecords(async ({ cases, patients }) => {
    const rows = await cases.query(Q.sortBy('created_at', Q.desc), Q.take(200)).fetch()
    const people = await patients.query(Q.where('id', Q.oneOf(rows.map(({ patient_id }) => patient_id)))).fetch()
    const rank = ({ status, risk_level }: Case) => (status === 'DIAGNOSED' ? 9 : RANKS.indexOf(risk_level ?? 'unknown'))
    return rows
      .sort((one, two) => rank(one) - rank(two))
      .map((record) => ({ record, who: nameOf(people.find(({ id }) => id === record.patient_id) ?? null) }))
  }, 'cases')
  return (
    <Screen title={t('Cases')}>
      {found?.map((each) => <CaseCard key={each.record.id} {...each} />)}
      {found?.length === 0 && <Words quiet>{t('No cases yet.')}</Words>}
    </Screen>
  )
}

/** Where a case stands, in a word. */
function standing(record: Case, state: string | undefined): { tone: Tone; text: string } {
  if (record.status === 'DIAGNOSED') return { tone: 'green', text: t('Diagnosed') }
  if (record.sync_status !== 'synced') return { tone: 'grey', text: t('Not sent yet') }
  if (record.ai_analysis) return { tone: 'blue', text: t('Read by the AI') }
  if (state === 'failed') return { tone: 'yellow', text: t('A doctor will look') }
  return { tone: 'grey', text: t(state ? 'Being read' : 'Sent') }
}

export function CaseCard({ record, who }: { record: Case; who?: string }) {
  const entry = useQueue(usePhone().queue).find(({ recordId }) => recordId === record.id)
  const { tone, text } = standing(record, entry?.state)
  return (
    <Card href={`/case/${record.id}`} tone={riskTone(record.risk_level)}>
      <Row apart>
        <Words bold size={17}>{who ? `${who}, ${siteOf(record).toLowerCase()}` : siteOf(record)}</Words>
        <Chip tone={riskTone(record.risk_level)}>{t(plain(record.risk_level ?? 'unknown'))}</Chip>
      </Row>
      <Row apart>
        <Words quiet size={14}>{when(record.created_at)}</Words>
        <Chip tone={tone}>{text}</Chip>
      </Row>
    </Card>
  ) // prettier-ignore
}

export function CaseScreen({ id }: { id: string }) {
  const found = useRecords(async (phone) => {
    const record = await phone.cases.find(id)
    return { record, patient: (await record?.patient()) ?? null, diagnosis: (await diagnosisOf(phone, id)) as Diagnosis | null }
  }, `case/${id}`)
  if (!found) return null
  const { record, patient, diagnosis } = found
  if (!record) return <Screen title={t('Case')} back="/cases"><Notice tone="yellow">{t('This case is not on this phone any more.')}</Notice></Screen>
  return (
    <Screen title={siteOf(record)} back={`/patient/${record.patient_id}`} action={<Chip tone={riskTone(record.risk_level)}>{t(plain(record.risk_level ?? 'unknown'))}</Chip>}>
      <Words quiet>{nameOf(patient)} · {when(record.created_at)}</Words>
      <Steps record={record} />
      {diagnosis && (
        <Section title={t('The doctor’s diagnosis')}>
          <Words>{diagnosis.diagnosis_text}</Words>
          {diagnosis.prescription && <Words bold>{diagnosis.prescription}</Words>}
        </Section>
      )}
      {record.ai_analysis && <Reading said={record.ai_analysis} />}
      <Photos record={record} />
      <AnswersCard record={record} />
    </Screen>
  ) // prettier-ignore
}

/** The way of a case, and how far it has come. */
function Steps({ record }: { record: Case }) {
  const theme = useTheme()
  const entry = useQueue(usePhone().queue).find(({ recordId }) => recordId === record.id)
  const sent = record.sync_status === 'synced'
  const steps: [string, boolean][] = [
    [t('Saved on this phone'), true],
    [t('Sent'), sent],
    [t(entry?.state === 'failed' ? 'The AI could not read it; a doctor will look' : 'Read by the AI'), Boolean(record.ai_analysis)],
    [t('Diagnosed by a doctor'), record.status === 'DIAGNOSED'],
  ]
  return (
    <Card>
      {steps.map(([text, done]) => (
        <Row key={text}>
          <View aria-hidden style={{ width: 22, height: 22, borderRadius: 11, alignItems: 'center', justifyContent: 'center', borderWidth: 2, borderColor: done ? theme.accent : theme.line, backgroundColor: done ? theme.accent : 'transparent' }}>
            <Words bold size={13} color={theme.accentInk}>{done ? '✓' : ''}</Words>
          </View>
          <Words bold={done} quiet={!done}>{done ? text : t('{step}: not yet', { step: text })}</Words>
        </Row>
      ))}
    </Card>
  ) // prettier-ignore
}

/** What the AI says; before a doctor has signed, a part of it. */
function Reading({ said }: { said: JsonMap }) {
  const list = (name: string) => (Array.isArray(said[name]) ? (said[name] as string[]) : [])
  const lines: [string, readonly string[]][] = [
    ['Danger signs', list('red_flags')],
    ['What to do', list('suggested_next_steps')],
    ['Still missing', list('missing_information')],
  ]
  return (
    <Section title={t('What the AI says')}>
      {typeof said['urgency'] === 'string' && <Chip tone={said['urgency'] === 'routine' ? 'green' : said['urgency'] === 'soon' ? 'yellow' : 'red'}>{t(plain(said['urgency']))}</Chip>}
      {lines.filter(([, words]) => words.length > 0).map(([title, words]) => (
        <View key={title}>
          <Words quiet size={14}>{t(title)}</Words>
          <Words>{words.map((word) => t(plain(word))).join(', ')}</Words>
        </View>
      ))}
      <Words quiet size={14}>{t('A doctor decides. This is advice.')}</Words>
    </Section>
  ) // prettier-ignore
}

function Photos({ record }: { record: Case }) {
  const phone = usePhone()
  const waiting = usePhotos(phone.photos)
  const keys = record.image_keys ?? []
  if (keys.length === 0) return null
  return (
    <Section title={t('Photos')}>
      <Row>
        {keys.map((key, at) => {
          const photo = waiting.find((each) => each.record_id === record.id && each.key === key)
          return (
            <View key={key} style={{ gap: 4 }}>
              <Photo uri={key} label={t('Photo {number}', { number: at + 1 })} />
              {photo && <Words quiet size={14}>{photo.state === 'refused' ? t('Refused') : t('{share} % sent', { share: Math.floor((100 * (photo.offset ?? 0)) / (photo.bytes || 1)) })}</Words>}
              {!photo && <Words quiet size={14}>{t('Sent')}</Words>}
            </View>
          )
        })}
      </Row>
    </Section>
  ) // prettier-ignore
}

function AnswersCard({ record }: { record: Case }) {
  const { device_triage: look, model_score: _, ...given } = (record.triage_data ?? {}) as JsonMap
  const answers = Object.entries(given).filter(([, value]) => value !== false && value !== '')
  const raised = (look as JsonMap | undefined)?.['risk']
  return (
    <Section title={t('Answers')}>
      {answers.map(([name, value]) => (
        <Row apart key={name}>
          <Words quiet>{t(plain(name))}</Words>
          <Words>{value === true ? t('Yes') : t(plain(value))}</Words>
        </Row>
      ))}
      {raised && <Words quiet size={14}>{t('The model on this phone says: at least {risk}.', { risk: t(plain(raised)).toLowerCase() })}</Words>}
    </Section>
  )
}

/** Photos of a case that is asked for here; more make no better reading. */
const MOST_PHOTOS = 4

export function CaseForm({ patientId }: { patientId: string }) {
  const phone = usePhone()
  const first = (): Answers & { id: string; keys: readonly string[] } => ({ id: crypto.randomUUID(), keys: [], site: '', days: '', signs: null, note: '', impression: '' })
  const [draft, change, forget] = useDraft(`case/${patientId}`, first)
  const [wrong, setWrong] = useState('')
  const risk = riskOf(draft)
  const full = t('There is no room for this photo. Send the photos that wait, or free space on the phone. Nothing else is lost.')

  const take = async (photo: Blob) => {
    const key = `${draft.id}.${draft.keys.length + 1}.jpg`
    try {
      await phone.files.keep(key, await shrunk(photo))
      change({ keys: [...draft.keys, key] })
    } catch (error) {
      setWrong(error instanceof DOMException && error.name === 'QuotaExceededError' ? full : t('This file is no photo that the phone can read.'))
    }
  }
  const save = async () => {
    if (!draft.site) return setWrong(t('Choose where it is.'))
    if (!draft.signs) return setWrong(t('Choose the danger signs, or None of these.'))
    if (!risk) return setWrong(t('Say what you think: yellow or green.'))
    if (draft.days.trim() && !(Number(draft.days) >= 0)) return setWrong(t('Enter the days as a number.'))
    try {
      // Photos first: one without its case is tidied away, a case without its photo would wait for it.
      for (const key of draft.keys)
        await phone.photos.add({ table: 'cases', record_id: draft.id, key, type: 'image/jpeg', uri: key })
    } catch (error) {
      if (error instanceof NoRoom) return setWrong(full)
      throw error
    }
    const look = await device.look(draft.keys.map((key) => ({ key, read: () => phone.files.pixels(key) })))
    const answers = { patient_id: patientId, risk_level: risk, triage_data: triageData(draft), image_keys: draft.keys }
    if (!(await phone.cases.find(draft.id))) await phone.cases.create(triaged(answers, look), draft.id)
    void look.later?.then((found) => recordLook(phone.cases, draft.id, found))
    await phone.flush()
    forget()
    go(`/case/${draft.id}`)
  }
  return (
    <Screen title={t('New case')} back={`/patient/${patientId}`}>
      <Choice label={t('Where is it?')} options={SITES} value={draft.site as (typeof SITES)[number]} onChange={(site) => change({ site })} />
      <Field label={t('Since how many days?')} value={draft.days} onChange={(days) => change({ days })} mode="numeric" />
      <Signs chosen={draft.signs} onChange={(signs) => change({ signs })} />
      {draft.signs?.length === 0 && <Choice label={t('What do you think?')} options={['yellow', 'green']} value={draft.impression} onChange={(impression) => change({ impression })} />}
      {risk && <Notice tone={risk}>{t({ red: 'Red: it is read at once, and a doctor sees it first.', yellow: 'Yellow: a doctor looks at it.', green: 'Green: it can wait.' }[risk])}</Notice>}
      <Words bold size={14}>{t('Photos')}</Words>
      <Row>
        {draft.keys.map((key, at) => <Photo key={key} uri={key} label={t('Photo {number}', { number: at + 1 })} />)}
        {draft.keys.length < MOST_PHOTOS && <Camera onPhoto={(photo) => void take(photo)} />}
      </Row>
      <Field label={t('Note')} value={draft.note} onChange={(note) => change({ note })} long />
      {wrong !== '' && <Notice tone="red">{wrong}</Notice>}
      <View>
        <Button main onPress={() => void save()}>{t('Save')}</Button>
      </View>
    </Screen>
  ) // prettier-ignore
}

/** Danger signs: all that are there, or none. Nothing chosen is no answer. */
function Signs({ chosen, onChange }: { chosen: readonly string[] | null; onChange: (signs: string[]) => void }) {
  const theme = useTheme()
  const all = [...SIGNS, 'none_of_these']
  const isOn = (sign: string) => (sign === 'none_of_these' ? chosen?.length === 0 : (chosen?.includes(sign) ?? false))
  const press = (sign: string) => {
    if (sign === 'none_of_these') return onChange([])
    onChange(isOn(sign) ? (chosen ?? []).filter((each) => each !== sign) : [...(chosen ?? []), sign])
  }
  return (
    <View role="group" aria-labelledby="signs" style={{ gap: 6 }}>
      <Words bold size={14} id="signs">{t('Danger signs: all that you see')}</Words>
      <Row>
        {all.map((sign) => {
          const { color, backgroundColor } = toneOf(theme, sign === 'none_of_these' ? 'green' : 'red')
          const on = isOn(sign)
          const box = { minHeight: 44, paddingHorizontal: 14, borderRadius: 99, borderWidth: 1, justifyContent: 'center', borderColor: on ? color : theme.line, backgroundColor: on ? backgroundColor : theme.card }
          return (
            <Pressable key={sign} role="checkbox" aria-checked={on} style={box} onPress={() => press(sign)}>
              <Words bold={on} color={on ? color : theme.ink}>{t(plain(sign))}</Words>
            </Pressable>
          )
        })}
      </Row>
    </View>
  ) // prettier-ignore
}
