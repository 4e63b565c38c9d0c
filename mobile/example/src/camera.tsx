/** Takes a photo, or a file. In React Native this part is the platform's camera. */
import { useRef } from 'react'
import { View } from 'react-native'
import { Button } from './parts'
import { t } from './words'

export function Camera({ onPhoto }: { onPhoto: (photo: Blob) => void }) {
  const input = useRef<HTMLInputElement>(null)
  return (
    <View>
      <input
        ref={input}
        type="file"
        accept="image/*"
        capture="environment"
        aria-label={t('Photo')}
        hidden
        onChange={({ target }) => {
          const [photo] = target.files ?? []
          if (photo) onPhoto(photo)
          target.value = ''
        }}
      />
      <Button onPress={() => input.current?.click()}>{t('Take a photo')}</Button>
    </View>
  )
}
