/** The questions of a case, what of their answers makes it red, and a model on the phone. */
import { DeviceTriage, type Classifier } from '@dermadetect/care-kit/triage'

/** Where it is. */
export const SITES = ['face', 'scalp', 'neck', 'trunk', 'arm', 'hand', 'leg', 'foot']

/** Signs of danger: the server's red flags that a health worker can see without an instrument. */
export const SIGNS = [
  'bleeding', 'fever', 'severe_pain', 'breathing_difficulty', 'spreading_infection', 'blistering', 'facial_swelling',
  'rapid_growth',
] // prettier-ignore

/** A form, as it is filled in. `signs` is null until somebody has answered. */
export interface Answers {
  readonly site: string
  readonly days: string
  readonly signs: readonly string[] | null
  readonly note: string
  readonly impression: 'yellow' | 'green' | ''
}

/** One sign makes a case red. Without any it is what the health worker thinks; '' until that is said. */
export const riskOf = ({ signs, impression }: Answers): 'red' | Answers['impression'] =>
  !signs ? '' : signs.length > 0 ? 'red' : impression

/** The answers as they are sent. */
export function triageData({ site, days, signs, note }: Answers) {
  const said = Object.fromEntries(SIGNS.map((sign) => [sign, signs?.includes(sign) ?? false]))
  return { site, ...(days.trim() ? { duration_days: Number(days) } : {}), ...said, ...(note.trim() ? { note: note.trim() } : {}) }
}

/**
 * Stands where a clinic's model goes (`tensorFlowClassifier`, with its files in `public`). It measures how much darker the
 * middle of a photo is than its corners, and knows nothing of skin: it shows the way of a photo, and is for no patient.
 */
const exercise: Classifier = {
  name: 'exercise-without-clinical-value',
  version: '1',
  labels: ['dark_spot'],
  input: { width: 9, height: 9, fit: 'crop' },
  async scores({ data }) {
    const at = (x: number, y: number) => data[3 * (9 * y + x) + 1]!
    const corners = (at(0, 0) + at(8, 0) + at(0, 8) + at(8, 8)) / 4
    return [Math.max(0, Math.min(1, (corners - at(4, 4)) / (corners || 1)))]
  },
}

/** Looks at photos before any network is there. It can raise a case, and never lowers it. */
export const device = new DeviceTriage({
  classifier: exercise,
  thresholds: { version: 'exercise-1', labels: { dark_spot: { yellow: 0.3 } } },
})
