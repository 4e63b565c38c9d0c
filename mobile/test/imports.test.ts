import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { test } from 'node:test'

const source = join(dirname(fileURLToPath(import.meta.url)), '..', 'src')

/** What a compiled module imports; types are gone. */
const imports = (file: string): string[] =>
  [...readFileSync(file, 'utf8').matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map(([, name]) => name!)

/** What an app gets that imports this one: files of the kit, and other packages. */
function closure(entry: string, found = new Set<string>()): Set<string> {
  if (found.has(entry)) return found
  found.add(entry)
  for (const name of imports(join(source, entry)))
    if (name.startsWith('.')) closure(relative(source, join(source, dirname(entry), name)), found)
    else found.add(name)
  return found
}

const all = (readdirSync(source, { recursive: true }) as string[]).filter((name) => name.endsWith('.js'))

/** The parts that need more than WatermelonDB, or less. */
const NEEDS: Record<string, string[]> = { react: ['react'], ui: ['react', 'react-native'], words: [] }

test('no module needs anything native, and only hooks and components need React', () => {
  for (const file of all)
    for (const name of imports(join(source, file)).filter((each) => !each.startsWith('.'))) {
      const allowed = NEEDS[file.split('/')[0]!] ?? ['@nozbe/watermelondb']
      assert.ok(allowed.some((each) => name === each || name.startsWith(`${each}/`)), `${file} imports ${name}`)
      assert.ok(name === 'react-native' || !/adapters|native|decorators/.test(name), `${file} imports ${name}`)
    }
})

test('an app carries only the parts that it imports', () => {
  const parts = (entry: string) => [...closure(entry)].map((name) => name.split('/')[0]!)
  assert.deepEqual([...closure('connectivity/index.js')].sort(), ['connectivity/index.js', 'ports.js'])
  const triage = ['index', 'pixels', 'risk', 'tensorflow', 'triage'].map((name) => `triage/${name}.js`)
  assert.deepEqual([...closure('triage/index.js')].sort(), ['ports.js', ...triage])
  assert.deepEqual([...closure('react/index.js')].sort(), ['react', 'react/index.js'])
  for (const entry of ['index.js', 'sync/index.js', 'photos/index.js', 'records/index.js', 'queue/index.js'])
    for (const other of ['react', 'react-native', 'ui', 'words', 'connectivity', 'generated', 'dermadetect.js'])
      assert.ok(!parts(entry).includes(other), `${entry} carries ${other}`)
  // Components read the kit's stores: they carry none of its parts, nor the languages that the app does not name.
  assert.deepEqual([...new Set(parts('ui/index.js'))].sort(), ['ports.js', 'react', 'react-native', 'ui', 'words'])
  assert.deepEqual([...closure('ui/index.js')].filter((name) => name.startsWith('words')).sort(), ['words/codes.js', 'words/en.js', 'words/speech.js'])
  assert.ok(!parts('sync/index.js').includes('photos'))
  for (const entry of ['batch/index.js', 'photos/index.js', 'generated/dermadetect-columns.js'])
    assert.ok(!parts(entry).includes('@nozbe'), `${entry} carries WatermelonDB`)
  assert.ok(!parts('dermadetect.js').includes('sync'))
})

test('an app without React Native\'s types can use the types of the components', () => {
  const types = (readdirSync(source, { recursive: true }) as string[]).filter((name) => name.endsWith('.d.ts'))
  assert.ok(types.includes('ui/index.d.ts'))
  for (const file of types) assert.ok(!readFileSync(join(source, file), 'utf8').includes("'react-native'"), file)
})

test('the README says how large the kit is, and that it has no dependencies', () => {
  const home = join(source, '..', '..')
  const [, said] = /are (\d+) kB of JavaScript, gzipped/.exec(readFileSync(join(home, 'README.md'), 'utf8'))!
  const size = gzipSync(all.map((file) => readFileSync(join(source, file), 'utf8')).join('\n')).length / 1000
  assert.ok(Math.abs(size - Number(said)) < 0.1 * size, `${size} kB`)
  const { dependencies = {}, peerDependencies, peerDependenciesMeta } = JSON.parse(
    readFileSync(join(home, 'package.json'), 'utf8'),
  ) as Record<string, Record<string, unknown>>
  assert.deepEqual(dependencies, {})
  assert.deepEqual(Object.keys(peerDependenciesMeta!), Object.keys(peerDependencies!)) // each may be absent
})

test('what the README imports of the kit is there', async () => {
  const { exports: entries } = JSON.parse(readFileSync('package.json', 'utf8')) as { exports: Record<string, { default: string }> }
  const lines = readFileSync('README.md', 'utf8').matchAll(/import \{([^}]*)\} from '@dermadetect\/care-kit([^']*)'/g)
  let seen = 0
  for (const [, names, entry] of lines) {
    const file = entries[`.${entry}`]!.default.replace('./dist', '..')
    const found = (await import(file)) as object
    for (const name of names!.split(',').map((each) => each.trim()).filter(Boolean)) {
      assert.ok(name in found, `${name} of ${entry}`)
      seen += 1
    }
  }
  assert.ok(seen > 20, `${seen} names`)
})
