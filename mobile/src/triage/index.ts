/** Triage on the phone: a model looks at the photos, and can raise what the answers say. */
export { tensorOf, Unreadable, type ImageTensor, type ModelInput, type Pixels } from './pixels.js'
export { moreUrgent, type Risk, type Score, type Thresholds } from './risk.js'
export {
  tensorFlowClassifier,
  type LoadedClassifier,
  type TensorFlow,
  type TensorFlowModel,
  type TensorFlowOptions,
  type TensorFlowTensor,
} from './tensorflow.js'
export {
  DeviceTriage,
  recordLook,
  triaged,
  type Classifier,
  type Look,
  type PhotoSeen,
  type PhotoToRead,
  type Triaged,
  type TriagedRecords,
  type TriageOptions,
  type TriageRecord,
} from './triage.js'
