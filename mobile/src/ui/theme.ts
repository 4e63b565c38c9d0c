/** What a sign is about: its ink on its ground. */
export type Tone = 'good' | 'busy' | 'wait' | 'bad' | 'quiet'

/** Colours and measures. Plain values: an app changes some with `{ ...light, accent: '#7a1f5c', onAccent: '#ffffff' }`. */
export interface Theme {
  /** Text, and text that matters less; on `card` both have the contrast that WCAG calls AA. */
  readonly ink: string
  readonly quiet: string
  readonly card: string
  readonly line: string
  /** Buttons, and what is marked. */
  readonly accent: string
  readonly onAccent: string
  readonly tones: Readonly<Record<Tone, { readonly ink: string; readonly ground: string }>>
  readonly radius: number
  readonly gap: number
  /** The least side of what is touched: 44 is what WCAG and Apple ask for. */
  readonly touch: number
  readonly text: number
  readonly small: number
  readonly title: number
}

const measures = { radius: 10, gap: 12, touch: 48, text: 16, small: 14, title: 20 }

/** For light rooms. */
export const light: Theme = {
  ...measures,
  ink: '#16212a',
  quiet: '#53626d',
  card: '#ffffff',
  line: '#d5dcdf',
  accent: '#0b6464',
  onAccent: '#ffffff',
  tones: {
    good: { ink: '#1d6b34', ground: '#e3f4e7' },
    busy: { ink: '#1c4f9c', ground: '#e6eefb' },
    wait: { ink: '#7a5300', ground: '#fdf1d3' },
    bad: { ink: '#b3261e', ground: '#fdeae8' },
    quiet: { ink: '#53626d', ground: '#e9edef' },
  },
}

/** For dark rooms. */
export const dark: Theme = {
  ...measures,
  ink: '#e8eef1',
  quiet: '#a3b3bc',
  card: '#182227',
  line: '#33424a',
  accent: '#63c7c2',
  onAccent: '#06211f',
  tones: {
    good: { ink: '#86d69b', ground: '#17351f' },
    busy: { ink: '#9cc0ff', ground: '#1a2c47' },
    wait: { ink: '#f3c969', ground: '#3b2f12' },
    bad: { ink: '#ff9a90', ground: '#44201d' },
    quiet: { ink: '#a3b3bc', ground: '#26333a' },
  },
}
