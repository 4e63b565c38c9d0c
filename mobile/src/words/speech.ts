import { whyOf } from './codes.js'
import type { Counted, Language, Plural, Sentence } from './language.js'

/**
 * The app's words for what it keeps. `patients` names one record of a table; `cases.risk_level`, or `risk_level` for any
 * table, a column or a key in a JSON column; `risk_level=red` a value.
 */
export type Names = Readonly<Record<string, string>>

/** Speaks a language. */
export interface Speech {
  readonly language: Language
  say(sentence: Sentence, values?: Readonly<Record<string, string>>): string
  /** A sentence with a whole number. */
  count(sentence: Counted, n: number): string
  /** A sentence for a code of the server, or for the kind of a fault. */
  why(code: string): string
  number(n: number): string
  /** Date and time of day, ms since 1970. */
  when(ms: number): string
  /** Time of day. */
  clock(ms: number): string
  table(name: string): string
  field(table: string, name: string): string
  value(name: string, value: unknown): string
}

/** Speaks `language`, with the app's names. Keep what it gives: making formats of dates is slow on phones. */
export function speechOf(language: Language, names: Names = {}): Speech {
  const { tag, words } = language
  const form = language.plural ?? rulesOf(tag)
  const number = formatOf(() => new Intl.NumberFormat(tag).format, String)
  const when = timeOf(tag, { dateStyle: 'medium', timeStyle: 'short' }, (iso) => iso.slice(0, 16).replace('T', ' '))
  const clock = timeOf(tag, { timeStyle: 'short' }, (iso) => iso.slice(11, 16))
  const say: Speech['say'] = (sentence, values = {}) => filled(words[sentence], values)
  const value: Speech['value'] = (name, given) => {
    if (given === null || given === undefined || given === '') return say('empty')
    if (typeof given === 'boolean') return say(given ? 'yes' : 'no')
    if (typeof given === 'number') return name.endsWith('_at') ? when(given) : number(given)
    if (Array.isArray(given)) return given.map((each) => value(name, each)).join(' · ') || say('empty')
    if (typeof given === 'object')
      return Object.entries(given).map(([key, each]) => `${field('', key)}: ${value(key, each)}`).join(' · ') || say('empty')
    return names[`${name}=${String(given)}`] ?? String(given)
  }
  const field: Speech['field'] = (table, name) => names[`${table}.${name}`] ?? names[name] ?? readable(name)
  return {
    language, say, number, when, clock, field, value,
    count: (sentence, n) => filled((words[sentence] as Plural)[form(n) as 'other'] ?? words[sentence].other, { n: number(n) }),
    why: (code) => say(`why_${whyOf(code)}`),
    table: (name) => names[name] ?? say('record'),
  } // prettier-ignore
}

function filled(text: string, values: Readonly<Record<string, string>>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole)
}

/** `risk_level` → `Risk level`. */
function readable(name: string): string {
  const spaced = name.replace(/_/g, ' ').trim()
  return spaced.charAt(0).toUpperCase() + spaced.slice(1)
}

function rulesOf(tag: string): (n: number) => string {
  return formatOf(
    () => {
      const rules = new Intl.PluralRules(tag)
      return (n) => rules.select(n)
    },
    () => 'other',
  )
}

function timeOf(tag: string, options: Intl.DateTimeFormatOptions, of: (iso: string) => string): (ms: number) => string {
  const plain = (ms: number) => of(new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString())
  const format = formatOf(() => new Intl.DateTimeFormat(tag, options).format, plain)
  return (ms) => (Number.isFinite(new Date(ms).getTime()) ? format(ms) : '–')
}

/** What `Intl` makes; something plain on engines that have no such part, or do not know the language. */
function formatOf<T>(make: () => (n: number) => T, plain: (n: number) => T): (n: number) => T {
  try {
    return make()
  } catch {
    return plain
  }
}
