/** The app: who is there, which screen, and the bar to the others. */
import { useEffect, useState } from 'react'
import { createRoot } from 'react-dom/client'
import { Pressable, View } from 'react-native'
import { useReach, useStore, useSyncStatus } from '@dermadetect/care-kit/react'
import { go, PhoneContext, usePath } from './hooks'
import { Notice, Screen, Words } from './parts'
import { OpenElsewhere, openPhone, type Phone } from './phone'
import { CaseForm, Cases, CaseScreen } from './screens/cases'
import { LogIn } from './screens/login'
import { EditPatient, PatientForm, Patients, PatientScreen } from './screens/patients'
import { SyncScreen } from './screens/sync'
import { useTheme } from './theme'
import { t } from './words'

/** Whose phone this is: stays until somebody logs out, whatever becomes of the session. */
const USER = 'user'

function App() {
  const [phone, setPhone] = useState<Phone | null>(null)
  const [fault, setFault] = useState<unknown>(null)
  const [user, setUser] = useState(() => localStorage.getItem(USER))
  useEffect(() => {
    if (user && !phone) openPhone(user).then(setPhone, setFault)
  }, [user, phone])
  useEffect(() => {
    const stop = phone?.start()
    return () => void stop?.then((end) => end())
  }, [phone])

  const logIn = async (email: string, password: string, otp: string) => {
    const opened = await openPhone(email)
    try {
      await opened.kit.logIn(email, password, otp)
    } catch (error) {
      await opened.close()
      throw error
    }
    localStorage.setItem(USER, email)
    void navigator.storage.persist()
    setPhone(opened)
    setUser(email)
  }
  const logOut = async () => {
    await phone?.kit.session.logOut()
    await phone?.close()
    localStorage.removeItem(USER)
    location.replace('./')
  }
  if (fault) return <Frame><Screen title="DermaDetect"><Notice tone="red">{fault instanceof OpenElsewhere ? t('The app is open in another tab. Close it there, then reload.') : String(fault)}</Notice></Screen></Frame>
  if (!user) return <Frame><LogIn logIn={logIn} /></Frame>
  if (!phone) return <Frame><View /></Frame>
  return <PhoneContext value={phone}><Inside phone={phone} logOut={() => void logOut()} /></PhoneContext>
}

function Inside({ phone, logOut }: { phone: Phone; logOut: () => void }) {
  const { next, phase, unsent } = useSyncStatus(phone.kit)
  const reach = useReach(phone.connectivity)
  const full = useStore(phone.full)
  const path = usePath()
  const again = async (email: string, password: string, otp: string) => {
    await phone.kit.logIn(email, password, otp)
    void phone.kit.sync()
    go('/')
  }
  const away = reach === 'offline' || reach === 'captive'
  return (
    <Frame bar={<Bar path={path} badge={unsent} />}>
      {away && <Banner>{t(unsent ? 'No connection. {unsent} records are kept here until there is one.' : 'No connection. You can go on working.', { unsent })}</Banner>}
      {full && <Notice tone="red">{t('The phone’s storage is full. Do not close the app: free space, or sync. What you wrote is still here.')}</Notice>}
      {next === 'log_in' && phase === 'idle' ? <LogIn user={phone.user} logIn={again} /> : <Current path={path} logOut={logOut} />}
    </Frame>
  ) // prettier-ignore
}

function Current({ path, logOut }: { path: string; logOut: () => void }) {
  const [, where, id = '', what] = path.split('/')
  if (where === 'register') return <PatientForm />
  if (where === 'patient' && what === 'edit') return <EditPatient key={id} id={id} />
  if (where === 'patient' && what === 'case') return <CaseForm key={id} patientId={id} />
  if (where === 'patient') return <PatientScreen key={id} id={id} />
  if (where === 'cases') return <Cases />
  if (where === 'case') return <CaseScreen key={id} id={id} />
  if (where === 'sync') return <SyncScreen logOut={logOut} />
  return <Patients />
}

function Banner({ children }: { children: string }) {
  return <Notice tone="yellow">{children}</Notice>
}

/** A phone's width, in the middle of whatever is wider. */
function Frame({ children, bar }: { children: React.ReactNode; bar?: React.ReactNode }) {
  const theme = useTheme()
  return (
    <View style={{ flex: 1, backgroundColor: theme.ground, alignItems: 'center' }}>
      <View style={{ flex: 1, width: '100%', maxWidth: 560 }}>
        {children}
        {bar}
      </View>
    </View>
  )
}

const TABS = [
  ['/', 'Patients'],
  ['/cases', 'Cases'],
  ['/sync', 'Sync'],
] as const

function Bar({ path, badge }: { path: string; badge: number }) {
  const theme = useTheme()
  const place = path.startsWith('/case') ? '/cases' : path === '/sync' ? '/sync' : '/'
  return (
    <View role="navigation" style={{ flexDirection: 'row', backgroundColor: theme.card, borderTopWidth: 1, borderTopColor: theme.line }}>
      {TABS.map(([href, text]) => (
        <Pressable key={href} role="link" href={`#${href}`} {...(place === href ? { 'aria-current': 'page' } : {})} style={{ flex: 1, minHeight: 56, alignItems: 'center', justifyContent: 'center' }}>
          <Words bold={place === href} size={15} color={place === href ? theme.accent : theme.quiet}>
            {t(text)}{href === '/sync' && badge > 0 ? ` (${badge})` : ''}
          </Words>
        </Pressable>
      ))}
    </View>
  ) // prettier-ignore
}

createRoot(document.getElementById('root')!).render(<App />)
void navigator.serviceWorker?.register('sw.js')
