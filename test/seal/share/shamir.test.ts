import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { combineShares, parseShare, splitKey } from '../../../src/seal/share/shamir.ts'

describe('key shares', () => {
  test('are 33 bytes each, and 32 when there is one', async () => {
    const key = randomBytes(32)
    const many = await splitKey(key, 5, 3)
    assert.deepEqual(
      many.map((share) => share.length),
      [33, 33, 33, 33, 33],
    )
    assert.deepEqual(await splitKey(key, 1, 1), [key])
  })

  test('give the key back from any quorum in any order', async () => {
    const counts = fc.integer({ min: 2, max: 12 }).chain((shares) =>
      fc.record({
        shares: fc.constant(shares),
        threshold: fc.integer({ min: 2, max: shares }),
        order: fc.shuffledSubarray([...Array(shares).keys()], { minLength: shares }),
        key: fc.uint8Array({ minLength: 32, maxLength: 32 }),
      }),
    )
    await fc.assert(
      fc.asyncProperty(counts, async ({ shares, threshold, order, key }) => {
        const parts = await splitKey(key, shares, threshold)
        const quorum = order.slice(0, threshold).map((at) => parts[at] as Buffer)
        assert.deepEqual(await combineShares(quorum), Buffer.from(key))
      }),
      { numRuns: 30 },
    )
  })

  test('do not give the key from one too few', async () => {
    const key = randomBytes(32)
    const [first, second] = await splitKey(key, 5, 3)
    const combined = await combineShares([first as Buffer, second as Buffer])
    assert.notDeepEqual(combined, key)
  })

  test('that cannot belong together give nothing', async () => {
    const [first] = await splitKey(randomBytes(32), 2, 2)
    const share = first as Buffer
    const sameCoordinate = Buffer.from(share)
    sameCoordinate.writeUInt8(share.readUInt8(0) ^ 1, 0)
    assert.equal(await combineShares([share, sameCoordinate]), undefined)
    assert.equal(await combineShares([share, Buffer.alloc(20, 1)]), undefined)
    assert.equal(await combineShares([]), undefined)
  })
})

describe('a share as text', () => {
  test('is read as hex or base64', () => {
    const share = randomBytes(33)
    assert.deepEqual(parseShare(share.toString('hex')), share)
    assert.deepEqual(parseShare(share.toString('hex').toUpperCase()), share)
    assert.deepEqual(parseShare(share.toString('base64')), share)
  })

  const refused: readonly (readonly [text: string, message: string])[] = [
    ['!!!', "'key' must be a valid hex or base64 string"],
    ['', "'key' must be a valid hex or base64 string"],
    ['ab cd', "'key' must be a valid hex or base64 string"],
    ['abcd', 'invalid key: key is shorter than minimum 16 bytes'],
    ['ab'.repeat(34), 'invalid key: key is longer than maximum 33 bytes'],
    [`${'A'.repeat(8_000_000)}!`, 'invalid key: key is longer than maximum 33 bytes'],
  ]
  for (const [text, message] of refused) {
    test(`"${text.slice(0, 10)}" of ${text.length} characters is refused`, () => {
      assert.throws(() => parseShare(text), { status: 400, message })
    })
  }
})
