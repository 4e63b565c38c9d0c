// A phone under test is driven over standard input: one JSON command a line, one JSON answer a line.
import { createInterface } from 'node:readline'
import { gzipSync } from 'node:zlib'

export const settings = {
  url: '',
  token: '',
  fresh: '', // whether the token can be renewed
  device: 'phone',
  clockOffset: 0, // ms
  gzip: true,
  airplane: 0, // no network at all
  loseAnswers: 0, // so many pushes reach the server, and their answers are lost
  cutPulls: 0, // so many answers to pulls end in the middle
  skipPulls: 0, // so many pulls are answered from before others wrote
  turbo: false,
  wrongHashes: {}, // file → so many times it gets the hash of another one
}

const logged = [] // what the developer reads
const log = (...words) => {
  // what these phones' own database in memory says at its start
  if (!String(words[0]).includes('useIncrementalIndexedDB')) logged.push(words.map(String).join(' '))
}
Object.assign(console, { warn: log, error: log, log: () => {} }) // standard output belongs to the answers

export const now = () => settings.frozenAt ?? Date.now() + settings.clockOffset

// Where the kit believes the server to be: a test moves the phone to other networks.
export const KIT_URL = 'http://care.example'

/** What every kit of a phone is given. */
export const shared = {
  url: KIT_URL,
  version: '1.4.0',
  gzip: (text) => (settings.gzip ? gzipSync(text) : text),
}

/** The tokens that a phone starts with. */
export const tokensNow = () => ({ access: settings.access || settings.token, refresh: settings.refresh || settings.fresh })

/** A network that fails as told. */
export async function send(url, init) {
  if (settings.airplane) throw new TypeError('fetch failed')
  if (!settings.gzip) delete init.headers['Content-Encoding']
  const pull = init.method === 'GET' && url.includes('/sync?')
  if (pull && settings.skipPulls > 0) {
    settings.skipPulls -= 1
    const timestamp = Number(new URL(url).searchParams.get('last_pulled_at'))
    return new Response(JSON.stringify({ changes: {}, timestamp }))
  }
  const response = await fetch(url.replace(KIT_URL, settings.url), init)
  if (!pull && settings.loseAnswers > 0) {
    settings.loseAnswers -= 1
    throw new Error('the answer was lost')
  }
  if (!pull || settings.cutPulls <= 0) return response
  settings.cutPulls -= 1
  const text = await response.text()
  return new Response(text.slice(0, text.length / 2), { status: response.status })
}

/** An outcome as JSON. */
export const said = ({ next, seconds, error }) => ({ next, seconds, code: error?.code, error: error && String(error.stack) })

/** Answers commands until standard input ends. */
export async function serve(given) {
  const operations = { ...given, logged: async () => logged.splice(0) }
  for await (const line of createInterface({ input: process.stdin })) {
    const { op, ...values } = JSON.parse(line)
    let answer
    try {
      const value = op === 'settings' ? void Object.assign(settings, values) : await operations[op](values)
      answer = { ok: true, value: value ?? null }
    } catch (error) {
      answer = { ok: false, error: String(error.message || error) }
    }
    process.stdout.write(`@@${JSON.stringify(answer)}\n`)
  }
}
