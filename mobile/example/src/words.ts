/** The app's words. English stands where it is used; other languages look it up. */
import { en, fr, sw, type Language, type Names } from '@dermadetect/care-kit/words'
import french from './languages/fr.json'
import swahili from './languages/sw.json'

/** What users choose from. The kit speaks Hindi and Arabic, too; the app would need catalogues of its own for them. */
export const LANGUAGES: readonly Language[] = [en, fr, sw]

const CATALOGUES: Readonly<Record<string, Readonly<Record<string, string>>>> = { fr: french, sw: swahili }

const KEY = 'language'
const asked = localStorage.getItem(KEY) ?? navigator.language.slice(0, 2)

const found = LANGUAGES.find(({ tag }) => tag === asked) ?? en

/** The language of this start of the app, with dates as the phone's own region writes them. */
export const language: Language = { ...found, tag: navigator.language.startsWith(found.tag) ? navigator.language : found.tag }
document.documentElement.lang = language.tag
document.documentElement.dir = language.rightToLeft ? 'rtl' : 'ltr'

/** Another language, from a new start on. */
export function speak(tag: string): void {
  localStorage.setItem(KEY, tag)
  location.reload()
}

/** A text in the user's language. `{name}` is replaced by what `values` has for it. */
export function t(text: string, values: Readonly<Record<string, string | number>> = {}): string {
  return (CATALOGUES[found.tag]?.[text] ?? text).replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ''))
}

/** A word of a vocabulary, as `severe_pain`, to be read. */
export function plain(word: unknown): string {
  const text = String(word ?? '').replaceAll('_', ' ')
  return t(text.charAt(0).toUpperCase() + text.slice(1))
}

/** What the kit's components call our records and their fields. */
export const names: Names = Object.fromEntries([
  ['patients', t('Patient')],
  ['cases', t('Case')],
  ...['demographics', 'name', 'age', 'sex', 'village', 'risk_level', 'triage_data'].map((each) => [each, plain(each)]),
  ...['female', 'male'].map((each) => [`sex=${each}`, plain(each)]),
])
