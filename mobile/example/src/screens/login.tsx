/** Who is there. The first log-in on a phone needs a network; nothing after it does. */
import { useState } from 'react'
import { View } from 'react-native'
import { Refused, Unreachable } from '@dermadetect/care-kit/sync'
import { Button, Field, Notice, Screen, Words } from '../parts'
import { OpenElsewhere } from '../phone'
import { t } from '../words'

/** What is shown for a log-in that failed. */
function sentence(error: unknown): string {
  if (error instanceof OpenElsewhere) return t('The app is open in another tab. Close it there first.')
  if (error instanceof Unreachable) return t('No connection to the server. A log-in needs one.')
  if (!(error instanceof Refused)) return t('The app cannot keep data here: {error}', { error: String(error) })
  if (error.code === 'otp_missing') return t('Enter the code of your authenticator app.')
  if (error.code === 'credentials_wrong') return t('E-mail or password is wrong.')
  return error.message
}

/** `user` is given when somebody's session has ended: all records of that user are still here. */
export function LogIn(props: { user?: string; logIn: (email: string, password: string, otp: string) => Promise<void> }) {
  const [email, setEmail] = useState(props.user ?? '')
  const [password, setPassword] = useState('')
  const [otp, setOtp] = useState('')
  const [failed, setFailed] = useState<unknown>(null)
  const [busy, setBusy] = useState(false)
  const asksOtp = failed instanceof Refused && failed.code.startsWith('otp')
  const submit = () => {
    setBusy(true)
    props.logIn(email.trim().toLowerCase(), password, otp.trim()).catch(setFailed).finally(() => setBusy(false)) // prettier-ignore
  }
  return (
    <Screen title={t(props.user ? 'Log in again' : 'Log in')}>
      {props.user && <Words quiet>{t('Everything you wrote is on this phone and is sent after the log-in.')}</Words>}
      <View role="form" style={{ gap: 12 }}>
        {!props.user && <Field label={t('E-mail')} value={email} onChange={setEmail} mode="email" complete="username" onEnter={submit} />}
        <Field label={t('Password')} value={password} onChange={setPassword} secret complete="current-password" onEnter={submit} />
        {asksOtp && <Field label={t('Code')} value={otp} onChange={setOtp} mode="numeric" complete="one-time-code" onEnter={submit} />}
        {failed !== null && <Notice tone={asksOtp ? 'blue' : 'red'}>{sentence(failed)}</Notice>}
        <Button main busy={busy} onPress={submit}>{t('Log in')}</Button>
      </View>
    </Screen>
  ) // prettier-ignore
}
