/** All tests in one process, which takes half the time: `node dist/test/all.js`. */
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const here = new URL('.', import.meta.url)
for (const file of readdirSync(fileURLToPath(here)).sort()) if (file.endsWith('.test.js')) await import(new URL(file, here).href)
