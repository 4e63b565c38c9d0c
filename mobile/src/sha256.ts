/** SHA-256 (FIPS 180-4), so that an app needs no library for it. Fast enough for digests and for photos in pieces. */

const ROUNDS = 64

/** The first 32 bits of the fractional parts of the roots of the first primes, as section 4.2.2 says. */
const primes: number[] = []
for (let n = 2; primes.length < ROUNDS; n++) if (primes.every((p) => n % p !== 0)) primes.push(n)
const fraction = (root: number): number => Math.floor((root - Math.floor(root)) * 2 ** 32) >>> 0
const K = Uint32Array.from(primes, (p) => fraction(Math.cbrt(p)))
const START = Uint32Array.from(primes.slice(0, 8), (p) => fraction(Math.sqrt(p)))

/** A hash that takes its bytes piece by piece. */
export class Sha256Stream {
  readonly #state = START.slice()
  readonly #block = new Uint8Array(64)
  readonly #words = new Uint32Array(ROUNDS)
  #filled = 0
  #bytes = 0

  /** Takes the next bytes. */
  add(bytes: Uint8Array): this {
    this.#bytes += bytes.length
    for (let at = 0; at < bytes.length; ) {
      const take = Math.min(64 - this.#filled, bytes.length - at)
      this.#block.set(bytes.subarray(at, at + take), this.#filled)
      this.#filled += take
      at += take
      if (this.#filled === 64) this.#mix()
    }
    return this
  }

  /** 64 hex digits. Nothing may be added afterwards. */
  hex(): string {
    const bits = this.#bytes * 8
    this.add(Uint8Array.of(0x80))
    while (this.#filled !== 56) this.add(Uint8Array.of(0))
    const length = new DataView(this.#block.buffer)
    length.setUint32(56, Math.floor(bits / 2 ** 32))
    length.setUint32(60, bits >>> 0)
    this.#mix()
    return [...this.#state].map((word) => word.toString(16).padStart(8, '0')).join('')
  }

  #mix(): void {
    const w = this.#words
    const view = new DataView(this.#block.buffer)
    for (let t = 0; t < 16; t++) w[t] = view.getUint32(4 * t)
    for (let t = 16; t < ROUNDS; t++) {
      const [a, b] = [w[t - 15]!, w[t - 2]!]
      const low = turn(a, 7) ^ turn(a, 18) ^ (a >>> 3)
      const high = turn(b, 17) ^ turn(b, 19) ^ (b >>> 10)
      w[t] = w[t - 16]! + low + w[t - 7]! + high
    }
    const state = this.#state
    let [a, b, c, d] = [state[0]!, state[1]!, state[2]!, state[3]!]
    let [e, f, g, h] = [state[4]!, state[5]!, state[6]!, state[7]!]
    for (let t = 0; t < ROUNDS; t++) {
      const high = turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)
      const first = (h + high + ((e & f) ^ (~e & g)) + K[t]! + w[t]!) | 0
      const low = turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)
      const second = (low + ((a & b) ^ (a & c) ^ (b & c))) | 0
      h = g
      g = f
      f = e
      e = (d + first) | 0
      d = c
      c = b
      b = a
      a = (first + second) | 0
    }
    const mixed = [a, b, c, d, e, f, g, h]
    for (let at = 0; at < 8; at++) state[at] = state[at]! + mixed[at]!
    this.#filled = 0
  }
}

const turn = (word: number, by: number): number => (word >>> by) | (word << (32 - by))

/** SHA-256 of a text's UTF-8, as 64 hex digits. */
export function sha256(text: string): string {
  return new Sha256Stream().add(new TextEncoder().encode(text)).hex()
}
