/** What of React Native the app and the kit use, as react-native-web has it: its own types are 90 MB. */
declare module 'react-native' {
  import type { FunctionComponent, ReactNode } from 'react'

  export type Style = Readonly<Record<string, unknown>>
  interface Props {
    readonly children?: ReactNode
    readonly style?: Style | undefined
    readonly role?: string
    readonly id?: string
    readonly href?: string
    readonly [aria: `aria-${string}`]: string | number | boolean | undefined
  }
  interface Pressed extends Omit<Props, 'style'> {
    readonly style?: Style | ((state: { readonly pressed: boolean }) => Style)
    readonly onPress?: (() => void) | undefined
    readonly onKeyDown?: (event: { readonly key: string; preventDefault(): void }) => void
  }
  interface Input extends Props {
    readonly value: string
    readonly onChangeText: (text: string) => void
    readonly onSubmitEditing?: (() => void) | undefined
    readonly secureTextEntry?: boolean
    readonly inputMode?: string
    readonly autoComplete?: string
    readonly autoCapitalize?: string
    readonly multiline?: boolean
  }
  export const View: FunctionComponent<Props & { readonly dir?: string; readonly lang?: string }>
  export const Text: FunctionComponent<Props>
  export const ScrollView: FunctionComponent<Props & { readonly contentContainerStyle?: Style }>
  export const Pressable: FunctionComponent<Pressed>
  export const TextInput: FunctionComponent<Input>
  export const Image: FunctionComponent<Props & { readonly source: { readonly uri: string } }>
  export const ActivityIndicator: FunctionComponent<Props & { readonly color?: string; readonly size?: string }>
  export function useColorScheme(): 'light' | 'dark' | null
}
