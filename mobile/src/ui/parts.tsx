/** What the components are made of. Roles and labels are `role` and `aria-…`: React Native and browsers know both. */
import { createContext, useContext, useMemo, type ReactNode } from 'react'
import { ActivityIndicator, Pressable, Text, View } from 'react-native'
import { en } from '../words/en.js'
import type { Language } from '../words/language.js'
import { speechOf, type Names, type Speech } from '../words/speech.js'
import { light, type Theme, type Tone } from './theme.js'

/** How the components below look and speak. */
export interface Care {
  readonly theme: Theme
  readonly speech: Speech
}

const Context = /* @__PURE__ */ createContext<Care>(/* @__PURE__ */ careOf(en, light, {}))

function careOf(language: Language, theme: Theme, names: Names): Care {
  return { theme, speech: speechOf(language, names) }
}

const NO_NAMES: Names = {}

/** Gives the components below a language, a theme and the app's names. Give `names` as a constant. Without it: English. */
export function CareProvider({ language = en, theme = light, names = NO_NAMES, children }: {
  readonly language?: Language
  readonly theme?: Theme
  readonly names?: Names
  readonly children?: ReactNode
}) { // prettier-ignore
  const care = useMemo(() => careOf(language, theme, names), [language, theme, names])
  return <Context.Provider value={care}>{children}</Context.Provider>
}

/** Theme and words, for components of the app that go with these. */
export const useCare = (): Care => useContext(Context)

/** A box in the direction of the language: browsers read `dir`, React Native the style. */
export function Box({ row = false, style, children, ...more }: {
  readonly row?: boolean
  readonly style?: Style
  readonly role?: 'alert' | 'list' | 'listitem' | 'radiogroup' | 'status'
  readonly accessible?: boolean
  readonly 'aria-label'?: string
  readonly 'aria-live'?: 'polite'
  readonly children?: ReactNode
}) { // prettier-ignore
  const { theme, speech } = useCare()
  const lines: Style = row ? { flexDirection: 'row', flexWrap: 'wrap', alignItems: 'center' } : {}
  return (
    <View {...more} {...useDirection()} style={{ direction: wayOf(speech), gap: theme.gap / 2, ...lines, ...style }}>
      {children}
    </View>
  )
}

/** A style of React Native. */
export type Style = Readonly<Record<string, string | number | undefined>>

const wayOf = ({ language }: Speech) => (language.rightToLeft ? 'rtl' : 'ltr')

/** For browsers; React Native does not know these, and leaves them alone. */
function useDirection(): object {
  const { speech } = useCare()
  return { dir: wayOf(speech), lang: speech.language.tag }
}

/** Text. */
export function Say({ children, size = 'text', color, bold = false, style, ...more }: {
  readonly children?: ReactNode
  readonly size?: 'text' | 'small' | 'title'
  readonly color?: string
  readonly bold?: boolean
  readonly style?: Style
  readonly role?: 'heading'
  readonly 'aria-hidden'?: boolean
}) { // prettier-ignore
  const { theme, speech } = useCare()
  const look = { color: color ?? theme.ink, fontSize: theme[size], fontWeight: bold ? '600' : '400' }
  return (
    <Text {...more} {...useDirection()} style={{ writingDirection: wayOf(speech), ...look, ...style }}>
      {children}
    </Text>
  )
}

/** The title of a list. */
export function Title({ children }: { readonly children: string }) {
  return (
    <Say role="heading" size="title" bold {...{ 'aria-level': 2 }}>
      {children}
    </Say>
  )
}

/** Words on a ground, with a sign of their own: colour is never the only one. */
export function Sign({ tone, sign, children }: { readonly tone: Tone; readonly sign: string; readonly children: string }) {
  const { theme } = useCare()
  const { ink, ground } = theme.tones[tone]
  return (
    <Box row style={{ backgroundColor: ground, flexWrap: 'nowrap', ...PILL }}>
      <Say aria-hidden bold color={ink} size="small">
        {sign}
      </Say>
      <Say bold color={ink} size="small" style={{ flexShrink: 1 }}>
        {children}
      </Say>
    </Box>
  )
}

const PILL = { maxWidth: '100%', alignSelf: 'flex-start', borderRadius: 16, paddingHorizontal: 12, paddingVertical: 6 }

/** A button that is large enough for a thumb. While `busy` it says so. */
export function Button({ label, about, onPress, busy = false, plain = false }: {
  readonly label: string
  /** What it is about, for those who hear and do not see the place of it. */
  readonly about?: string
  readonly onPress: () => void
  readonly busy?: boolean
  readonly plain?: boolean
}) { // prettier-ignore
  const { theme } = useCare()
  const color = plain ? theme.accent : theme.onAccent
  return (
    <Pressable
      role="button"
      aria-busy={busy}
      aria-label={about ? `${label}: ${about}` : label}
      onPress={onPress}
      style={({ pressed }) => ({
        ...PRESSED,
        minHeight: theme.touch,
        minWidth: theme.touch,
        borderRadius: theme.radius,
        borderColor: theme.accent,
        backgroundColor: plain ? 'transparent' : theme.accent,
        opacity: pressed ? 0.7 : 1,
      })}
    >
      {busy && <ActivityIndicator aria-hidden color={color} size="small" />}
      <Say bold color={color}>
        {label}
      </Say>
    </Pressable>
  )
}

const PRESSED: Style = {
  flexDirection: 'row',
  gap: 8,
  alignItems: 'center',
  justifyContent: 'center',
  paddingHorizontal: 16,
  paddingVertical: 8,
  borderWidth: 1,
}

/** So many entries are drawn: the rest is counted, so that a thousand of them do not stop a phone. */
const MOST = 50

/** A titled list of cards, the first fifty of it. */
export function Cards<T>({ title, none, entries, most = MOST, of }: {
  readonly title: string
  readonly none: string
  readonly entries: readonly T[]
  readonly most?: number
  /** The card of an entry; it must have a `key`. */
  readonly of: (entry: T, place: number) => ReactNode
}) { // prettier-ignore
  const { theme, speech } = useCare()
  return (
    <Box style={{ gap: theme.gap }}>
      <Title>{title}</Title>
      {entries.length === 0 && <Say color={theme.quiet}>{none}</Say>}
      {entries.length > 0 && (
        <Box role="list" aria-label={title} style={{ gap: theme.gap }}>
          {entries.slice(0, most).map(of)}
        </Box>
      )}
      {entries.length > most && <Say color={theme.quiet}>{speech.count('more', entries.length - most)}</Say>}
    </Box>
  )
}

/** One entry of a list. */
export function Card({ children }: { readonly children?: ReactNode }) {
  const { theme } = useCare()
  const edge = { borderWidth: 1, borderColor: theme.line, borderRadius: theme.radius }
  return (
    <Box role="listitem" style={{ ...edge, backgroundColor: theme.card, padding: theme.gap }}>
      {children}
    </Box>
  )
}
