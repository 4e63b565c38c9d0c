// A small app in TypeScript, as strict as it gets: the batch dialect, and the types that an app meets.
import { Database } from '@nozbe/watermelondb'
import type { Outcome } from '@dermadetect/care-kit/sync'
import { BatchPhone, Server, Session, storageOf, tokensInMemory, type BatchStore } from '@dermadetect/care-kit/batch'
import { contents, type Drafts } from '@dermadetect/care-kit/dermadetect/columns'
import { models, repositories, schema, type Case } from '@dermadetect/care-kit/dermadetect'
import { PhotoQueue } from '@dermadetect/care-kit/photos'

const disk = new Map<string, unknown>()
const store: BatchStore = {
  read: async (key) => disk.get(key),
  list: async (prefix) => [...disk].filter(([key]) => key.startsWith(prefix)),
  write: async (values) => {
    for (const [key, value] of Object.entries(values)) value === null ? disk.delete(key) : disk.set(key, value)
  },
}
const where = { url: 'http://127.0.0.1:9', version: '1.0.0' }
const server = new Server({ ...where, session: new Session({ ...where, tokens: tokensInMemory() }) })
const files = { size: async () => 0, read: async () => new Uint8Array(0) }
const photos = new PhotoQueue({ database: storageOf(store), server, files, risk: async () => null })
const phone = new BatchPhone<Drafts>({ store, contents, server, photos })
await phone.save('cases', 'c1', { patient_id: 'p1', risk_level: 'red', triage_data: { site: 'foot' } })
// @ts-expect-error: no such colour
await phone.save('cases', 'c1', { risk_level: 'blue' })
const outcome: Outcome = await phone.sync()
console.log(outcome.next, await phone.unsent(), models.length, schema.version)

export async function ofRed(database: Database): Promise<Case[]> {
  const { cases } = repositories(database)
  // @ts-expect-error: only the server says this
  await cases.create({ patient_id: 'p1', status: 'DIAGNOSED' })
  return cases.query().fetch()
}
