/** Colours and measures: those of the console, light and dark. */
import { useColorScheme } from 'react-native'

const light = {
  ground: '#f4f6f7', card: '#ffffff', line: '#d5dcdf', ink: '#16212a', quiet: '#53626d',
  accent: '#0b6464', accentInk: '#ffffff', accentSoft: '#e0f0ef',
  red: '#b3261e', redSoft: '#fdeae8', yellow: '#7a5300', yellowSoft: '#fdf1d3',
  green: '#1d6b34', greenSoft: '#e3f4e7', blue: '#1c4f9c', blueSoft: '#e6eefb', greySoft: '#e9edef',
} // prettier-ignore

const dark: typeof light = {
  ground: '#10171b', card: '#182227', line: '#33424a', ink: '#e8eef1', quiet: '#a3b3bc',
  accent: '#63c7c2', accentInk: '#06211f', accentSoft: '#17373a',
  red: '#ff9a90', redSoft: '#44201d', yellow: '#f3c969', yellowSoft: '#3b2f12',
  green: '#86d69b', greenSoft: '#17351f', blue: '#9cc0ff', blueSoft: '#1a2c47', greySoft: '#26333a',
} // prettier-ignore

/** The colours of the scheme that the phone has. */
export const useTheme = () => (useColorScheme() === 'dark' ? dark : light)

/** What a tone says: of urgency, and of everything else that is good, bad, or waits. */
export type Tone = 'red' | 'yellow' | 'green' | 'blue' | 'grey'

/** Ink and ground of a tone. */
export function toneOf(theme: typeof light, tone: Tone) {
  if (tone === 'grey') return { color: theme.quiet, backgroundColor: theme.greySoft }
  return { color: theme[tone], backgroundColor: theme[`${tone}Soft`] }
}

/** Sizes of text, px: small, as read, a title of a card, of a screen. */
export const SIZE = { small: 14, text: 16, card: 17, screen: 24 }
