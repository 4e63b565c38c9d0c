/** The few parts that all screens are made of. */
import type { ReactNode } from 'react'
import { useEffect, useId, useState } from 'react'
import { Image, Pressable, ScrollView, Text, TextInput, View } from 'react-native'
import { usePhone } from './hooks'
import { SIZE, toneOf, useTheme, type Tone } from './theme'
import { t } from './words'

const FONT = 'system-ui, "Noto Sans", sans-serif'

/** Text. `level` makes it a heading. */
export function Words(props: { children: ReactNode; quiet?: boolean; bold?: boolean; size?: number; level?: 1 | 2 | 3; color?: string; id?: string }) {
  const theme = useTheme()
  const { quiet, bold, size = SIZE.text, level, color = quiet ? theme.quiet : theme.ink } = props
  const style = { fontFamily: FONT, fontSize: size, lineHeight: size * 1.45, color, fontWeight: bold || level ? '600' : '400' }
  const heading = level ? { role: 'heading', 'aria-level': level } : {}
  return <Text {...heading} {...(props.id ? { id: props.id } : {})} style={style}>{props.children}</Text> // prettier-ignore
}

/** What a screen holds, below its title. */
export function Screen({ title, back, action, children }: { title: string; back?: string; action?: ReactNode; children: ReactNode }) {
  useEffect(() => void (document.title = `${title} · DermaDetect`), [title])
  return (
    <ScrollView role="main" style={{ flex: 1 }} contentContainerStyle={{ padding: 16, paddingBottom: 32, gap: 12 }}>
      {back && <Go href={back}>‹ {t('Back')}</Go>}
      <View style={{ flexDirection: 'row', alignItems: 'center', justifyContent: 'space-between', gap: 12 }}>
        <View style={{ flexShrink: 1 }}>
          <Words level={1} size={SIZE.screen}>{title}</Words>
        </View>
        {action}
      </View>
      {children}
    </ScrollView>
  ) // prettier-ignore
}

/** A box. With `href` all of it is a link. */
export function Card({ children, href, tone, label }: { children: ReactNode; href?: string; tone?: Tone; label?: string }) {
  const theme = useTheme()
  const edge = tone ? { borderStartWidth: 4, borderStartColor: toneOf(theme, tone).color } : {}
  const box = { backgroundColor: theme.card, borderWidth: 1, borderColor: theme.line, borderRadius: 12, padding: 14, gap: 8, ...edge }
  const named = label ? { 'aria-label': label } : {}
  if (href) return <Pressable role="link" href={`#${href}`} style={box} {...named}>{children}</Pressable> // prettier-ignore
  return <View style={box} {...(label ? { role: 'group', ...named } : {})}>{children}</View> // prettier-ignore
}

/** A card with a heading. */
export function Section({ title, children }: { title: string; children: ReactNode }) {
  return (
    <Card>
      <Words level={2} size={SIZE.card}>{title}</Words>
      {children}
    </Card>
  ) // prettier-ignore
}

/** Things beside each other, or below if there is no room. */
export function Row({ children, apart }: { children: ReactNode; apart?: boolean }) {
  const justifyContent = apart ? 'space-between' : 'flex-start'
  return <View style={{ flexDirection: 'row', flexWrap: 'wrap', alignItems: 'center', gap: 8, justifyContent }}>{children}</View>
}

/** A small word on coloured ground. */
export function Chip({ tone, children }: { tone: Tone; children: ReactNode }) {
  const { color, backgroundColor } = toneOf(useTheme(), tone)
  return (
    <View style={{ backgroundColor, borderRadius: 99, paddingHorizontal: 10, paddingVertical: 2, alignSelf: 'flex-start' }}>
      <Words bold size={SIZE.small} color={color}>{children}</Words>
    </View>
  ) // prettier-ignore
}

/** A button; `main` is the one that a screen is for. With `href` it goes somewhere. */
export function Button(props: { children: string; onPress?: () => void; href?: string; main?: boolean; busy?: boolean }) {
  const theme = useTheme()
  const [ground, ink] = props.main ? [theme.accent, theme.accentInk] : [theme.card, theme.accent]
  const box = {
    backgroundColor: ground, borderColor: theme.accent, borderWidth: 1, borderRadius: 10, minHeight: 48,
    paddingHorizontal: 18, alignItems: 'center', justifyContent: 'center', opacity: props.busy ? 0.6 : 1,
  } // prettier-ignore
  const way = props.href ? { role: 'link', href: `#${props.href}` } : { role: 'button', disabled: props.busy ?? false }
  return (
    <Pressable style={box} {...way} {...(props.onPress ? { onPress: props.onPress } : {})}>
      <Words bold color={ink}>{props.children}</Words>
    </Pressable>
  ) // prettier-ignore
}

/** A link in a text's size, as large as a thumb. */
export function Go({ href, children }: { href: string; children: ReactNode }) {
  return (
    <Pressable role="link" href={`#${href}`} style={{ minHeight: 32, justifyContent: 'center', alignSelf: 'flex-start' }}>
      <Words bold color={useTheme().accent}>{children}</Words>
    </Pressable>
  ) // prettier-ignore
}

/** A line to fill in. */
export function Field(props: {
  label: string; value: string; onChange: (text: string) => void; onEnter?: () => void; secret?: boolean; long?: boolean
  mode?: 'text' | 'numeric' | 'decimal' | 'email' | 'search'; complete?: string
}) { // prettier-ignore
  const theme = useTheme()
  const id = useId()
  const box = {
    fontFamily: FONT, fontSize: SIZE.text, color: theme.ink, backgroundColor: theme.card, borderColor: theme.quiet,
    borderWidth: 1, borderRadius: 10, minHeight: props.long ? 88 : 48, paddingHorizontal: 12, paddingVertical: 10,
  } // prettier-ignore
  return (
    <View style={{ gap: 4 }}>
      <Words bold size={SIZE.small} id={id}>{props.label}</Words>
      <TextInput
        aria-labelledby={id}
        style={box}
        value={props.value}
        onChangeText={props.onChange}
        inputMode={props.mode ?? 'text'}
        autoComplete={props.complete ?? 'off'}
        autoCapitalize={props.mode === 'email' || props.secret ? 'none' : 'sentences'}
        multiline={props.long ?? false}
        secureTextEntry={props.secret ?? false}
        {...(props.onEnter ? { onSubmitEditing: props.onEnter } : {})}
      />
    </View>
  ) // prettier-ignore
}

/** One of a few answers. */
export function Choice<T extends string>(props: { label: string; options: readonly T[]; value: T | ''; onChange: (value: T) => void; hidden?: boolean }) {
  const theme = useTheme()
  const id = useId()
  const box = (chosen: boolean) => ({
    minHeight: 44, paddingHorizontal: 14, borderRadius: 99, borderWidth: 1, justifyContent: 'center',
    borderColor: chosen ? theme.accent : theme.line, backgroundColor: chosen ? theme.accentSoft : theme.card,
  }) // prettier-ignore
  return (
    <View role="radiogroup" aria-labelledby={id} style={{ gap: 6 }}>
      <Words bold size={SIZE.small} id={id}>{props.label}</Words>
      <Row>
        {props.options.map((option) => (
          <Pressable key={option} role="radio" aria-checked={option === props.value} style={box(option === props.value)} onPress={() => props.onChange(option)}>
            <Words bold={option === props.value} color={option === props.value ? theme.accent : theme.ink}>{t(option)}</Words>
          </Pressable>
        ))}
      </Row>
    </View>
  ) // prettier-ignore
}

/** A sentence on coloured ground. It is read out when it appears. */
export function Notice({ tone, children }: { tone: Tone; children: ReactNode }) {
  const { color, backgroundColor } = toneOf(useTheme(), tone)
  return (
    <View role={tone === 'red' ? 'alert' : 'status'} style={{ backgroundColor, borderRadius: 10, padding: 12 }}>
      <Words color={color}>{children}</Words>
    </View>
  )
}

/** A photo that this phone keeps. */
export function Photo({ uri, label }: { uri: string; label: string }) {
  const { files } = usePhone()
  const theme = useTheme()
  const [address, setAddress] = useState<string | null>(null)
  useEffect(() => {
    const found = files.address(uri)
    void found.then(setAddress)
    return () => void found.then((each) => each && URL.revokeObjectURL(each))
  }, [files, uri])
  const box = { width: 96, height: 96, borderRadius: 10, backgroundColor: theme.greySoft, overflow: 'hidden' }
  if (!address) return <View style={{ ...box, padding: 8, justifyContent: 'center' }}><Words quiet size={SIZE.small}>{t('On another phone')}</Words></View>
  return <Image source={{ uri: address }} aria-label={label} role="img" style={box} /> // prettier-ignore
}
