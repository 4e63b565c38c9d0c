/** How urgent a record is. `unknown`: nobody can say, so a person must look. */
export type Risk = 'green' | 'yellow' | 'unknown' | 'red'

/** From the least to the most. */
const ORDER: readonly Risk[] = ['green', 'yellow', 'unknown', 'red']

const rankOf = (risk: string | null | undefined): number => {
  const rank = ORDER.indexOf(risk as Risk)
  return rank < 0 ? ORDER.indexOf('unknown') : rank
}

/** The more urgent of what the answers say and what a model says; nothing, or an unknown word, is `unknown`. */
export function moreUrgent<T extends string>(answers: T | null | undefined, model: Risk | null): T | Risk {
  return model === null || rankOf(answers) >= rankOf(model) ? (answers ?? 'unknown') : model
}

/**
 * From which score on a label means which risk, 0 to 1. They belong to one version of one model, and to the cases they were
 * calibrated on. What reaches none says nothing: that is not "green".
 */
export interface Thresholds {
  /** Stands in every record that they judged. */
  readonly version: string
  readonly labels: Readonly<Record<string, { readonly [risk in Exclude<Risk, 'green'>]?: number }>>
}

/** Throws a `TypeError` for thresholds that do not fit a model's labels, or that none can reach. */
export function checkThresholds({ version, labels }: Thresholds, known: readonly string[]): void {
  const all = Object.entries(labels).flatMap(([label, each]) => {
    if (!known.includes(label)) throw new TypeError(`the model has no label ${label}`)
    return Object.entries(each).map(([risk, from]) => ({ label, risk, from }))
  })
  if (!version || all.length === 0) throw new TypeError('thresholds need a version, and a label with one')
  for (const { label, risk, from } of all)
    if (risk === 'green' || !ORDER.includes(risk as Risk) || !(from > 0 && from <= 1))
      throw new TypeError(`the threshold of ${label} for ${risk} must be over 0 and at most 1`)
}

/** A label with its score. */
export type Score = readonly [label: string, score: number]

/** Decimal places of a score that is recorded: enough to compare, and the same on most processors. */
const PLACES = 1e4

/**
 * The scores of the labels that have thresholds, what they mean together (null: nothing), and the labels that meant it. A
 * score that is equal to its threshold, as it is recorded, has reached it. Null for scores that are none.
 */
export function judged(
  scores: ArrayLike<number>,
  labels: readonly string[],
  thresholds: Thresholds,
): { readonly scores: Score[]; readonly risk: Risk | null; readonly reached: string[] } | null {
  if (Array.from(scores).some((score) => !(score >= 0 && score <= 1 + 1 / PLACES))) return null
  const kept: Score[] = []
  const means: { label: string; risk: Risk }[] = []
  for (const [at, label] of labels.entries()) {
    const from = thresholds.labels[label]
    if (!from) continue
    const score = Math.min(1, Math.round(scores[at]! * PLACES) / PLACES)
    kept.push([label, score])
    const reached = ORDER.filter((risk) => risk !== 'green' && Math.max(score, scores[at]!) >= (from[risk] ?? Infinity))
    if (reached.length > 0) means.push({ label, risk: reached.at(-1)! })
  }
  const risk = means.reduce<Risk | null>((worst, each) => (worst ? (moreUrgent(worst, each.risk) as Risk) : each.risk), null)
  return { scores: kept, risk, reached: means.filter((each) => each.risk === risk).map(({ label }) => label) }
}
