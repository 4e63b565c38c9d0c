/** The people of a health worker: the list, one of them, and the form that registers or changes one. */
import { useState } from 'react'
import { View } from 'react-native'
import { Q } from '@nozbe/watermelondb'
import type { JsonMap } from '@dermadetect/care-kit'
import type { Case, Patient } from '@dermadetect/care-kit/dermadetect'
import { useConflicts } from '@dermadetect/care-kit/react'
import { go, useDraft, usePhone, useRecords } from '../hooks'
import { Button, Card, Chip, Choice, Field, Notice, Row, Screen, Words } from '../parts'
import { plain, t } from '../words'
import { CaseCard, riskTone } from './cases'

/** So many are listed; a search finds the others. */
const MOST = 100

const about = (patient: Patient) => (patient.demographics ?? {}) as JsonMap

/** A person's name, or what stands for one that was not given. */
export const nameOf = (patient: Patient | null): string => String((patient && about(patient)['name']) || t('No name'))

/** Age, sex and village in a line. */
export function lineOf(patient: Patient): string {
  const { age, sex, village } = about(patient)
  return [age !== undefined && t('{age} years', { age: String(age) }), sex && t(plain(sex)), village].filter(Boolean).join(' · ')
}

export function Patients() {
  const [sought, setSought] = useState('')
  const found = useRecords(async ({ patients, cases }) => {
    const like = sought.trim() ? [Q.where('demographics', Q.like(`%${Q.sanitizeLikeString(sought.trim())}%`))] : []
    const rows = await patients.query(...like, Q.sortBy('last_modified_at', Q.desc), Q.take(MOST)).fetch()
    const open = await cases.query(Q.where('patient_id', Q.oneOf(rows.map(({ id }) => id)))).fetch()
    return rows.map((patient) => ({ patient, cases: open.filter(({ patient_id }) => patient_id === patient.id) }))
  }, `patients/${sought}`)
  return (
    <Screen title={t('Patients')} action={<Button main href="/register">{t('Register')}</Button>}>
      <Field label={t('Search')} value={sought} onChange={setSought} mode="search" />
      {found?.map((each) => <PatientCard key={each.patient.id} {...each} />)}
      {found?.length === 0 && <Words quiet>{t(sought ? 'Nobody is found.' : 'Nobody is registered yet.')}</Words>}
    </Screen>
  ) // prettier-ignore
}

function PatientCard({ patient, cases }: { patient: Patient; cases: readonly Case[] }) {
  const open = cases.filter(({ status }) => status !== 'DIAGNOSED')
  const red = open.some(({ risk_level }) => risk_level === 'red')
  return (
    <Card href={`/patient/${patient.id}`} {...(red ? { tone: 'red' } : {})}>
      <Row apart>
        <Words bold size={17}>{nameOf(patient)}</Words>
        {patient.sync_status !== 'synced' && <Chip tone="grey">{t('Not sent yet')}</Chip>}
      </Row>
      <Row apart>
        <Words quiet size={14}>{lineOf(patient)}</Words>
        <Row>
          {red && <Chip tone="red">{t('Red')}</Chip>}
          {open.length < cases.length && <Chip tone="green">{t('Diagnosed')}</Chip>}
        </Row>
      </Row>
    </Card>
  ) // prettier-ignore
}

export function PatientScreen({ id }: { id: string }) {
  const phone = usePhone()
  const conflicts = useConflicts(phone.kit).filter((each) => each.id === id)
  const found = useRecords(async ({ patients, cases }) => ({
    patient: await patients.find(id),
    cases: await cases.query(Q.where('patient_id', id), Q.sortBy('created_at', Q.desc)).fetch(),
  }), `patient/${id}`) // prettier-ignore
  if (!found) return null
  const { patient, cases } = found
  if (!patient) return <Screen title={t('Patient')} back="/"><Notice tone="yellow">{t('This patient is not on this phone any more.')}</Notice></Screen>
  return (
    <Screen title={nameOf(patient)} back="/">
      <Row apart>
        <Words quiet>{lineOf(patient)}</Words>
        {patient.sync_status !== 'synced' && <Chip tone="grey">{t('Not sent yet')}</Chip>}
      </Row>
      {conflicts.length > 0 && <Notice tone="yellow">{t('Somebody else has changed this patient, too. Look at Sync.')}</Notice>}
      <Row>
        <Button main href={`/patient/${id}/case`}>{t('New case')}</Button>
        <Button href={`/patient/${id}/edit`}>{t('Edit')}</Button>
      </Row>
      {cases.map((each) => <CaseCard key={each.id} record={each} />)}
      {cases.length === 0 && <Words quiet>{t('No cases yet.')}</Words>}
    </Screen>
  ) // prettier-ignore
}

/** Registers somebody; with `patient`, changes one. */
export function PatientForm({ patient }: { patient?: Patient }) {
  const { patients, flush } = usePhone()
  const [draft, change, forget] = useDraft(patient ? `patient/${patient.id}` : 'patient', () => {
    const { name = '', age = '', sex = '', village = '' } = patient ? about(patient) : {}
    return { id: patient?.id ?? crypto.randomUUID(), name: String(name), age: String(age), sex: sex as 'female' | 'male' | '', village: String(village) }
  })
  const [wrong, setWrong] = useState('')
  const save = async () => {
    const age = Number(draft.age.replace(',', '.'))
    if (!draft.name.trim()) return setWrong(t('Enter a name.'))
    if (!draft.age.trim() || !(age >= 0 && age <= 120)) return setWrong(t('Enter an age in years, like 34 or 0.5.'))
    const { name, sex, village } = draft
    const demographics = { ...(patient ? about(patient) : {}), name: name.trim(), age, sex, village: village.trim() }
    // The draft's id is the record's: an app that dies before it forgets the draft does not register anybody twice.
    if (await patients.find(draft.id)) await patients.update(draft.id, { demographics })
    else await patients.create({ demographics }, draft.id)
    await flush()
    forget()
    go(`/patient/${draft.id}`)
  }
  return (
    <Screen title={patient ? t('Edit') : t('Register a patient')} back={patient ? `/patient/${patient.id}` : '/'}>
      <Field label={t('Name')} value={draft.name} onChange={(name) => change({ name })} />
      <Field label={t('Age, years')} value={draft.age} onChange={(age) => change({ age })} mode="decimal" />
      <Choice label={t('Sex')} options={['female', 'male']} value={draft.sex} onChange={(sex) => change({ sex })} />
      <Field label={t('Village')} value={draft.village} onChange={(village) => change({ village })} />
      {wrong !== '' && <Notice tone="red">{wrong}</Notice>}
      <View>
        <Button main onPress={() => void save()}>{t('Save')}</Button>
      </View>
    </Screen>
  ) // prettier-ignore
}

export function EditPatient({ id }: { id: string }) {
  const patient = useRecords(({ patients }) => patients.find(id), `edit/${id}`)
  return patient && <PatientForm patient={patient} />
}

export { riskTone }
