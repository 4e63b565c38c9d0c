/** Photos as files of the browser's own file system (OPFS): they survive the app, and no other page sees them. */
import type { PhotoFiles } from '@dermadetect/care-kit/photos'

/** Pixels of a photo's longer edge that are enough for the model and for a doctor. */
const MOST_PX = 1600

/** The folder of one user's photos. A photo's `uri` is its name there. */
export class PhotoFolder implements PhotoFiles {
  constructor(private readonly user: string) {}

  async size(uri: string): Promise<number> {
    return (await this.file(uri)).size
  }

  async read(uri: string, first: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
    return new Uint8Array(await (await this.file(uri)).slice(first, end).arrayBuffer())
  }

  /** Keeps a photo. Throws a `QuotaExceededError` if there is no room; then nothing is kept of it. */
  async keep(uri: string, photo: Blob): Promise<void> {
    const handle = await (await this.folder()).getFileHandle(uri, { create: true })
    try {
      const writable = await handle.createWritable()
      await writable.write(photo)
      await writable.close()
    } catch (error) {
      await this.remove(uri)
      throw error
    }
  }

  /** Removes a photo, if it is there. */
  async remove(uri: string): Promise<void> {
    await (await this.folder()).removeEntry(uri).catch(() => undefined)
  }

  /** The names of all that are kept. */
  async names(): Promise<string[]> {
    const found: string[] = []
    for await (const name of (await this.folder()).keys()) found.push(name)
    return found
  }

  /** A photo's pixels, for a model; `px` is the longer edge. */
  async pixels(uri: string, px = 448): Promise<ImageData> {
    const [canvas, context] = await drawn(await this.file(uri), px)
    return context.getImageData(0, 0, canvas.width, canvas.height)
  }

  /** The address of a photo for `<img>`; null if it is not on this phone. Call it off with `URL.revokeObjectURL`. */
  async address(uri: string): Promise<string | null> {
    return this.file(uri).then((file) => URL.createObjectURL(file), () => null) // prettier-ignore
  }

  private async file(uri: string): Promise<File> {
    return (await (await this.folder()).getFileHandle(uri)).getFile()
  }

  private async folder() {
    return (await navigator.storage.getDirectory()).getDirectoryHandle(encodeURIComponent(this.user), { create: true })
  }
}

/** A smaller copy of a camera's photo, upright, without where and when it was taken. */
export async function shrunk(photo: Blob): Promise<Blob> {
  const [canvas] = await drawn(photo, MOST_PX)
  return canvas.convertToBlob({ type: 'image/jpeg', quality: 0.9 })
}

/** A photo on a canvas, upright, its longer edge no longer than `px`. Throws for a file that is no photo. */
async function drawn(photo: Blob, px: number) {
  const picture = await createImageBitmap(photo)
  const share = Math.min(1, px / Math.max(picture.width, picture.height))
  const canvas = new OffscreenCanvas(Math.round(picture.width * share), Math.round(picture.height * share))
  const context = canvas.getContext('2d')!
  context.drawImage(picture, 0, 0, canvas.width, canvas.height)
  picture.close()
  return [canvas, context] as const
}
