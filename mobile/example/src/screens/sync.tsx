/** What waits, what went wrong, what the phone did. */
import { useHistory, useConflicts, usePhotos, useQueue, useReach, useRefused, useSyncStatus } from '@dermadetect/care-kit/react'
import { putAway, settleConflict } from '@dermadetect/care-kit/sync'
import { usePhone } from '../hooks'
import { Button, Card, Row, Screen, Section, Words } from '../parts'
import { t, when } from '../words'

export function SyncScreen({ logOut }: { logOut: () => void }) {
  const phone = usePhone()
  const { kit, database } = phone
  const status = useSyncStatus(kit)
  const reach = useReach(phone.connectivity)
  const refused = useRefused(kit)
  const conflicts = useConflicts(kit)
  const waiting = usePhotos(phone.photos)
  const queue = useQueue(phone.queue).filter(({ state }) => state !== 'done')
  const history = useHistory(kit)
  return (
    <Screen title={t('Sync')}>
      <Card>
        <Words bold>{reach === 'online' ? t('Online') : t('Offline')}</Words>
        <Words>{t('{unsent} records wait', { unsent: status.unsent })}</Words>
        {status.lastSuccessAt && <Words quiet>{t('Last sync {when}', { when: when(status.lastSuccessAt) })}</Words>}
        <Button main busy={status.phase === 'syncing'} onPress={() => void kit.sync()}>{t('Sync now')}</Button>
      </Card>
      {refused.map((each) => (
        <Section key={each.id} title={t('Not taken')}>
          <Words>{each.message}</Words>
          <Button onPress={() => void putAway(database, each).then(() => kit.executor.refresh())}>{t('Put away')}</Button>
        </Section>
      ))}
      {conflicts.map((each) => (
        <Section key={each.id} title={t('Two versions')}>
          <Words>{JSON.stringify(each.columns)}</Words>
          <Button onPress={() => void settleConflict(database, each).then(() => kit.executor.refresh())}>{t('Keep mine')}</Button>
        </Section>
      ))}
      <Section title={t('Photos that wait')}><Words>{String(waiting.length)}</Words></Section>
      <Section title={t('Analyses that wait')}><Words>{String(queue.length)}</Words></Section>
      <Section title={t('History')}>
        {history.slice(0, 8).map((each) => <Row apart key={each.at}><Words quiet>{when(each.at)}</Words><Words>{each.next}</Words></Row>)}
      </Section>
      <Button onPress={logOut}>{t('Log out')}</Button>
    </Screen>
  ) // prettier-ignore
}
