import type { Attempt } from './history.js'

/** Word → how often. */
export type Counts = Readonly<Record<string, number>>

/**
 * What a phone's syncs were like: counts, codes and durations. Nothing of patients, no id and no text of a person or of a
 * request is in it, so an app may send it to whoever looks after the phones.
 */
export interface Telemetry {
  readonly app_version: string
  /** When the first and the last of these attempts began, by the phone's clock, ms; null: there were none. */
  readonly first_at: number | null
  readonly last_at: number | null
  readonly attempts: number
  /** How they ended (`rest`, `retry` …), what began them (`edit`, `online` …), and the codes of what failed. */
  readonly ended: Counts
  readonly began: Counts
  readonly codes: Counts
  readonly duration_ms: { readonly median: number; readonly p95: number; readonly longest: number } | null
  readonly sent: number
  readonly received: number
  readonly refused: number
  /** Records that waited after the last attempt. */
  readonly unsent: number
  /** Photos and analyses that are on the phone, by state. */
  readonly photos?: Counts
  readonly analyses?: Counts
}

/** What else a summary counts. */
export interface TelemetryOptions {
  /** The app's version, like `1.4.0`. */
  readonly version: string
  /** `last_at` of the summary before: only later attempts count. */
  readonly after?: number | null
  /** `photos.photos.get()` of a queue of photos, `entries.get()` of one of analyses. */
  readonly photos?: readonly { readonly state: string }[]
  readonly analyses?: readonly { readonly state: string }[]
}

/** Sums up attempts: `telemetryOf(kit.history.attempts.get(), { version })`. The history keeps the last 50. */
export function telemetryOf(
  history: readonly Attempt[],
  { version, after = null, photos, analyses }: TelemetryOptions,
): Telemetry {
  const attempts = history.filter(({ at }) => after === null || at > after).sort((one, two) => one.at - two.at)
  const total = (count: 'sent' | 'received' | 'refused') => attempts.reduce((sum, each) => sum + each[count], 0)
  const durations = attempts.map(({ durationMs }) => durationMs).sort((one, two) => one - two)
  const ranked = (share: number) => durations[Math.ceil(share * durations.length) - 1]!
  return {
    app_version: version,
    first_at: attempts[0]?.at ?? null,
    last_at: attempts.at(-1)?.at ?? null,
    attempts: attempts.length,
    ended: counts(attempts.map(({ next }) => next)),
    began: counts(attempts.map(({ reason }) => reason)),
    codes: counts(attempts.map(({ code }) => code).filter(Boolean)),
    duration_ms: durations.length > 0 ? { median: ranked(0.5), p95: ranked(0.95), longest: ranked(1) } : null,
    sent: total('sent'),
    received: total('received'),
    refused: total('refused'),
    unsent: attempts.at(-1)?.unsent ?? 0,
    ...(photos && { photos: counts(photos.map(({ state }) => state)) }),
    ...(analyses && { analyses: counts(analyses.map(({ state }) => state)) }),
  }
}

/** A code is a word. Whatever else a fault calls itself could hold anything. */
const WORD = /^\w{1,64}$/

function counts(words: readonly string[]): Counts {
  const found: Record<string, number> = {}
  for (const word of words.map((each) => (WORD.test(each) ? each : 'other')).sort()) found[word] = (found[word] ?? 0) + 1
  return found
}
