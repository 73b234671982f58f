/** The hashes of audit lines, against the HMAC of the platform. */
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Hasher } from '../../src/audit/hash.ts'
import { SALT } from './records.ts'

const expected = (salt: string, text: string) =>
  `hmac-sha256:${createHmac('sha256', salt).update(text).digest('hex')}`

describe('Hasher', () => {
  it('gives the HMAC-SHA256 under the text of the salt', () => {
    const salts = fc.stringMatching(/^[0-9A-Za-z-]{1,64}$/)
    fc.assert(
      fc.property(salts, fc.string({ unit: 'binary', maxLength: 300 }), (salt, text) => {
        assert.equal(new Hasher(salt).hash(text), expected(salt, text))
      }),
      { numRuns: 200 },
    )
  })

  it('gives RFC 4231 test case 2', () => {
    assert.equal(
      new Hasher('Jefe').hash('what do ya want for nothing?'),
      'hmac-sha256:5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    )
  })

  it('gives the same hash whether it remembers the text or not', () => {
    const hasher = new Hasher(SALT)
    assert.equal(hasher.remembered('accessor'), hasher.hash('accessor'))
    assert.equal(hasher.remembered('accessor'), hasher.hash('accessor'))
    assert.equal(hasher.size, 1)
  })

  it('remembers only what it is told to, and not without bound (protocols 2.3)', () => {
    const hasher = new Hasher(SALT)
    hasher.hash('a value of data')
    assert.equal(hasher.size, 0)
    for (let i = 0; i < 10_000; i++) hasher.remembered(`accessor ${i}`)
    assert.ok(hasher.size > 0 && hasher.size <= 4096, `${hasher.size} are remembered`)
  })

  it('forgets hashes and salt when it is cleared (protocols 2.3)', () => {
    const hasher = new Hasher(SALT)
    hasher.remembered('accessor')
    hasher.clear()
    assert.equal(hasher.size, 0)
    assert.throws(() => hasher.hash('accessor'), /is gone/)
    assert.throws(() => hasher.remembered('accessor'), /is gone/)
  })

  it('refuses a salt that it could not use as it is', () => {
    for (const salt of ['', 'x'.repeat(65), 'säure']) {
      assert.throws(() => new Hasher(salt), RangeError, JSON.stringify(salt))
    }
  })
})
