import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { Sha256Stream, sha256 } from '../src/sha256.js'

test('the examples of FIPS 180', () => {
  assert.equal(sha256('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  assert.equal(sha256(''), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
})

test('every length around the edges of a block, in pieces of any size', () => {
  for (let length = 0; length < 200; length++) {
    const bytes = randomBytes(length)
    const stream = new Sha256Stream()
    for (let at = 0; at < length; ) {
      const size = 1 + Math.floor(Math.random() * 70)
      stream.add(bytes.subarray(at, at + size))
      at += size
    }
    assert.equal(stream.hex(), createHash('sha256').update(bytes).digest('hex'))
  }
})

test('text counts as UTF-8', () => {
  for (const text of ['Ása', 'नमस्ते', '😀'])
    assert.equal(sha256(text), createHash('sha256').update(text, 'utf8').digest('hex'))
})
