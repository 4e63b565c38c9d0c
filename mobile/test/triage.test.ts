import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { repositories } from '../src/dermadetect.js'
import {
  DeviceTriage,
  moreUrgent,
  recordLook,
  tensorFlowClassifier,
  tensorOf,
  triaged,
  Unreadable,
  type Classifier,
  type Look,
  type ModelInput,
  type PhotoToRead,
  type Pixels,
  type Risk,
  type Thresholds,
} from '../src/triage/index.js'
import { quiet, TestClock } from './machine.js'
import { openLoki } from './phone.js'

const require = createRequire(import.meta.url)
const layers = require('@tensorflow/tfjs-layers') as typeof import('@tensorflow/tfjs-layers')
const core = require('@tensorflow/tfjs-core') as typeof import('@tensorflow/tfjs-core')
require('@tensorflow/tfjs-backend-cpu')
const tf = { ...core, ...layers }

/** A picture of which each pixel is what `colour` says. */
function picture(width: number, height: number, colour: (x: number, y: number) => readonly number[]): Pixels {
  const data = new Uint8ClampedArray(4 * width * height)
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) data.set([...colour(x, y), 255], 4 * (y * width + x))
  return { width, height, data }
}

const pattern = (width: number, height: number): Pixels =>
  picture(width, height, (x, y) => [0, 1, 2].map((c) => (x * 37 + y * 59 + c * 83 + x * y * 11) % 256))

const near = (found: ArrayLike<number>, expected: ArrayLike<number>, by: number) => {
  assert.equal(found.length, expected.length)
  for (let at = 0; at < found.length; at++)
    assert.ok(Math.abs(found[at]! - expected[at]!) <= by, `at ${at}: ${found[at]}, not ${expected[at]}`)
}

// --- pictures

// What Pillow 13 makes of the same pattern: mode F, Image.Resampling.BILINEAR; of the last one the middle, by its `box`.
const PILLOW: readonly [number, number, ModelInput, number[]][] = [
  [7, 5, { width: 3, height: 2 }, [97.649, 134.104, 129, 144.134, 134.043, 111.631, 144.61, 117.896, 108.636, 162.195, 96.416, 133.701, 135.107, 129.123, 124.508, 119.753, 127.948, 134.481]],
  [3, 4, { width: 5, height: 2 }, [42.143, 125.143, 171.571, 60.086, 128.457, 145.629, 87, 133.429, 106.714, 113.914, 160.343, 133.629, 131.857, 178.286, 151.571, 134.857, 108.143, 81.429, 159.714, 89.114, 91.657, 197, 60.571, 107, 168.457, 97.857, 144.286, 149.429, 122.714, 169.143]],
  [9, 4, { width: 2, height: 2, fit: 'crop' }, [149.286, 140.857, 105, 147.571, 111.714, 112.429, 129.286, 130, 121.571, 116.429, 135.429, 127]],
] // prettier-ignore

test('a photo becomes smaller, or larger, as Pillow makes it', async () => {
  for (const [width, height, input, expected] of PILLOW) {
    const { data, shape } = await tensorOf(pattern(width, height), input)
    assert.deepEqual(shape, [1, input.height, input.width, 3])
    near(data.map((value) => value * 255), expected, 2e-3) // prettier-ignore
  }
})

test('without antialiasing it becomes what tf.image makes of it', async () => {
  for (const [width, height, to] of [[31, 17, [8, 6]], [5, 9, [11, 7]]] as const) {
    const pixels = pattern(width, height)
    const rgb = Array.from(pixels.data).filter((_, at) => at % 4 < 3)
    const expected = core.tidy(() =>
      core.div(core.image.resizeBilinear(core.tensor3d(rgb, [height, width, 3]), [to[1], to[0]], false, true), 255).dataSync(),
    )
    const { data } = await tensorOf(pixels, { width: to[0], height: to[1], antialias: false })
    near(data, expected, 1e-5)
  }
})

test('values are as the model was trained: 0 to 1, or by mean and deviation', async () => {
  const pixels = picture(2, 1, (x) => (x === 0 ? [0, 51, 255] : [255, 0, 0]))
  near((await tensorOf(pixels, { width: 2, height: 1 })).data, [0, 0.2, 1, 1, 0, 0], 1e-6)
  const input: ModelInput = { width: 2, height: 1, mean: [0.5, 0.2, 0.5], std: [0.5, 0.1, 0.25] }
  near((await tensorOf(pixels, input)).data, [-1, 0, 2, 1, -2, -2], 1e-5)
})

test('what is no picture, or shows nothing, is not read', async () => {
  const bad: Pixels[] = [
    { width: 0, height: 0, data: new Uint8ClampedArray() },
    { width: 2, height: 2, data: new Uint8ClampedArray(12) },
    { width: 1.5, height: 2, data: new Uint8ClampedArray(12) },
    { width: 2, height: 1, data: Float32Array.of(0, 0, 0, 1, 1, 1, 1, 1) as never }, // 0 to 1: all would be black
    { width: 8, height: 8, data: new Uint8ClampedArray(256) }, // a canvas that nothing was drawn on
    picture(8, 8, () => [90, 90, 90]),
    undefined as never,
  ]
  for (const pixels of bad) await assert.rejects(tensorOf(pixels, { width: 2, height: 2 }), Error)
  await assert.rejects(tensorOf(bad[1]!, { width: 2, height: 2 }), Unreadable)
})

test('in a large photo others get their turn, and it is none in a small one', async () => {
  let turns = 0
  const pause = async () => void (turns += 1)
  await tensorOf(pattern(100, 100), { width: 4, height: 4 }, pause)
  assert.equal(turns, 0)
  await tensorOf(pattern(1500, 1000), { width: 4, height: 4 }, pause)
  assert.ok(turns >= 2)
})

// --- thresholds

const thresholds: Thresholds = { version: 'test-1', labels: { reddish: { red: 0.7, yellow: 0.4 }, yellowish: { unknown: 0.5 } } }

/** A model that answers as a test says. */
const saying = (...answers: (ArrayLike<number> | Error)[]): Classifier => ({
  name: 'not-medical',
  version: '1',
  labels: ['reddish', 'yellowish', 'other'],
  input: { width: 2, height: 2 },
  async scores() {
    const answer = answers.length > 1 ? answers.shift()! : answers[0]!
    if (answer instanceof Error) throw answer
    return answer
  },
})

const photo = (key: string, pixels: Pixels = pattern(4, 4)): PhotoToRead => ({ key, read: () => pixels })

const look = (scores: ArrayLike<number>) => new DeviceTriage({ classifier: saying(scores), thresholds }).look([photo('a')])

test('a score that is equal to a threshold has reached it, also in float32', async () => {
  const table: [number, number, Risk | null, string[]][] = [
    [0.3999, 0, null, []],
    [0.39996, 0, 'yellow', ['reddish']], // recorded as 0.4
    [0.4, 0, 'yellow', ['reddish']],
    [0.6999, 0, 'yellow', ['reddish']],
    [0.7, 0, 'red', ['reddish']], // 0.699999988 in float32
    [1, 0, 'red', ['reddish']],
    [0, 0.5, 'unknown', ['yellowish']],
    [0.4, 0.5, 'unknown', ['yellowish']],
    [0.7, 0.5, 'red', ['reddish']],
    [0, 0, null, []],
  ]
  for (const [reddish, yellowish, risk, reached] of table) {
    const [seen] = (await look(Float32Array.of(reddish, yellowish, 1))).record.photos
    assert.deepEqual([seen?.risk, seen?.reached], [risk, reached], `${reddish} ${yellowish}`)
  }
})

test('the model raises what the answers say, and never lowers it', () => {
  const risks: readonly Risk[] = ['green', 'yellow', 'unknown', 'red']
  for (const [a, answers] of risks.entries())
    for (const [m, model] of [...risks, null].entries())
      assert.equal(moreUrgent(answers, model), model === null ? answers : risks[Math.max(a, m)])
  assert.equal(moreUrgent(null, 'green'), 'unknown')
  assert.equal(moreUrgent('HIGH', 'yellow'), 'HIGH')
  assert.equal(moreUrgent('HIGH', 'red'), 'red')
})

test('thresholds that do not fit the model are refused at once', () => {
  const bad = [
    { version: '1', labels: { blue: { red: 0.5 } } },
    { version: '', labels: { reddish: { red: 0.5 } } },
    { version: '1', labels: {} },
    { version: '1', labels: { reddish: {} } },
    { version: '1', labels: { reddish: { green: 0.5 } } },
    { version: '1', labels: { reddish: { red: 0 } } },
    { version: '1', labels: { reddish: { red: 1.1 } } },
    { version: '1', labels: { reddish: { red: NaN } } },
  ] as Thresholds[]
  for (const each of bad) assert.throws(() => new DeviceTriage({ classifier: saying([]), thresholds: each }), TypeError)
})

// --- what can go wrong

const found = ({ record: { status, why, risk, photos }, score }: Look) => [status, why, risk, photos.map((each) => each.risk), score]

test('scores that are none ask for a person, and are no score', async () => {
  for (const bad of [NaN, -0.1, 1.2, Infinity]) {
    const said = await look([0.1, bad, 0.1])
    assert.deepEqual(found(said), ['done', undefined, 'unknown', ['unknown'], null])
    assert.equal(said.record.photos[0]?.why, 'no_score')
  }
})

test('a photo that cannot be read asks for a person, and the others have their turn', async () => {
  const lost = { key: 'b', read: () => Promise.reject(new Error('no such file')) }
  const triage = new DeviceTriage({ classifier: saying([0.1, 0.1, 0.1]), thresholds })
  assert.deepEqual(found(await triage.look([photo('a'), lost])), ['done', undefined, 'unknown', [null, 'unknown'], null])
  const red = new DeviceTriage({ classifier: saying([0.9, 0, 0]), thresholds })
  assert.deepEqual(found(await red.look([lost, photo('a')])), ['done', undefined, 'red', ['unknown', 'red'], null])
})

test('a model that fails leaves what the answers say, keeps what it saw, and says why', async () => {
  const fault = new Error('out of memory')
  const triage = new DeviceTriage({ classifier: saying([0.5, 0, 0], fault), thresholds })
  const said = await triage.look([photo('a'), photo('b'), photo('c')])
  assert.deepEqual(found(said), ['failed', 'model_failed', 'yellow', ['yellow'], null])
  assert.equal(said.error, fault)
  assert.ok(!JSON.stringify(said.record).includes('memory'))
  assert.deepEqual(triaged({ risk_level: 'green' }, said).risk_level, 'yellow')
  const none = await new DeviceTriage({ classifier: saying(fault), thresholds }).look([photo('a')])
  assert.deepEqual(triaged({ risk_level: 'green' }, none).risk_level, 'green')
  const odd = await look([0.5])
  assert.deepEqual(found(odd), ['failed', 'wrong_scores', null, [], null])
  const nothing = await new DeviceTriage({ classifier: saying(fault), thresholds }).look([])
  assert.deepEqual(found(nothing), ['no_photo', undefined, null, [], null])
})

test('a look that takes too long holds up nobody, and is told of when it comes', async () => {
  const clock = new TestClock()
  let answer: (scores: number[]) => void = () => {}
  const slow = { ...saying([]), scores: () => new Promise<number[]>((done) => (answer = done)) }
  const triage = new DeviceTriage({ classifier: slow, thresholds, clock, limitMs: 5000 })
  let said: Look | null = null
  void triage.look([photo('a')]).then((each) => (said = each))
  await clock.pass(4999)
  assert.equal(said, null)
  await clock.pass(1)
  assert.deepEqual(found(said!), ['late', 'took_too_long', null, [], null])
  answer([0.9, 0, 0])
  assert.deepEqual(found((await (said as unknown as Look).later)!), ['done', undefined, 'red', ['red'], 0.9])
})

// --- records

test('what a look found stands in the case, beside the answers', async () => {
  const database = openLoki()
  const { cases } = repositories(database)
  const answers = { patient_id: 'p1', risk_level: 'green', triage_data: { site: 'foot' }, image_keys: ['a'] } as const
  const made = await cases.create(triaged(answers, await look([0.81234, 0.2, 0])))
  assert.equal(made.risk_level, 'red')
  assert.deepEqual(made.triage_data, {
    site: 'foot',
    device_triage: {
      status: 'done',
      model: 'not-medical',
      model_version: '1',
      thresholds: 'test-1',
      risk: 'red',
      photos: [{ photo: 'a', scores: [['reddish', 0.8123], ['yellowish', 0.2]], risk: 'red', reached: ['reddish'] }],
    },
    model_score: 0.8123,
  }) // prettier-ignore
  assert.equal(await database.get('medgemma_queue').query().fetchCount(), 1)
})

test('a case that is there already is raised, and keeps what was edited meanwhile', async () => {
  const database = openLoki()
  const { cases } = repositories(database)
  const { id } = await cases.create({ patient_id: 'p1', risk_level: 'yellow', triage_data: { site: 'foot' } })
  const said = await look([0.9, 0, 0])
  const edit = cases.update(id, { triage_data: { site: 'hand' } })
  const raised = await recordLook(cases, id, said)
  await edit
  assert.equal(raised.risk_level, 'red')
  assert.equal((raised.triage_data as { site: string }).site, 'hand')
  assert.equal(await database.get('medgemma_queue').query().fetchCount(), 1)
  const lower = await recordLook(cases, id, await look([0, 0, 0]))
  assert.equal(lower.risk_level, 'red')
})

test('a look that failed takes no better one away', async () => {
  const well = triaged({ risk_level: 'green', triage_data: null }, await look([0.9, 0, 0]))
  const failed = await new DeviceTriage({ classifier: saying(new Error()), thresholds }).look([photo('a')])
  assert.deepEqual(triaged(well, failed), well)
  const again = triaged(triaged({}, failed), await look([NaN, 0, 0]))
  assert.deepEqual([again.risk_level, again.triage_data['model_score']], ['unknown', undefined])
  const list = triaged({ triage_data: [{ question: 'fever', answer: 'no' }] }, failed)
  assert.deepEqual(list.triage_data['answers'], [{ question: 'fever', answer: 'no' }])
})

// --- TensorFlow.js

/** A model that tells red from yellow pictures. Not medical: it was not trained on anything. */
async function colours() {
  const model = layers.sequential({
    layers: [
      layers.layers.averagePooling2d({ poolSize: 4, inputShape: [8, 8, 3] }),
      layers.layers.flatten(),
      layers.layers.dense({ units: 3, activation: 'softmax' }),
    ],
  })
  // What red, green and blue of each of the four fields say for the three labels.
  const says = [[2, 1, 0], [-2, 1, 0], [-1, -2, 1]]
  core.tidy(() => model.layers[2]!.setWeights([core.tensor2d([says, says, says, says].flat()), core.zeros([3])]))
  let saved: Parameters<typeof core.io.fromMemory>[0] | null = null
  await model.save(
    core.io.withSaveHandler(async (artifacts) => {
      saved = artifacts
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } }
    }),
  )
  return { model, files: core.io.fromMemory(saved!) }
}

const speckled = (red: number, green: number, blue: number) =>
  picture(40, 30, (x, y) => [red, green, blue].map((value) => value + ((x * 7 + y * 3) % 10)))
const red = speckled(220, 20, 20)
const yellow = speckled(200, 200, 20)
const options = { name: 'not-medical', version: '1', labels: ['reddish', 'yellowish', 'other'], format: 'layers-model' } as const
const input: ModelInput = { width: 8, height: 8 }

test('a model of TensorFlow.js answers the same from its files, and its memory is freed', async () => {
  const { model, files } = await colours()
  const classifier = tensorFlowClassifier(tf, { ...options, input, files })
  const image = await tensorOf(red, input)
  const before = core.tidy(() => (model.predict(core.tensor(image.data, image.shape)) as { dataSync(): Float32Array }).dataSync())
  model.dispose()
  const empty = core.memory().numTensors
  await classifier.warmUp()
  const loaded = core.memory().numTensors
  assert.ok(loaded > empty)
  assert.deepEqual(Array.from(await classifier.scores(image)), [...before])
  const triage = new DeviceTriage({ classifier, thresholds })
  const first = await triage.look([photo('a', yellow), photo('b', red)])
  assert.deepEqual(found(first).slice(0, 4), ['done', undefined, 'red', ['unknown', 'red']])
  assert.ok(first.score! > 0.9)
  const again = tensorFlowClassifier(tf, { ...options, input, files })
  const second = await new DeviceTriage({ classifier: again, thresholds }).look([photo('a', yellow), photo('b', red)])
  assert.equal(JSON.stringify(second.record), JSON.stringify(first.record))
  await again.dispose()
  assert.equal(core.memory().numTensors, loaded)
  await classifier.dispose()
  assert.equal(core.memory().numTensors, empty)
  assert.equal((await triage.look([photo('b', red)])).record.risk, 'red') // loaded anew
  await classifier.dispose()
})

test('a model that could not be loaded is tried again, and one that fits not is refused', async () => {
  const { files } = await colours()
  let there = false
  const later = { load: async () => (there ? files.load!() : Promise.reject(new Error('not downloaded yet'))) }
  const classifier = tensorFlowClassifier(tf, { ...options, input, files: later })
  const triage = new DeviceTriage({ classifier, thresholds })
  assert.deepEqual(found(await triage.look([photo('b', red)])).slice(0, 2), ['failed', 'model_failed'])
  there = true
  assert.deepEqual(found(await triage.look([photo('b', red)])).slice(0, 2), ['done', undefined])
  const tensors = core.memory().numTensors
  const wide = tensorFlowClassifier(tf, { ...options, input: { width: 9, height: 9 }, files })
  assert.deepEqual(found(await new DeviceTriage({ classifier: wide, thresholds }).look([photo('b', red)])).slice(0, 2), ['failed', 'model_failed'])
  await wide.dispose()
  assert.equal(core.memory().numTensors, tensors)
  await assert.rejects(tensorFlowClassifier(tf, { ...options, format: 'graph-model', input, files }).warmUp(), /cannot load/)
  await classifier.dispose()
  await quiet()
})
