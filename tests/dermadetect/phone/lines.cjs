// A phone under test is driven over standard input: one JSON command a line, one JSON answer a line.
'use strict'
const { createHash } = require('node:crypto')
const { createInterface } = require('node:readline')
const { gzipSync } = require('node:zlib')
const { contents } = require('../../../infra/schema.js')

const settings = {
  url: '',
  token: '',
  fresh: '', // what a refresh brings
  device: 'phone',
  clockOffset: 0, // ms
  gzip: true,
  loseAnswers: 0, // so many pushes reach the server, and their answers are lost
  cutPulls: 0, // so many answers to pulls end in the middle
  skipPulls: 0, // so many pulls are answered from before others wrote
  turbo: false,
  wrongHashes: 0, // so many photos get the hash of others
}

const shown = [] // what the user was shown

const logged = [] // what the developer reads
const log = (...words) => {
  // what these phones' own database in memory says at its start
  if (!String(words[0]).includes('useIncrementalIndexedDB')) logged.push(words.map(String).join(' '))
}
Object.assign(console, { warn: log, error: log })

const now = () => Date.now() + settings.clockOffset

/** What the guide's code wants from an app, with a network that fails as told. */
const app = {
  get url() {
    return settings.url
  },
  get turbo() {
    return settings.turbo
  },
  version: '1.4.0',
  contents,
  now,
  token: async () => settings.token,
  refreshToken: async () => {
    settings.token = settings.fresh || settings.token
  },
  gzip: (text) => (settings.gzip ? gzipSync(text) : text),
  sha256: (text) => createHash('sha256').update(text, 'utf8').digest('hex'),
  show: async (notice) => shown.push(notice),
  fetch: async (url, init) => {
    if (!settings.gzip) delete init.headers['Content-Encoding']
    const pull = init.method === 'GET' && url.includes('/sync?')
    if (pull && settings.skipPulls > 0) {
      settings.skipPulls -= 1
      const timestamp = Number(new URL(url).searchParams.get('last_pulled_at'))
      return new Response(JSON.stringify({ changes: {}, timestamp }))
    }
    const response = await fetch(url, init)
    if (!pull && settings.loseAnswers > 0) {
      settings.loseAnswers -= 1
      throw new Error('the answer was lost')
    }
    if (!pull || settings.cutPulls <= 0) return response
    settings.cutPulls -= 1
    const text = await response.text()
    return new Response(text.slice(0, text.length / 2), { status: response.status })
  },
}

async function serve(given) {
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

module.exports = { app, logged, now, serve, settings, shown }
