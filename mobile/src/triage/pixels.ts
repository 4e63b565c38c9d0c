/**
 * A photo that was decoded: RGBA, row by row, as `ImageData` of a canvas and native decoders give it. It stands as people
 * see it: turning it by what its EXIF says is the decoder's work. Alpha is not looked at.
 */
export interface Pixels {
  readonly width: number
  readonly height: number
  readonly data: Uint8ClampedArray | Uint8Array
}

/** What a model takes. Pixels become 0 to 1, then `mean` is taken away, then it is divided by `std`. */
export interface ModelInput {
  readonly width: number
  readonly height: number
  /** Of red, green and blue; 0 if nothing is said. `[0.5, 0.5, 0.5]` with the same `std` is −1 to 1. */
  readonly mean?: readonly [number, number, number]
  /** 1 if nothing is said. */
  readonly std?: readonly [number, number, number]
  /** `stretch` takes the whole photo (the default), `crop` its middle in the model's proportions. */
  readonly fit?: 'stretch' | 'crop'
  /**
   * Whether each pixel of a smaller picture is made of all that it covers, as Pillow, PyTorch and tf.image with `antialias`
   * do: true if nothing is said. False is tf.image's plain bilinear, for a model that was trained with that.
   */
  readonly antialias?: boolean
}

/** A picture as models take it: float32, NHWC. */
export interface ImageTensor {
  readonly data: Float32Array
  readonly shape: [number, number, number, number]
}

/** These pixels are no picture. */
export class Unreadable extends Error {
  override readonly name = 'Unreadable'
}

/** After so many pixels others get a turn. */
const PIXELS_AT_ONCE = 500_000

/**
 * Resizes a photo, of any size, to a model's input: bilinear, with centres of pixels at halves. `pause` is awaited now and
 * then in large photos, so that the screen stays alive; decode them no larger than needed nevertheless. Throws
 * `Unreadable` for a size that is none, and for a picture of one colour, as an empty canvas has.
 */
export async function tensorOf(pixels: Pixels, input: ModelInput, pause?: () => Promise<void>): Promise<ImageTensor> {
  check(pixels)
  const { width, height, mean = [0, 0, 0], std = [1, 1, 1], fit = 'stretch', antialias = true } = input
  const zoom = Math.min(pixels.width / width, pixels.height / height)
  const [spanX, spanY] = fit === 'crop' ? [zoom * width, zoom * height] : [pixels.width, pixels.height]
  const columns = taps(pixels.width, spanX, width, antialias)
  const rows = byRow(taps(pixels.height, spanY, height, antialias), pixels.height)
  const data = new Float32Array(width * height * 3)
  const line = new Float32Array(width * 3)
  let done = 0
  for (const [y, uses] of rows.entries()) {
    if (uses.length === 0) continue
    squeeze(pixels, y, columns, line)
    for (const { to, weight } of uses)
      for (let at = 0, out = to * width * 3; at < line.length; at++, out++) data[out]! += weight * line[at]!
    done += pixels.width
    if (pause && done >= PIXELS_AT_ONCE) {
      done = 0
      await pause()
    }
  }
  for (let at = 0; at < data.length; at++) data[at] = (data[at]! / 255 - mean[at % 3]!) / std[at % 3]!
  return { data, shape: [1, height, width, 3] }
}

function check({ width, height, data }: Pixels): void {
  const whole = Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0
  if (!whole || data?.length !== 4 * width * height || data.BYTES_PER_ELEMENT !== 1)
    throw new Unreadable('these are not the pixels of a picture')
  for (let at = 4; at < data.length; at += 4)
    if (data[at] !== data[0] || data[at + 1] !== data[1] || data[at + 2] !== data[2]) return
  throw new Unreadable('this picture has only one colour')
}

/** Of which pixels, from `first` on, one of the smaller picture is made; the weights' sum is 1. */
interface Taps {
  readonly first: number
  readonly weights: readonly number[]
}

/** The taps along one side: `span` pixels in the middle of `size` become `wanted`. */
function taps(size: number, span: number, wanted: number, antialias: boolean): Taps[] {
  const scale = span / wanted
  const reach = antialias ? Math.max(1, scale) : 1
  return Array.from({ length: wanted }, (_, at) => {
    const centre = (size - span) / 2 + (at + 0.5) * scale
    const first = Math.max(0, Math.floor(centre - reach + 0.5))
    const end = Math.min(size, Math.floor(centre + reach + 0.5))
    const raw = Array.from({ length: end - first }, (_, n) => Math.max(0, 1 - Math.abs(first + n + 0.5 - centre) / reach))
    const sum = raw.reduce((one, two) => one + two, 0)
    return { first, weights: raw.map((weight) => weight / sum) }
  })
}

/** The same from the other side: which rows of the smaller picture a row goes into. */
function byRow(wanted: readonly Taps[], height: number): { to: number; weight: number }[][] {
  const rows: { to: number; weight: number }[][] = Array.from({ length: height }, () => [])
  for (const [to, { first, weights }] of wanted.entries())
    for (const [n, weight] of weights.entries()) if (weight > 0) rows[first + n]!.push({ to, weight })
  return rows
}

/** One row, as wide as the smaller picture. */
function squeeze({ width, data }: Pixels, y: number, columns: readonly Taps[], line: Float32Array): void {
  for (const [x, { first, weights }] of columns.entries()) {
    let [red, green, blue] = [0, 0, 0]
    for (let n = 0, at = 4 * (y * width + first); n < weights.length; n++, at += 4) {
      const weight = weights[n]!
      red += weight * data[at]!
      green += weight * data[at + 1]!
      blue += weight * data[at + 2]!
    }
    line[3 * x] = red
    line[3 * x + 1] = green
    line[3 * x + 2] = blue
  }
}
