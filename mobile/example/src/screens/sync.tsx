/** What waits, what went wrong, and what the phone did. */
import { usePhotos, useSyncStatus } from '@dermadetect/care-kit/react'
import { ConflictView, QueueList, RefusedRecords, RetryButton, SyncHistory, useCare } from '@dermadetect/care-kit/ui'
import { go, usePhone, useRecords } from '../hooks'
import { Button, Card, Photo, Row, Screen, Words } from '../parts'
import { t } from '../words'
import { nameOf } from './patients'

interface Named {
  readonly table: string
  readonly id: string
}

export function SyncScreen({ logOut }: { logOut: () => void }) {
  const { kit, patients, cases, queue } = usePhone()
  const { conflicts, refused } = useSyncStatus(kit)
  const people = useRecords(async () => {
    const known = new Map((await patients.query().fetch()).map((patient) => [patient.id, nameOf(patient)]))
    for (const { id, patient_id } of await cases.query().fetch()) known.set(id, known.get(patient_id) ?? t('Case'))
    return known
  })
  const name = (id: string) => people?.get(id) ?? ''
  const take = ({ table, id }: Named, values: object) => (table === 'cases' ? cases : patients).update(id, values)
  const correct = ({ table, id }: Named) => go(table === 'patients' ? `/patient/${id}/edit` : `/case/${id}`)
  return (
    <Screen title={t('Sync')}>
      <RetryButton kit={kit} />
      {conflicts > 0 && <ConflictView kit={kit} describe={({ id }) => name(id)} onTake={take} />}
      {refused > 0 && <RefusedRecords kit={kit} describe={({ id }) => name(id)} onCorrect={correct} />}
      <Waiting name={name} />
      <QueueList queue={queue} describe={({ recordId }) => name(recordId)} />
      <SyncHistory kit={kit} most={5} />
      <Button onPress={logOut}>{t('Log out')}</Button>
    </Screen>
  )
}

/** Photos that are not on the server yet. One that was refused is sent again, or given up. */
function Waiting({ name }: { name: (id: string) => string }) {
  const { photos, forgetPhoto } = usePhone()
  const { why } = useCare().speech
  const waiting = usePhotos(photos)
  return waiting.length === 0 ? null : (
    <Card title={t('Photos that wait')}>
      {waiting.map((photo) => (
        <Row key={photo.key}>
          <Photo uri={photo.uri} label={name(photo.record_id)}>{name(photo.record_id)}</Photo>
          {photo.state === 'refused' && (
            <>
              <Words>{why(photo.code ?? '')}</Words>
              <Button onPress={() => void photos.again(photo)}>{t('Send again')}</Button>
              <Button onPress={() => void forgetPhoto(photo.record_id, photo.key)}>{t('Give up')}</Button>
            </>
          )}
        </Row>
      ))}
    </Card>
  ) // prettier-ignore
}
