/** Who is there. The first log-in on a phone needs a network; nothing after it does. */
import { useState } from 'react'
import { View } from 'react-native'
import { Refused, Unreachable } from '@dermadetect/care-kit/sync'
import { useCare } from '@dermadetect/care-kit/ui'
import { Button, Choice, Field, Screen, Sign, Words } from '../parts'
import { OpenElsewhere } from '../phone'
import { language, LANGUAGES, speak, t } from '../words'

/** What each language calls itself. */
const OWN_NAMES: Readonly<Record<string, string>> = { en: 'English', fr: 'Français', sw: 'Kiswahili' }

/** `user` is given when somebody's session has ended: all records of that user are still here. */
export function LogIn({ user, logIn }: { user?: string; logIn: (email: string, password: string, otp: string) => Promise<void> }) {
  const { why } = useCare().speech
  const [email, setEmail] = useState(user ?? '')
  const [password, setPassword] = useState('')
  const [otp, setOtp] = useState('')
  const [fault, setFault] = useState<unknown>(null)
  const submit = () => logIn(email.trim().toLowerCase(), password, otp.trim()).catch(setFault)
  const sentence = () => {
    if (fault instanceof Refused) return why(fault.code)
    if (fault instanceof OpenElsewhere) return t('The app is open in another tab. Close it there first.')
    return fault instanceof Unreachable ? why('Unreachable') : String(fault)
  }
  const asksOtp = fault instanceof Refused && fault.code.startsWith('otp')
  return (
    <Screen title={t(user ? 'Log in again' : 'Log in')}>
      {user && <Words>{t('Everything you wrote is on this phone, and is sent after the log-in.')}</Words>}
      <View role="form" style={{ gap: 14 }}>
        {!user && <Field label={t('E-mail')} value={email} onChange={setEmail} mode="email" complete="username" onEnter={submit} />}
        <Field label={t('Password')} value={password} onChange={setPassword} secret complete="current-password" onEnter={submit} />
        {asksOtp && <Field label={t('Code')} value={otp} onChange={setOtp} mode="numeric" complete="one-time-code" onEnter={submit} />}
        {fault !== null && <Sign says="alert" tone={asksOtp ? 'busy' : 'bad'}>{sentence()}</Sign>}
        <Button main onPress={submit}>{t('Log in')}</Button>
      </View>
      <Choice label={t('Language')} options={LANGUAGES.map(({ tag }) => OWN_NAMES[tag]!)} chosen={(each) => each === OWN_NAMES[language.tag.slice(0, 2)]} onPress={(each) => speak(Object.keys(OWN_NAMES).find((tag) => OWN_NAMES[tag] === each)!)} />
    </Screen>
  ) // prettier-ignore
}
