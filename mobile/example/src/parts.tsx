/** The few parts that all screens are made of. Colours and sizes are the kit's, so that its components go with them. */
import { useEffect, useId, useRef, useState, type ReactNode } from 'react'
import { Image, Pressable, ScrollView, Text, TextInput, View, type Style } from 'react-native'
import { useCare, type Tone } from '@dermadetect/care-kit/ui'
import { usePhone } from './hooks'
import { plain, t } from './words'

export type { Tone }

interface Around {
  readonly children?: ReactNode
}

/** Text. `level` makes it a heading. */
export function Words({ children, quiet, bold, level, size, color, ...more }: Around & {
  quiet?: boolean; bold?: boolean; level?: 1 | 2; size?: number; color?: string; id?: string
}) { // prettier-ignore
  const { theme } = useCare()
  const px = size ?? (level === 1 ? 24 : level === 2 ? 18 : quiet ? theme.small : theme.text)
  const heading = level ? { role: 'heading', 'aria-level': level } : {}
  const look = { color: color ?? (quiet ? theme.quiet : theme.ink), fontWeight: bold || level ? '600' : '400' }
  return <Text {...heading} {...more} style={{ ...look, fontSize: px, lineHeight: px * 1.4 }}>{children}</Text> // prettier-ignore
}

/** A screen below the app's bar: a way back, a title, what it is for, and the rest. */
export function Screen({ title, back, action, children }: Around & { title: string; back?: string; action?: ReactNode }) {
  useEffect(() => void (document.title = `${title} · DermaDetect`), [title])
  return (
    <ScrollView role="main" style={{ flex: 1 }} contentContainerStyle={{ padding: 16, paddingBottom: 40, gap: 14 }}>
      {back && <Go href={back}>{t('Back')}</Go>}
      <Row apart>
        <Words level={1}>{title}</Words>
        {action}
      </Row>
      {children}
    </ScrollView>
  )
}

/** A box. With `href` all of it is a link; a tone is a coloured edge. */
export function Card({ children, href, tone, title }: Around & { href?: string; tone?: Tone; title?: string }) {
  const { theme } = useCare()
  const edge = tone ? { borderStartWidth: 5, borderStartColor: theme.tones[tone].ink } : {}
  const box = { backgroundColor: theme.card, borderWidth: 1, borderColor: theme.line, borderRadius: 12, padding: 14, gap: 8, ...edge }
  const inside = title ? [<Words key="title" level={2}>{title}</Words>, children] : children // prettier-ignore
  return href ? <Pressable role="link" href={`#${href}`} style={box}>{inside}</Pressable> : <View style={box}>{inside}</View> // prettier-ignore
}

/** Things beside each other, or below if there is no room. */
export function Row({ children, apart }: Around & { apart?: boolean }) {
  const justifyContent = apart ? 'space-between' : 'flex-start'
  return <View style={{ flexDirection: 'row', flexWrap: 'wrap', alignItems: 'center', gap: 8, justifyContent }}>{children}</View>
}

/** Words on coloured ground: a state, or what the app says. That is read out when it appears; an alert at once. */
export function Sign({ tone, says, children }: Around & { tone: Tone; says?: 'status' | 'alert' }) {
  const { ink, ground } = useCare().theme.tones[tone]
  const box = says ? { borderRadius: 10, padding: 12 } : { borderRadius: 99, paddingHorizontal: 10, paddingVertical: 3 }
  return (
    <View {...(says && { role: says })} style={{ backgroundColor: ground, alignSelf: says ? 'stretch' : 'flex-start', ...box }}>
      <Words bold={!says} quiet={!says} color={ink}>{children}</Words>
    </View>
  ) // prettier-ignore
}

/** A button, or with `href` a link like one. `main` is what a screen is for. Two presses at once are one. */
export function Button({ children, onPress, href, main }: { children: string; onPress?: () => unknown; href?: string; main?: boolean }) {
  const { theme } = useCare()
  const busy = useRef(false)
  const press = async () => {
    if (busy.current) return
    busy.current = true
    await Promise.resolve(onPress?.()).finally(() => (busy.current = false))
  }
  const box = {
    backgroundColor: main ? theme.accent : theme.card, borderColor: theme.accent, borderWidth: 1, borderRadius: theme.radius,
    minHeight: theme.touch, paddingHorizontal: 18, alignItems: 'center', justifyContent: 'center',
  } // prettier-ignore
  return (
    <Pressable style={box} onPress={() => void press()} {...(href ? { role: 'link', href: `#${href}` } : { role: 'button' })}>
      <Words bold color={main ? theme.onAccent : theme.accent}>{children}</Words>
    </Pressable>
  ) // prettier-ignore
}

function Go({ href, children }: { href: string; children: string }) {
  return (
    <Pressable role="link" href={`#${href}`} style={{ minHeight: 32, justifyContent: 'center', alignSelf: 'flex-start' }}>
      <Words bold color={useCare().theme.accent}>{children}</Words>
    </Pressable>
  ) // prettier-ignore
}

/** A line to fill in. */
export function Field({ label, value, onChange, onEnter, mode = 'text', complete = 'off', long = false, secret = false }: {
  label: string; value: string; onChange: (text: string) => void; onEnter?: () => void
  mode?: 'text' | 'numeric' | 'decimal' | 'email' | 'search'; complete?: string; long?: boolean; secret?: boolean
}) { // prettier-ignore
  const { theme } = useCare()
  const id = useId()
  const box: Style = {
    fontSize: theme.text, color: theme.ink, backgroundColor: theme.card, borderColor: theme.quiet,
    borderWidth: 1, borderRadius: theme.radius, minHeight: long ? 88 : theme.touch, paddingHorizontal: 12, paddingVertical: 10,
  } // prettier-ignore
  return (
    <View style={{ gap: 4 }}>
      <Words bold size={theme.small} id={id}>{label}</Words>
      <TextInput
        aria-labelledby={id} style={box} value={value} onChangeText={onChange} onSubmitEditing={onEnter} inputMode={mode}
        autoComplete={complete} multiline={long} secureTextEntry={secret}
        autoCapitalize={mode === 'email' || secret ? 'none' : 'sentences'}
      />
    </View>
  ) // prettier-ignore
}

/** Answers to touch: one of them, or with `many` all that fit. */
export function Choice<T extends string>({ label, options, chosen, onPress, many, tone }: {
  label: string; options: readonly T[]; chosen: (option: T) => boolean; onPress: (option: T) => void
  many?: boolean; tone?: (option: T) => Tone
}) { // prettier-ignore
  const { theme } = useCare()
  const id = useId()
  return (
    <View role={many ? 'group' : 'radiogroup'} aria-labelledby={id} style={{ gap: 6 }}>
      <Words bold size={theme.small} id={id}>{label}</Words>
      <Row>
        {options.map((option) => {
          const on = chosen(option)
          const { ink, ground } = tone ? theme.tones[tone(option)] : { ink: theme.accent, ground: theme.tones.good.ground }
          const look = { borderColor: on ? ink : theme.line, backgroundColor: on ? ground : theme.card, borderWidth: 1, borderRadius: 99 }
          return (
            <Pressable
              key={option} role={many ? 'checkbox' : 'radio'} aria-checked={on} onPress={() => onPress(option)}
              style={{ ...look, minHeight: 44, paddingHorizontal: 14, justifyContent: 'center' }}
            >
              <Words bold={on} color={on ? ink : theme.ink}>{plain(option)}</Words>
            </Pressable>
          )
        })}
      </Row>
    </View>
  ) // prettier-ignore
}

/** A photo that this phone keeps, with what becomes of it. */
export function Photo({ uri, label, children }: { uri: string; label: string; children?: ReactNode }) {
  const { files } = usePhone()
  const { theme } = useCare()
  const [address, setAddress] = useState<string | null>(null)
  useEffect(() => {
    const found = files.address(uri)
    void found.then(setAddress)
    return () => void found.then((each) => each && URL.revokeObjectURL(each))
  }, [files, uri])
  const box = { width: 96, height: 96, borderRadius: theme.radius, backgroundColor: theme.tones.quiet.ground }
  return (
    <View style={{ gap: 4 }}>
      {address ? <Image role="img" aria-label={label} source={{ uri: address }} style={box} /> : <View style={box} />}
      <Words quiet>{address ? children : t('On another phone')}</Words>
    </View>
  )
}

/** Takes a photo, or a file. In React Native this part is the platform's camera. */
export function Camera({ onPhoto }: { onPhoto: (photo: Blob) => void }) {
  const input = useRef<HTMLInputElement>(null)
  const taken = ({ target }: { target: HTMLInputElement }) => {
    if (target.files?.[0]) onPhoto(target.files[0])
    target.value = '' // the same one again is another photo
  }
  return (
    <View>
      <input ref={input} type="file" accept="image/*" capture="environment" aria-label={t('Photo')} hidden onChange={taken} />
      <Button onPress={() => input.current?.click()}>{t('Take a photo')}</Button>
    </View>
  )
}
