/** The phone's half of an offline-first care system. An app begins with `CareKit` and its product's module. */
export { CareKit, type KitOptions } from './kit.js'
export { History, type Attempt } from './history.js'
export { telemetryOf, type Counts, type Telemetry, type TelemetryOptions } from './telemetry.js'
export { Sha256Stream, sha256 } from './sha256.js'
export * from './ports.js'
