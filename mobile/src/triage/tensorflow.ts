import type { ModelInput } from './pixels.js'
import type { Classifier } from './triage.js'

/** What the kit uses of a tensor of TensorFlow.js. */
export interface TensorFlowTensor {
  data(): Promise<ArrayLike<number>>
  dispose(): void
}

/** What the kit uses of a model of TensorFlow.js. */
export interface TensorFlowModel<T> {
  predict(input: T): unknown
  dispose(): void
}

/** What the kit uses of TensorFlow.js: the app's own `tf`, with the backend that the app has set. */
export interface TensorFlow<T, Files> {
  ready(): Promise<void>
  tensor(values: Float32Array, shape: number[], dtype: 'float32'): T
  tidy(work: () => any): any // of tensors of its own, whose type would have to be imported
  loadLayersModel?(files: Files): Promise<TensorFlowModel<T>>
  loadGraphModel?(files: Files): Promise<TensorFlowModel<T>>
}

/** A model of TensorFlow.js, with the files that the app brings. */
export interface TensorFlowOptions<Files> {
  readonly name: string
  readonly version: string
  readonly labels: readonly string[]
  readonly input: ModelInput
  /** What `tf` loads it from: the address of its `model.json`, or a handler of `tf.io`. */
  readonly files: Files
  /** `format` of its `model.json`: `layers-model` or `graph-model`. */
  readonly format: 'layers-model' | 'graph-model'
}

/** A classifier that holds a model. */
export interface LoadedClassifier extends Classifier {
  /** Loads the model and runs it once, so that the first photo waits for neither. Throws as `scores` does. */
  warmUp(): Promise<void>
  /** Frees the model; it is loaded anew when it is wanted again. */
  dispose(): Promise<void>
}

/** Runs a model with TensorFlow.js. It is loaded with the first photo, or by `warmUp`; a load that failed is tried again. */
export function tensorFlowClassifier<T, Files>(
  tf: TensorFlow<T, Files>,
  { files, format, ...model }: TensorFlowOptions<Files>,
): LoadedClassifier {
  let loading: Promise<TensorFlowModel<T>> | null = null

  const load = async (): Promise<TensorFlowModel<T>> => {
    await tf.ready()
    const loaded = await (format === 'graph-model' ? tf.loadGraphModel?.(files) : tf.loadLayersModel?.(files))
    if (!loaded) throw new TypeError(`this tf cannot load a ${format}`)
    return loaded
  }
  const loaded = (): Promise<TensorFlowModel<T>> =>
    (loading ??= load().catch((error: unknown) => {
      loading = null
      throw error
    }))

  const classifier: LoadedClassifier = {
    ...model,
    async scores({ data, shape }) {
      const known = await loaded()
      const output: TensorFlowTensor = tf.tidy(() => {
        const said = known.predict(tf.tensor(data, shape, 'float32'))
        const [one, ...more] = Array.isArray(said) ? said : [said]
        if (more.length > 0 || typeof one?.data !== 'function') throw new TypeError('the model must have one output')
        return one
      })
      try {
        return await output.data()
      } finally {
        output.dispose()
      }
    },
    async warmUp() {
      const { width, height } = model.input
      await classifier.scores({ data: new Float32Array(width * height * 3), shape: [1, height, width, 3] })
    },
    async dispose() {
      const known = loading
      loading = null
      ;(await known?.catch(() => null))?.dispose()
    },
  }
  return classifier
}
