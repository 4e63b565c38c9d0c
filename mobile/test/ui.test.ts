import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import type { ReactElement } from 'react'
import { dark, light, pillOf } from '../src/ui/index.js'
import { ar, en, fr, hi, sw, type Words } from '../src/words/index.js'
import { everything, inCare, PILLS, quietly } from './screens.js'

const { renderToStaticMarkup } = createRequire(import.meta.url)('react-dom/server') as {
  renderToStaticMarkup(element: ReactElement): string
}

test('a pill shows first what only the user can mend', () => {
  for (const [state, status] of PILLS) assert.equal(pillOf({ ...quietly, retryAt: 1, ...status }, state === 'waits_for_network'), state)
})

test('there is no sentence that nothing says', () => {
  const said = new Set<string>()
  const words = new Proxy(en.words, { get: (all, name: keyof Words) => (said.add(name), all[name]) })
  for (const [, element] of everything()) renderToStaticMarkup(inCare(element, { ...en, words }))
  const silent = Object.keys(en.words).filter((name) => !said.has(name) && !name.startsWith('why_'))
  assert.deepEqual(silent, ['no', 'did_not_work']) // of a value, and after a fault
})

test('every component in every state has its words in every language, and its roles', ({ mock }) => {
  const warned = mock.method(console, 'error', () => {}) // React's, of keys and of tags within tags
  for (const language of [en, fr, sw, hi, ar])
    for (const [name, element] of everything()) {
      const html = renderToStaticMarkup(inCare(element, language))
      const said = html.replace(/<[^>]*>/g, '\n')
      const where = `${language.tag} ${name}`
      assert.doesNotMatch(said, /undefined|null|NaN|\{|[a-z]_[a-z]|Invalid|\[object/, where)
      assert.doesNotMatch(html, /aria-label=""|aria-label="[^"]*(undefined|\{)/, where)
      assert.doesNotMatch(said, /from.the.future|TypeError|Unreachable|502|for developers|newer server/, where)
      for (const [, button] of html.matchAll(/<button([^>]*)>/g)) assert.match(button!, /aria-label="[^"]+"/, where)
      assert.ok(html.includes(`dir="${language.rightToLeft ? 'rtl' : 'ltr'}"`), where)
      assert.ok(!html.includes('dir="auto"'), where)
      if (!/unknown|online/.test(name)) assert.match(said, /\p{L}/u, where)
      if (/^(banner|pill)/.test(name)) assert.match(html, /role="status"/, where)
      if (!/none/.test(name) && /^(refused|conflict|history|queue)/.test(name))
        assert.match(html, /<h2.*<ul[^>]*aria-label="[^"]+".*<li/, where)
    }
  assert.deepEqual(warned.mock.calls.map(({ arguments: words }) => words), [])
})

/** Contrast as WCAG 2 has it, of `#rrggbb`. */
function contrast(one: string, two: string): number {
  const light = (color: string) => {
    const [red, green, blue] = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16) / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)) // prettier-ignore
    return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!
  }
  const [low, high] = [light(one), light(two)].sort((a, b) => a - b)
  return (high! + 0.05) / (low! + 0.05)
}

test('both themes have the contrast that WCAG calls AA, and room for a thumb', () => {
  for (const theme of [light, dark]) {
    const pairs = [...Object.values(theme.tones).map(({ ink, ground }) => [ink, ground]), ...Object.values(theme.tones).map(({ ink }) => [ink, theme.card]),
      [theme.ink, theme.card], [theme.quiet, theme.card], [theme.onAccent, theme.accent], [theme.accent, theme.card]] // prettier-ignore
    for (const [ink, ground] of pairs) assert.ok(contrast(ink!, ground!) >= 4.5, `${ink} on ${ground}`)
    assert.ok(theme.touch >= 44)
  }
})
