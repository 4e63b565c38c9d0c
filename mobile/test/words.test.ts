import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { ar, en, fr, hi, speechOf, sw, whyOf, type Language, type Plural } from '../src/words/index.js'

const LANGUAGES = [en, fr, sw, hi, ar]
const holes = (text: string) => (text.match(/\{\w+\}/g) ?? []).sort()

test('every language says everything, with the same things put in', () => {
  for (const { tag, words } of LANGUAGES) {
    assert.deepEqual(Object.keys(words).sort(), Object.keys(en.words).sort(), tag)
    for (const [name, said] of Object.entries(words)) {
      if (typeof said !== 'string') continue
      assert.ok(said.trim(), `${tag} ${name}`)
      assert.deepEqual(holes(said), holes(en.words[name as 'offline']), `${tag} ${name}`)
      if (tag !== 'en') assert.notEqual(said, en.words[name as 'offline'], `${tag} ${name}`)
    }
  }
})

test('numbers have the form that the language asks for, also without Intl', () => {
  for (const { tag, plural, words } of LANGUAGES) {
    const rules = new Intl.PluralRules(tag)
    for (let n = 0; n < 1200; n++) assert.equal(plural!(n), rules.select(n), `${tag} ${n}`)
    const forms = new Set(rules.resolvedOptions().pluralCategories)
    for (const name of ['waiting', 'attention', 'attempts'] as const)
      for (const form of forms) // French has `many` for millions
        if (form !== 'many' || tag === 'ar') assert.ok(words[name][form], `${tag} ${name} ${form}`)
  }
})

test('a language of the app has the forms of Intl where they are, and one for all where they are not', (context) => {
  const other: Plural = { one: '{n} zapis', few: '{n} zapisy', many: '{n} zapisow', other: '{n} zapisu' }
  const polish: Language = { tag: 'pl', rightToLeft: false, words: { ...en.words, waiting: other } }
  assert.deepEqual([1, 2, 5].map((n) => speechOf(polish).count('waiting', n)), ['1 zapis', '2 zapisy', '5 zapisow'])
  context.mock.method(Intl, 'PluralRules', () => {
    throw new TypeError('not in this engine')
  })
  assert.equal(speechOf(polish).count('waiting', 5), '5 zapisu')
  assert.equal(speechOf(fr).count('waiting', 1), '1 fiche attend d’être envoyée.')
})

test('times are as the language writes them, and plain where the engine does not know it', () => {
  const at = new Date(2027, 0, 15, 9, 5).getTime()
  assert.match(speechOf(fr).when(at), /15 janv\. 2027.*09:05/)
  const nobody = speechOf({ ...en, tag: 'not a language' })
  assert.deepEqual([nobody.when(at), nobody.clock(at), nobody.number(1234)], ['2027-01-15 09:05', '09:05', '1234'])
  assert.equal(speechOf(en).when(NaN), '–')
})

test('the app has its own names for tables, fields and values', () => {
  const { table, field, value } = speechOf(en, { cases: 'Case', risk_level: 'Risk', 'patients.name': 'Full name', 'risk_level=red': 'Red' })
  assert.deepEqual([table('cases'), table('visits')], ['Case', 'Record'])
  assert.deepEqual(['risk_level', 'body_site'].map((each) => field('cases', each)), ['Risk', 'Body site'])
  assert.equal(field('patients', 'name'), 'Full name')
  const values = [value('risk_level', 'red'), value('x', ''), value('x', true), value('x', ['a', 1]), value('x', { risk_level: 'red' })]
  assert.deepEqual(values, ['Red', '(empty)', 'Yes', 'a · 1', 'Risk: Red'])
})

/** What the server says it can answer: `CARE_OPENAPI` names the file; in the repository it is at hand. */
const described = process.env['CARE_OPENAPI'] ?? '../infra/openapi.json'

test('every code that a phone can be answered has its sentence', { skip: !existsSync(described) }, () => {
  const { paths, components } = JSON.parse(readFileSync(described, 'utf8')) as Record<string, Record<string, object>>
  const found = new Set<string>()
  const gather = (part: unknown): void => {
    if (typeof part !== 'object' || part === null) return
    const { code } = ((part as { properties?: object }).properties ?? {}) as { code?: { enum?: string[] } }
    for (const each of code?.enum ?? []) found.add(each)
    for (const each of Object.values(part)) gather(each)
  }
  const routes = /^\/api(\/v1)?\/(sync|files(?!\/links)|devices|inbox|auth\/(login|refresh|logout|me)$)/
  for (const [path, route] of Object.entries(paths!)) if (routes.test(path)) gather(route)
  const schemas = components!['schemas'] as Record<string, unknown>
  for (const name of ['WatermelonRejection', 'RefusalOfFile']) gather(schemas[name])
  assert.ok(found.size > 60, `${found.size} codes`)
  for (const code of found) assert.notEqual(whyOf(code), 'other', code)
  assert.deepEqual(['', 'from_the_future', '503', '418'].map(whyOf), ['other', 'other', 'busy', 'other'])
})
