import { systemClock, type Clock, type Json, type JsonMap } from '../ports.js'
import { tensorOf, type ImageTensor, type ModelInput, type Pixels } from './pixels.js'
import { checkThresholds, judged, moreUrgent, type Risk, type Score, type Thresholds } from './risk.js'

/** A model that looks at one photo, whatever runs it: TensorFlow.js, ONNX Runtime, TensorFlow Lite. */
export interface Classifier {
  /** What it is called, and which one of its kind: both stand in every record. */
  readonly name: string
  readonly version: string
  /** What its scores are about, in their order. */
  readonly labels: readonly string[]
  readonly input: ModelInput
  /** A score from 0 to 1 for each label. Throws if the model cannot be had, or fails. */
  scores(image: ImageTensor): Promise<ArrayLike<number>>
}

/** A photo to look at. */
export interface PhotoToRead {
  /** Its name in `image_keys`. */
  readonly key: string
  /** Decodes it, when its turn comes: one at a time is in memory. Throws if it cannot. */
  read(): Pixels | Promise<Pixels>
}

/** What was seen on a photo. A photo that cannot be read, or that has no score, is `unknown`: a person must look. */
export interface PhotoSeen {
  readonly photo: string
  /** What the scores mean; null: nothing, so what the answers say stands. */
  readonly risk: Risk | null
  /** The labels that meant it. */
  readonly reached?: readonly string[]
  readonly scores?: readonly Score[]
  readonly why?: 'unreadable' | 'no_score'
}

/** What stands in the record. The same photos, model and thresholds give the same, to the letter. */
export interface TriageRecord {
  /** `done`: every photo had its turn. Otherwise those that had are here, and `why` there are no more. */
  readonly status: 'done' | 'late' | 'failed' | 'no_photo'
  readonly why?: 'took_too_long' | 'model_failed' | 'wrong_scores'
  readonly model: string
  readonly model_version: string
  readonly thresholds: string
  /** The most urgent of the photos. */
  readonly risk: Risk | null
  readonly photos: readonly PhotoSeen[]
}

/** What became of a look at photos. */
export interface Look {
  readonly record: TriageRecord
  /** The highest score of any photo; null unless every photo was scored. */
  readonly score: number | null
  /** What a model threw. For the app's log, not for the record: it may name files. */
  readonly error?: unknown
  /** Only if it was late: what it finds in the end. Never fails. Give it to `recordLook`. */
  readonly later?: Promise<Look>
}

/** What a triage needs. */
export interface TriageOptions {
  readonly classifier: Classifier
  readonly thresholds: Thresholds
  /** The longest time that somebody waits for it, ms. */
  readonly limitMs?: number
  readonly clock?: Clock
}

const LIMIT_MS = 8000

/** The keys of `triage_data` that the kit writes. The server reads the second as "this phone has looked itself". */
const RECORD = 'device_triage'
const SCORE = 'model_score'

/**
 * Looks at photos on the phone. It raises what the answers say and never lowers it, and it holds up nobody: whatever goes
 * wrong, a look ends in time, and says how.
 */
export class DeviceTriage {
  readonly #clock: Clock

  /** Throws a `TypeError` if the thresholds do not fit the model. */
  constructor(private readonly options: TriageOptions) {
    checkThresholds(options.thresholds, options.classifier.labels)
    this.#clock = options.clock ?? systemClock
  }

  /** Looks at a record's photos. Never throws. Of several photos the most urgent counts. */
  look(photos: readonly PhotoToRead[]): Promise<Look> {
    const seen: PhotoSeen[] = []
    const work = this.each(photos, seen)
    return new Promise((done) => {
      const stop = this.#clock.after(this.options.limitMs ?? LIMIT_MS, () =>
        done({ ...this.told(seen, 'late', 'took_too_long'), later: work }),
      )
      void work.then((look) => {
        stop()
        done(look)
      })
    })
  }

  private async each(photos: readonly PhotoToRead[], seen: PhotoSeen[]): Promise<Look> {
    const { classifier } = this.options
    for (const photo of photos) {
      let image: ImageTensor
      try {
        image = await tensorOf(await photo.read(), classifier.input, () => this.pause())
      } catch {
        seen.push({ photo: photo.key, risk: 'unknown', why: 'unreadable' })
        continue
      }
      try {
        const scores = await classifier.scores(image)
        if (scores.length !== classifier.labels.length) return this.told(seen, 'failed', 'wrong_scores')
        seen.push(this.judge(photo.key, scores))
      } catch (error) {
        return { ...this.told(seen, 'failed', 'model_failed'), error }
      }
    }
    return this.told(seen, photos.length > 0 ? 'done' : 'no_photo')
  }

  private judge(photo: string, scores: ArrayLike<number>): PhotoSeen {
    const said = judged(scores, this.options.classifier.labels, this.options.thresholds)
    return said ? { photo, ...said } : { photo, risk: 'unknown', why: 'no_score' }
  }

  private told(seen: readonly PhotoSeen[], status: TriageRecord['status'], why?: TriageRecord['why']): Look {
    const { classifier, thresholds } = this.options
    const photos = [...seen]
    const risks = photos.map(({ risk }) => risk).filter((risk) => risk !== null)
    const record: TriageRecord = {
      status,
      ...(why && { why }),
      model: classifier.name,
      model_version: classifier.version,
      thresholds: thresholds.version,
      risk: risks.length > 0 ? risks.reduce((worst, risk) => moreUrgent(worst, risk) as Risk) : null,
      photos,
    }
    const scores = photos.flatMap(({ scores }) => scores ?? []).map(([, score]) => score)
    const whole = status === 'done' && photos.every((photo) => photo.scores)
    return { record, score: whole ? Math.max(...scores) : null }
  }

  private pause(): Promise<void> {
    return new Promise((done) => void this.#clock.after(0, done))
  }
}

/** The columns that a look changes. */
export interface Triaged {
  readonly risk_level?: Risk | null
  readonly triage_data?: Json
}

/**
 * A record's columns with what a look has found: the risk is raised if need be, and the look stands in `triage_data` beside
 * the answers. A look that did not end well takes no better one away.
 */
export function triaged<T extends Triaged>(
  columns: T,
  { record, score }: Look,
): Omit<T, keyof Triaged> & { risk_level: Risk; triage_data: JsonMap } {
  const { risk_level, triage_data, ...others } = columns
  const { [RECORD]: known, [SCORE]: scored, ...answers } = asMap(triage_data)
  const stays = record.status !== 'done' && (known as JsonMap | undefined)?.['status'] === 'done'
  const kept = { [RECORD]: known, [SCORE]: scored }
  const found = { [RECORD]: { ...record } as unknown as JsonMap, [SCORE]: score ?? undefined }
  const data = JSON.parse(JSON.stringify({ ...answers, ...(stays ? kept : found) })) as JsonMap
  return { ...others, risk_level: moreUrgent(risk_level, record.risk), triage_data: data }
}

/** A repository whose records have these columns, as DermaDetect's `cases`. */
export interface TriagedRecords<R extends Triaged> {
  update(id: string, change: (now: R) => { risk_level: Risk; triage_data: Json }): Promise<R>
}

/** Writes what a look has found into a record that is there already. Throws `Gone`. */
export function recordLook<R extends Triaged>(records: TriagedRecords<R>, id: string, look: Look): Promise<R> {
  return records.update(id, ({ risk_level = null, triage_data = null }) => {
    const { risk_level: risk, triage_data: data } = triaged({ risk_level, triage_data }, look)
    return { risk_level: risk, triage_data: data }
  })
}

/** Answers as an object, whatever form an app gives them. */
function asMap(answers: Json | undefined): JsonMap {
  if (answers === null || answers === undefined) return {}
  return typeof answers === 'object' && !Array.isArray(answers) ? (answers as JsonMap) : { answers }
}

