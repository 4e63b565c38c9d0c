/**
 * What the components use of React Native, as types. React Native's own types come with a package of 90 MB and 300 others
 * beneath it, which nothing else here needs; an app has them, and this file is not part of what it gets. Everything here
 * is in React Native from 0.71 on (`onKeyDown`: in browsers only), and in react-native-web, which tests get under this name.
 */
declare module 'react-native' {
  import type { FunctionComponent, ReactNode } from 'react'

  type Style = Readonly<Record<string, string | number | undefined>>

  interface Accessible {
    readonly accessible?: boolean
    readonly role?: 'alert' | 'button' | 'heading' | 'list' | 'listitem' | 'radio' | 'radiogroup' | 'status'
    readonly 'aria-busy'?: boolean
    readonly 'aria-checked'?: boolean
    readonly 'aria-hidden'?: boolean
    readonly 'aria-label'?: string
    readonly 'aria-live'?: 'polite' | 'assertive' | 'off'
    readonly children?: ReactNode
    readonly testID?: string
  }

  export const View: FunctionComponent<Accessible & { readonly style?: Style }>
  export const Text: FunctionComponent<Accessible & { readonly style?: Style }>
  export const Pressable: FunctionComponent<
    Accessible & {
      readonly style?: Style | ((state: { readonly pressed: boolean }) => Style)
      readonly onPress?: () => void
      readonly onKeyDown?: (event: { readonly key: string; preventDefault(): void }) => void
    }
  >
  export const ActivityIndicator: FunctionComponent<Accessible & { readonly color?: string; readonly size?: 'small' | 'large' }>
}
