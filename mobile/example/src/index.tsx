/** The app: who is there, which screen, and the bar to the others. */
import { useEffect, useState, type ReactNode } from 'react'
import { createRoot } from 'react-dom/client'
import { Pressable, useColorScheme, View } from 'react-native'
import { useStore } from '@dermadetect/care-kit/react'
import { CareProvider, dark, light, OfflineBanner, StatusPill, useCare } from '@dermadetect/care-kit/ui'
import { go, PhoneContext, usePath } from './hooks'
import { Screen, Sign, Words } from './parts'
import { OpenElsewhere, openPhone, type Phone } from './phone'
import { CaseForm, Cases, CaseScreen } from './screens/cases'
import { LogIn } from './screens/login'
import { EditPatient, PatientForm, Patients, PatientScreen } from './screens/patients'
import { SyncScreen } from './screens/sync'
import { language, names, t } from './words'

/** Whose phone this is: stays until somebody logs out, whatever becomes of the session. */
const USER = 'user'

function App() {
  const [phone, setPhone] = useState<Phone | null>(null)
  const [fault, setFault] = useState<unknown>(null)
  const [user] = useState(() => localStorage.getItem(USER))
  useEffect(() => {
    if (user) openPhone(user).then(setPhone, setFault)
  }, [user])
  useEffect(() => {
    const started = phone?.start()
    return () => void started?.then((stop) => stop())
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
  }
  const logOut = async () => {
    await phone?.kit.session.logOut()
    await phone?.close()
    localStorage.removeItem(USER)
    location.replace('./')
  }
  const elsewhere = t('The app is open in another tab. Close it there, then reload.')
  if (phone) return <PhoneContext value={phone}><Inside phone={phone} logOut={() => void logOut()} /></PhoneContext> // prettier-ignore
  if (fault) return <Frame><Screen title="DermaDetect"><Sign says="alert" tone="bad">{fault instanceof OpenElsewhere ? elsewhere : String(fault)}</Sign></Screen></Frame> // prettier-ignore
  return <Frame>{!user && <LogIn logIn={logIn} />}</Frame>
}

function Inside({ phone, logOut }: { phone: Phone; logOut: () => void }) {
  const { kit, connectivity } = phone
  const ended = useStore(kit.executor.status, ({ next, phase }) => next === 'log_in' && phase === 'idle')
  const full = useStore(phone.full)
  const path = usePath()
  const again = async (email: string, password: string, otp: string) => {
    await kit.logIn(email, password, otp)
    void kit.sync()
  }
  return (
    <Frame pill={<StatusPill kit={kit} connectivity={connectivity} onPress={() => go('/sync')} />} bar={<Bar path={path} />}>
      <OfflineBanner kit={kit} connectivity={connectivity} />
      {full && <Sign says="alert" tone="bad">{t('The phone’s storage is full. Make room, and do not close the app before: what you wrote is still here.')}</Sign>}
      {ended ? <LogIn user={phone.user} logIn={again} /> : <Current path={path} logOut={logOut} />}
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
  return where === 'sync' ? <SyncScreen logOut={logOut} /> : <Patients />
}

/** A phone's width, in the middle of whatever is wider: the app's name, a screen, the bar. */
function Frame({ children, pill, bar }: { children?: ReactNode; pill?: ReactNode; bar?: ReactNode }) {
  const { theme } = useCare()
  const head = { flexDirection: 'row', alignItems: 'center', justifyContent: 'space-between', minHeight: 56, paddingHorizontal: 16 }
  return (
    <View style={{ flex: 1, alignItems: 'center' }}>
      <View style={{ flex: 1, width: '100%', maxWidth: 560 }}>
        <View role="banner" style={{ ...head, backgroundColor: theme.card, borderBottomWidth: 1, borderBottomColor: theme.line }}>
          <Words bold color={theme.accent}>✚ DermaDetect</Words>
          <View>{pill}</View>
        </View>
        {children}
        {bar}
      </View>
    </View>
  ) // prettier-ignore
}

const TABS = { '/': 'Patients', '/cases': 'Cases', '/sync': 'Sync' }

function Bar({ path }: { path: string }) {
  const { theme } = useCare()
  const place = path.startsWith('/case') ? '/cases' : path === '/sync' ? '/sync' : '/'
  const tab = { flex: 1, minHeight: 56, alignItems: 'center', justifyContent: 'center', borderTopWidth: 3 }
  return (
    <View role="navigation" style={{ flexDirection: 'row', backgroundColor: theme.card, borderTopWidth: 1, borderTopColor: theme.line }}>
      {Object.entries(TABS).map(([href, text]) => {
        const here = href === place
        return (
          <Pressable key={href} role="link" href={`#${href}`} {...(here ? { 'aria-current': 'page' } : {})} style={{ ...tab, borderTopColor: here ? theme.accent : theme.card }}>
            <Words bold={here} color={here ? theme.accent : theme.quiet}>{t(text)}</Words>
          </Pressable>
        )
      })}
    </View>
  ) // prettier-ignore
}

function Root() {
  return (
    <CareProvider language={language} theme={useColorScheme() === 'dark' ? dark : light} names={names}>
      <App />
    </CareProvider>
  )
}

createRoot(document.getElementById('root')!).render(<Root />)
void navigator.serviceWorker?.register('sw.js')
