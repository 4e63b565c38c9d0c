/** `npm run build`: the app as files in dist. The kit is taken from the folder above, as its package has it. */
import { createHash } from 'node:crypto'
import { cp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { build } from 'esbuild'

await rm('dist', { recursive: true, force: true })
await cp('public', 'dist', { recursive: true })
const kit = new URL('../src', import.meta.url).pathname
await build({
  entryPoints: ['src/index.tsx'],
  outfile: 'dist/app.js',
  bundle: true,
  minify: true,
  sourcemap: true,
  target: 'es2022',
  jsx: 'automatic',
  define: { 'process.env.NODE_ENV': '"production"', global: 'globalThis' },
  alias: {
    '@dermadetect/care-kit': kit,
    // One of each, also where the folder above has its own.
    '@nozbe/watermelondb': './node_modules/@nozbe/watermelondb',
    react: './node_modules/react',
    'react-native': './node_modules/react-native-web',
  },
  tsconfigRaw: {},
  logLevel: 'warning',
})

// The service worker knows the files by name, and their version by what is in them.
const files = (await readdir('dist')).filter((name) => name !== 'sw.js' && !name.endsWith('.map'))
const version = createHash('sha256')
for (const name of files) version.update(await readFile(`dist/${name}`))
const worker = await readFile('dist/sw.js', 'utf8')
const said = { VERSION: version.digest('hex').slice(0, 16), FILES: ['./', ...files] }
await writeFile('dist/sw.js', `const { VERSION, FILES } = ${JSON.stringify(said)}\n${worker}`)
