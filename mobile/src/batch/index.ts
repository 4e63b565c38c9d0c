/** The sync of apps without WatermelonDB: one request pushes and pulls, on any store that the app has. */
export { BatchPhone, type BatchOptions, type Notice, type RefusedEdit, type Tickets } from './phone.js'
export { storageOf, type BatchStore } from './store.js'
export { advice, isFull, LoggedOut, OtherServer, OutOfTime, Refused, Unreachable, type Next, type Outcome } from '../sync/errors.js'
export { Server, type Asked, type ServerOptions } from '../sync/server.js'
export { Session, tokensInMemory, type SessionOptions, type Tokens, type TokenStore } from '../sync/session.js'
