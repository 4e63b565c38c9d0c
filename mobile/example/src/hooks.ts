/** What screens need beside the kit's own hooks. */
import { createContext, useContext, useEffect, useState, useSyncExternalStore } from 'react'
import type { Phone } from './phone'

/** The phone that the screens are about. */
export const PhoneContext = createContext<Phone | null>(null)

/** The phone; there is one below `PhoneContext`. */
export const usePhone = (): Phone => useContext(PhoneContext)!

/** What `read` gives, read anew whenever records change; null before the first time. `of` says what it is about. */
export function useRecords<T>(read: (phone: Phone) => Promise<T>, of = ''): T | null {
  const phone = usePhone()
  const [found, setFound] = useState<{ of: string; value: T } | null>(null)
  useEffect(() => {
    let on = true
    const tables = ['patients', 'cases', 'diagnoses', 'medgemma_queue']
    const changes = phone.database.withChangesForTables(tables).subscribe(() => {
      void read(phone).then((value) => on && setFound({ of, value }))
    })
    return () => {
      on = false
      changes.unsubscribe()
    }
    // `read` is made anew with every drawing; what it reads is named by `of`.
  }, [phone, of])
  return found?.of === of ? found.value : null
}

/** The path after `#`: `/`, `/patient/ID` … */
export function usePath(): string {
  const subscribe = (tell: () => void) => {
    addEventListener('hashchange', tell)
    return () => removeEventListener('hashchange', tell)
  }
  return useSyncExternalStore(subscribe, () => location.hash.slice(1) || '/')
}

/** Goes to a screen. */
export const go = (path: string): void => void (location.hash = path)

/** What a form holds: kept at every change, so that an app that dies in the middle of it comes back to it. */
export function useDraft<T extends object>(name: string, first: () => T) {
  const key = `draft/${usePhone().user}/${name}`
  const [draft, setDraft] = useState<T>(() => JSON.parse(localStorage.getItem(key) ?? 'null') ?? first())
  const change = (more: Partial<T>) =>
    setDraft((before) => {
      const now = { ...before, ...more }
      localStorage.setItem(key, JSON.stringify(now))
      return now
    })
  return [draft, change, () => localStorage.removeItem(key)] as const
}
