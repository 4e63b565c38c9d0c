import type { Database } from '@nozbe/watermelondb'
import type { Clock, Random, Sha256 } from '../ports.js'
import type { Kinds } from '../records/row.js'
import type { Server } from './server.js'

/** What the parts of a sync share. */
export interface Phone {
  readonly database: Database
  /** Table → the columns that phones own; parents stand before children. */
  readonly contents: Readonly<Record<string, Kinds>>
  readonly server: Server
  readonly clock: Clock
  readonly random: Random
  readonly sha256: Sha256
  /** Whether the adapter can take a first answer unparsed. */
  readonly turbo: boolean
}

/** A row as it travels. */
export type WireRow = Record<string, unknown> & { id: string }

/** What changed in a table. */
export interface ChangeSet {
  created: WireRow[]
  updated: WireRow[]
  deleted: string[]
}

/** Table → what changed. */
export type Changes = Record<string, ChangeSet>

/** A record that the server did not take, as its answer names it. */
export interface Rejection {
  readonly table: string
  readonly id: string
  readonly field?: string | null
  readonly code: string
  readonly message: string
}

/** Tables that phones write; the others are the server's own. */
export function writable(contents: Phone['contents']): string[] {
  return Object.keys(contents).filter((table) => Object.keys(contents[table]!).length > 0)
}

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789'

/** An id for an installation. */
export const newDeviceId = (random: Random): string =>
  Array.from({ length: 16 }, () => ALPHABET[Math.floor(random() * ALPHABET.length)]).join('')

/** The id of this installation: made once, kept as long as the phone's data. */
export async function deviceId({ database, random }: Pick<Phone, 'database' | 'random'>): Promise<string> {
  const known = await database.localStorage.get<string>('device_id')
  if (known) return known
  const made = newDeviceId(random)
  await database.localStorage.set('device_id', made)
  return made
}
