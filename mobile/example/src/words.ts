/** The app's words. English stands where it is used; other languages look it up. */

/** A text in the user's language. `{name}` is replaced by what `values` has for it. */
export function t(text: string, values: Readonly<Record<string, string | number>> = {}): string {
  return text.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ''))
}

/** A word of the server's vocabularies, to be read. */
export const plain = (word: unknown): string => {
  const text = String(word ?? '').replaceAll('_', ' ')
  return text.charAt(0).toUpperCase() + text.slice(1)
}

/** A moment, by the phone's clock, as people say it. */
export const when = (ms: number): string =>
  new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' }).format(ms)
