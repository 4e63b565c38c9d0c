/**
 * `npm start`: the app's files, and behind the same address the back end, as a clinic's proxy would have both. So a
 * browser asks nobody else, and the back end needs to let in no other origin.
 *
 *     SERVER=http://127.0.0.1:8080 PORT=5173 npm start
 */
import { readFile } from 'node:fs/promises'
import { createServer, request } from 'node:http'
import { extname, join, normalize } from 'node:path'

const { SERVER = 'http://127.0.0.1:8080', PORT = '5173' } = process.env
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.map': 'application/json',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.webmanifest': 'application/manifest+json',
}

/** Passes a request on, both ways as it comes. A side that breaks off breaks off the other. */
function pass(asked, answer) {
  const onward = request(new URL(asked.url, SERVER), { method: asked.method, headers: asked.headers }, (said) => {
    answer.writeHead(said.statusCode, said.headers)
    said.on('error', () => answer.destroy()).pipe(answer)
  })
  onward.on('error', () => (answer.headersSent ? answer.destroy() : answer.writeHead(502).end()))
  answer.on('close', () => onward.destroy())
  asked.pipe(onward)
}

const server = createServer(async (asked, answer) => {
  const path = new URL(asked.url, 'http://app').pathname
  if (path === '/health' || path.startsWith('/api/')) return pass(asked, answer)
  const file = path === '/' ? 'index.html' : normalize(decodeURIComponent(path)).slice(1)
  try {
    const content = await readFile(join(import.meta.dirname, 'dist', file))
    const type = TYPES[extname(file)] ?? 'application/octet-stream'
    answer.writeHead(200, { 'Content-Type': type, 'Cache-Control': 'no-cache' }).end(content)
  } catch {
    answer.writeHead(404).end()
  }
})
server.listen(Number(PORT), '127.0.0.1', () => console.log(`http://localhost:${server.address().port}`))
