/** One user's phone: the database, the kit on it, photos and the queue of analyses. Everything is put together here. */
import { Database, Q } from '@nozbe/watermelondb'
import lokijs from '@nozbe/watermelondb/adapters/lokijs/index.js'
import logger from '@nozbe/watermelondb/utils/common/logger'
import { CareKit, Store } from '@dermadetect/care-kit'
import { Connectivity, type NetInfo } from '@dermadetect/care-kit/connectivity'
import { contents, migrations, models, repositories, schema, type Diagnosis } from '@dermadetect/care-kit/dermadetect'
import { PhotoQueue } from '@dermadetect/care-kit/photos'
import { AnalysisQueue } from '@dermadetect/care-kit/queue'
import type { TokenStore } from '@dermadetect/care-kit/sync'
import { PhotoFolder } from './files'

/** WatermelonDB's modules are CommonJS: some bundlers hand over the whole module as its default. */
const unpacked = <T,>(given: T): T => (given as { default?: T }).default ?? given
const LokiJSAdapter = unpacked(lokijs)

unpacked(logger).silence()

/** The app's files and the server have one address: `serve.mjs`, or the clinic's proxy. */
const url = location.origin

/** All that a phone may keep of photos that wait. */
const BUDGET_BYTES = 300_000_000

/** A phone of one user. */
export type Phone = Awaited<ReturnType<typeof openPhone>>

/** The user has the app open in another tab, which would overwrite what this one writes. */
export class OpenElsewhere extends Error {}

/** Opens the database of a user, and what works on it. Throws `OpenElsewhere`. */
export async function openPhone(user: string) {
  const release = await alone(`care/${user}`)
  const adapter = new LokiJSAdapter({
    schema,
    migrations,
    useWebWorker: false,
    useIncrementalIndexedDB: true,
    dbName: `care/${user}`,
  })
  const database = new Database({ adapter, modelClasses: models })
  const { patients, cases } = repositories(database)
  const files = new PhotoFolder(user)
  const full = new Store(false)

  /**
   * Resolves when all that was written is on the disk. LokiJS writes twice a second by itself: too late for an app that
   * says "saved" and is closed. If there is no room, `full` says so, and everything stays in memory, to be sent.
   */
  const flush = async (): Promise<boolean> => {
    const { loki } = adapter._driver as { loki: { saveDatabase(done: (fault?: unknown) => void): void } }
    const fault = await new Promise((done) => loki.saveDatabase(done))
    if (full.get() !== Boolean(fault)) full.set(Boolean(fault))
    return !fault
  }

  const kit = new CareKit({
    database, contents, url, version: '1.0.0', tokens: tokensOf(user),
    after: async () => {
      photos.trigger()
      await flush()
    },
  }) // prettier-ignore
  const connectivity = new Connectivity({ url, netInfo: browserNetwork })
  const photos = new PhotoQueue({
    database, server: kit.server, files, budgetBytes: BUDGET_BYTES, metered: connectivity.metered.get,
    risk: async ({ record_id }) => (await cases.find(record_id))?.risk_level ?? null,
    settled: async () => kit.executor.trigger('poke'), // the server's case names it now
  }) // prettier-ignore
  const queue = new AnalysisQueue({
    database, table: 'medgemma_queue', column: 'case_id', of: 'cases', look: () => kit.executor.trigger('timer'),
  }) // prettier-ignore

  /** Photos of cases that were never saved, or have left the phone; not those of a form that is still open. */
  const tidy = async () => {
    const known = [...(await cases.query().fetchIds()), ...Object.values(localStorage)].join(' ')
    for (const { record_id, key } of await photos.list()) if (!known.includes(record_id)) await forgetPhoto(record_id, key)
    for (const name of await files.names()) if (!known.includes(name.split('.')[0]!)) await files.remove(name)
  }
  const forgetPhoto = async (id: string, key: string) => {
    await photos.drop({ table: 'cases', record_id: id, key })
    await files.remove(key)
  }

  const start = async () => {
    await tidy().catch(() => full.set(true)) // without room there is not even a folder; all else goes on
    const ends = [
      connectivity.start(),
      queue.start(),
      photos.start({ online: connectivity.online, metered: connectivity.metered.subscribe }),
      kit.start({ online: connectivity.online, foreground: onForeground }),
    ]
    return () => ends.forEach((end) => end())
  }
  const close = async () => {
    await flush()
    release()
  }
  return { user, database, kit, patients, cases, files, photos, queue, connectivity, full, flush, forgetPhoto, start, close }
}

/** The signed diagnosis of a case that counts: the one that no other corrects. */
export async function diagnosisOf({ database }: Phone, id: string): Promise<Diagnosis | null> {
  const rows = await database.get<Diagnosis>('diagnoses').query(Q.where('case_id', id), Q.where('amended_by', null)).fetch()
  return rows.at(-1) ?? null
}

/** A browser has no keychain: what runs in this page can read the tokens. In React Native, take the platform's. */
function tokensOf(user: string): TokenStore {
  const key = `tokens/${user}`
  return {
    load: async () => JSON.parse(localStorage.getItem(key) ?? 'null'),
    save: async (tokens) => (tokens ? localStorage.setItem(key, JSON.stringify(tokens)) : localStorage.removeItem(key)),
  }
}

/** What netinfo says in React Native, from a browser. */
const browserNetwork: NetInfo = {
  addEventListener(listener) {
    const { connection } = navigator as { connection?: { saveData?: boolean; type?: string } }
    const tell = () =>
      listener({
        isConnected: navigator.onLine,
        details: { isConnectionExpensive: connection?.saveData === true || connection?.type === 'cellular' },
      })
    tell()
    addEventListener('online', tell)
    addEventListener('offline', tell)
    return () => (removeEventListener('online', tell), removeEventListener('offline', tell))
  },
}

const onForeground = (listener: () => void) => {
  const tell = () => document.visibilityState === 'visible' && listener()
  document.addEventListener('visibilitychange', tell)
  return () => document.removeEventListener('visibilitychange', tell)
}

/** Holds a name for this tab; the answer lets go of it. */
async function alone(name: string): Promise<() => void> {
  let release = () => {}
  await new Promise<void>((held, failed) => {
    void navigator.locks.request(name, { ifAvailable: true }, (lock) => {
      if (!lock) return failed(new OpenElsewhere(name))
      held()
      return new Promise<void>((done) => (release = done))
    })
  })
  return release
}
