/** The people of a health worker: the list, one of them, and the form that registers or changes one. */
import { useState } from 'react'
import { Q } from '@nozbe/watermelondb'
import type { JsonMap } from '@dermadetect/care-kit'
import type { Case, Patient } from '@dermadetect/care-kit/dermadetect'
import { useConflicts } from '@dermadetect/care-kit/react'
import { go, useDraft, usePhone, useRecords } from '../hooks'
import { Button, Card, Choice, Field, Row, Screen, Sign, Words } from '../parts'
import { plain, t } from '../words'
import { CaseCard, Unsent } from './cases'

/** So many are listed; a search finds the others. */
const MOST = 100

const about = (patient: Patient) => (patient.demographics ?? {}) as JsonMap

/** A person's name, or what stands for one that was not given. */
export const nameOf = (patient: Patient | null): string => String((patient && about(patient)['name']) || t('No name'))

function lineOf(patient: Patient): string {
  const { age, sex, village } = about(patient)
  const years = age !== undefined && t('{age} years', { age: String(age) })
  return [years, sex && plain(sex), village].filter(Boolean).join(' · ')
}

export function Patients() {
  const [sought, setSought] = useState('')
  const found = useRecords(async ({ patients, cases }) => {
    const like = sought.trim() ? [Q.where('demographics', Q.like(`%${Q.sanitizeLikeString(sought.trim())}%`))] : []
    const people = await patients.query(...like, Q.sortBy('last_modified_at', Q.desc), Q.take(MOST)).fetch()
    const all = await cases.query(Q.where('patient_id', Q.oneOf(people.map(({ id }) => id)))).fetch()
    return people.map((patient) => ({ patient, cases: all.filter(({ patient_id }) => patient_id === patient.id) }))
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
    <Card href={`/patient/${patient.id}`} {...(red ? { tone: 'bad' } : {})}>
      <Row apart>
        <Words bold size={17}>{nameOf(patient)}</Words>
        {red ? <Sign tone="bad">{plain('red')}</Sign> : open.length < cases.length && <Sign tone="good">{t('Diagnosed')}</Sign>}
      </Row>
      <Row apart>
        <Words quiet>{lineOf(patient)}</Words>
        <Unsent record={patient} />
      </Row>
    </Card>
  ) // prettier-ignore
}

export function PatientScreen({ id }: { id: string }) {
  const conflicts = useConflicts(usePhone().kit).filter((each) => each.id === id)
  const found = useRecords(async ({ patients, cases }) => {
    const patient = await patients.find(id)
    return { patient, cases: await cases.query(Q.where('patient_id', id), Q.sortBy('created_at', Q.desc)).fetch() }
  }, `patient/${id}`)
  if (!found) return null
  const { patient, cases } = found
  if (!patient) return <Screen title={t('Patient')} back="/"><Sign says="status" tone="wait">{t('This is not on this phone any more.')}</Sign></Screen> // prettier-ignore
  return (
    <Screen title={nameOf(patient)} back="/">
      <Row apart>
        <Words quiet>{lineOf(patient)}</Words>
        <Unsent record={patient} />
      </Row>
      {conflicts.length > 0 && <Sign says="status" tone="wait">{t('Somebody else has changed this patient, too. Look at Sync.')}</Sign>}
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
  const known = patient ? about(patient) : {}
  const [draft, change, forget] = useDraft(`patient/${patient?.id ?? 'new'}/${patient?.last_modified_at ?? ''}`, () => {
    const { name = '', age = '', sex = '', village = '' } = known
    return { id: patient?.id ?? crypto.randomUUID(), name: String(name), age: String(age), sex: String(sex), village: String(village) }
  })
  const [wrong, setWrong] = useState('')
  const save = async () => {
    const { id, name, sex, village } = draft
    const age = Number(draft.age.replace(',', '.') || NaN)
    if (!name.trim()) return setWrong(t('Enter a name.'))
    if (!(age >= 0 && age <= 120)) return setWrong(t('Enter an age in years, like 34 or 0.5.'))
    const demographics = { ...known, name: name.trim(), age, sex, village: village.trim() }
    // The draft's id is the record's: an app that dies before it forgets the draft does not register anybody twice.
    if (await patients.find(id)) await patients.update(id, { demographics })
    else await patients.create({ demographics }, id)
    await flush()
    forget()
    go(`/patient/${id}`)
  }
  return (
    <Screen title={t(patient ? 'Edit' : 'Register a patient')} back={patient ? `/patient/${patient.id}` : '/'}>
      <Field label={t('Name')} value={draft.name} onChange={(name) => change({ name })} />
      <Field label={t('Age in years')} value={draft.age} onChange={(age) => change({ age })} mode="decimal" />
      <Choice label={t('Sex')} options={['female', 'male']} chosen={(each) => each === draft.sex} onPress={(sex) => change({ sex })} />
      <Field label={t('Village')} value={draft.village} onChange={(village) => change({ village })} />
      {wrong !== '' && <Sign says="alert" tone="bad">{wrong}</Sign>}
      <Button main onPress={() => save().catch(() => setWrong(t('This is not on this phone any more.')))}>{t('Save')}</Button>
    </Screen>
  ) // prettier-ignore
}

export function EditPatient({ id }: { id: string }) {
  const patient = useRecords(({ patients }) => patients.find(id), `edit/${id}`)
  return patient && <PatientForm patient={patient} />
}
