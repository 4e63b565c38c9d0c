'use strict'

/** The server answered with an error. Decide by `status` and `code`; log `requestId`. */
class Refused extends Error {
  constructor(status, retryAfter, text) {
    let body = {}
    try {
      body = JSON.parse(text)
    } catch {} // a proxy's own page
    const said = body.error || {}
    super(`${status} ${said.code || ''} ${said.message || ''}`)
    this.status = status
    this.code = said.code || ''
    this.requestId = said.request_id || ''
    this.stale = (body.conflicts || []).map(({ id }) => id) // of a push that came too late
    this.retryAfterSeconds = Number(retryAfter) || 0
  }
}

/** No answer, or one that was cut short: nobody knows whether the server has the push. */
class Unreachable extends Error {}

const LONGEST_REQUEST_MS = 120_000

/** Rows of a page: at most, and at least. */
const [MOST_ROWS, LEAST_ROWS] = [500, 25]

/**
 * Sends one attempt; returns the text of the answer. `clock`: what X-Client-Time shall say. `range`: the
 * body is not JSON but these bytes of a photo, or absent to ask how far its upload is.
 */
async function request(app, path, clock, body, range) {
  const headers = {
    Authorization: `Bearer ${await app.token()}`,
    'X-Client-Time': String(clock),
    'X-App-Version': app.version,
  }
  const json = body !== undefined && !range
  if (json) headers['Content-Type'] = 'application/json'
  if (range) headers['Content-Range'] = range
  const zip = app.gzip && json && body.length > 1400
  if (zip) headers['Content-Encoding'] = 'gzip'
  const limit = new AbortController()
  const timer = setTimeout(() => limit.abort(), LONGEST_REQUEST_MS)
  let response, text
  try {
    response = await app.fetch(app.url + path, {
      method: range ? 'PUT' : json ? 'POST' : 'GET',
      headers,
      body: zip ? app.gzip(body) : body,
      signal: limit.signal,
    })
    text = await response.text()
  } catch (error) {
    throw new Unreachable(String(error))
  } finally {
    clearTimeout(timer)
  }
  const more = range && response.status === 308 // the upload goes on
  if (!response.ok && !more) throw new Refused(response.status, response.headers.get('Retry-After'), text)
  return text
}

/** An answer as a value. One that was cut short does not parse. What the server left out is logged. */
function parsed(text) {
  let answer
  try {
    answer = JSON.parse(text)
  } catch (error) {
    throw new Unreachable(String(error))
  }
  if (answer.ignored) console.warn('The server left out:', JSON.stringify(answer.ignored))
  return answer
}

/** Rows of the next page when one of `rows` did not come, or did. Null and undefined: the most. */
const fewer = (rows) => Math.max(LEAST_ROWS, Math.floor((rows || MOST_ROWS) / 2))
const more = (rows) => (rows && rows + LEAST_ROWS < MOST_ROWS ? rows + LEAST_ROWS : null)

/** What to do after a failed sync: {next, seconds, error}. `attempt` counts failures from 0. */
function advice(error, attempt) {
  const longest = Math.min(300, 2 * 2 ** attempt)
  const seconds = (error.retryAfterSeconds || 0) + Math.random() * longest
  if (error instanceof Unreachable) return { next: 'retry', seconds, error }
  if (!(error instanceof Refused)) return { next: 'report', error } // a fault of the app's own code
  if (error.status === 401) return { next: 'log_in', error }
  if (error.status === 426) return { next: 'update_app', error }
  const passes = [408, 409, 410, 413, 429].includes(error.status) || error.status >= 500
  return passes ? { next: 'retry', seconds, error } : { next: 'report', error }
}

module.exports = { MOST_ROWS, Refused, Unreachable, advice, fewer, more, parsed, request }
