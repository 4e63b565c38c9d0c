/** Components for React Native and react-native-web: what a sync does, in the user's words. */
export { QueueList, SyncHistory } from './lists.js'
export { CareProvider, useCare, type Care } from './parts.js'
export { ConflictView, RefusedRecords } from './records.js'
export { OfflineBanner, pillOf, RetryButton, StatusPill, type HasReach, type PillState } from './status.js'
export { dark, light, type Theme, type Tone } from './theme.js'
