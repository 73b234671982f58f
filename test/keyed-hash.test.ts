/** Keyed hashes, against the HMAC of the platform. */
import assert from 'node:assert/strict'
import { createHmac, randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { KeyedHash } from '../src/keyed-hash.ts'

describe('KeyedHash', () => {
  it('gives the HMAC-SHA256 of any text under any key', () => {
    const keys = fc.uint8Array({ minLength: 1, maxLength: 64 })
    const texts = fc.string({ unit: 'binary', maxLength: 1500 })
    fc.assert(
      fc.property(keys, texts, (key, text) => {
        const keyed = new KeyedHash(key)
        const expected = createHmac('sha256', key).update(text).digest('hex')
        assert.equal(keyed.hex(text), expected)
        assert.equal(keyed.hex(text), expected, 'a second time')
      }),
      { numRuns: 300 },
    )
  })

  it('leaves nothing of a longer text behind for a shorter one', () => {
    const key = randomBytes(32)
    const keyed = new KeyedHash(key)
    for (const length of [300, 3, 341, 342, 5000, 0, 1]) {
      const text = 'ä'.repeat(length)
      assert.equal(keyed.hex(text), createHmac('sha256', key).update(text).digest('hex'))
    }
  })

  it('keeps its own copy of the key, and none when it is cleared', () => {
    const key = randomBytes(32)
    const keyed = new KeyedHash(key)
    const expected = createHmac('sha256', key).update('x').digest('hex')
    key.fill(0)
    assert.equal(keyed.hex('x'), expected)
    keyed.clear()
    assert.throws(() => keyed.hex('x'), /gone/)
  })

  it('refuses a key that RFC 2104 would hash first', () => {
    assert.throws(() => new KeyedHash(new Uint8Array(0)), RangeError)
    assert.throws(() => new KeyedHash(new Uint8Array(65)), RangeError)
  })
})
