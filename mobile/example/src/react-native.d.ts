/** What of React Native the app uses, as react-native-web has it. */
declare module 'react-native' {
  import type { ComponentType, ReactNode } from 'react'

  export type Style = Readonly<Record<string, unknown>> | readonly Style[] | false | null | undefined

  interface Props {
    readonly children?: ReactNode
    readonly style?: Style
    readonly role?: string
    readonly id?: string
    readonly href?: string
    readonly lang?: string
    readonly numberOfLines?: number
    readonly [aria: `aria-${string}`]: string | number | boolean | undefined
  }
  interface Pressed extends Props {
    readonly onPress?: () => void
    readonly disabled?: boolean
  }
  interface Input extends Props {
    readonly value: string
    readonly onChangeText: (text: string) => void
    readonly onSubmitEditing?: () => void
    readonly secureTextEntry?: boolean
    readonly inputMode?: 'text' | 'numeric' | 'decimal' | 'email' | 'search'
    readonly autoComplete?: string
    readonly autoCapitalize?: string
    readonly placeholder?: string
    readonly placeholderTextColor?: string
    readonly multiline?: boolean
  }
  export const View: ComponentType<Props>
  export const Text: ComponentType<Props>
  export const ScrollView: ComponentType<Props & { readonly contentContainerStyle?: Style }>
  export const Pressable: ComponentType<Pressed>
  export const TextInput: ComponentType<Input>
  export const Image: ComponentType<Props & { readonly source: { readonly uri: string } }>
  export function useColorScheme(): 'light' | 'dark' | null
}
