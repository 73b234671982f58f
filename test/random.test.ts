import assert from 'node:assert/strict'
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { test } from 'node:test'
import { base62, pooledBytes, secretBytes, uuid } from '../src/random.ts'

const LETTERS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const POOL_BYTES = 4096

/** Takes the place of the system's random bytes, and keeps the buffers that were filled. */
function fillWith(fill: (bytes: Buffer) => void): Disposable & { readonly filled: Buffer[] } {
  const original = crypto.randomFillSync
  const filled: Buffer[] = []
  let isOver = false
  const substitute = (bytes: Buffer) => {
    if (isOver) original(bytes)
    else fill(bytes)
    filled.push(bytes)
    return bytes
  }
  crypto.randomFillSync = substitute as typeof crypto.randomFillSync
  syncBuiltinESMExports()
  return {
    filled,
    [Symbol.dispose]() {
      // Nothing that is not random may be left for whoever comes next.
      isOver = true
      beginPool({ filled })
      crypto.randomFillSync = original
      syncBuiltinESMExports()
    },
  }
}

/** Every byte as often as every other. */
const everyByte = (bytes: Buffer): void => {
  for (let i = 0; i < bytes.length; i++) bytes[i] = i & 0xff
}

/** Uses up what is left of the pool, so that the next letter begins a new one. */
function beginPool(source: { readonly filled: readonly Buffer[] }): void {
  const before = source.filled.length
  while (source.filled.length === before) base62(1)
}

/** How often each letter stands in a text. */
function counts(text: string): Map<string, number> {
  const found = new Map<string, number>()
  for (const letter of text) found.set(letter, (found.get(letter) ?? 0) + 1)
  return found
}

test('of evenly spread bytes come evenly spread letters, none more likely than another', () => {
  using source = fillWith(everyByte)
  beginPool(source)
  // One letter has been taken; the rest of the pool holds each byte 16 times but for that one.
  const letters = 248 * (POOL_BYTES / 256)
  const found = counts(`0${base62(letters - 1)}`)
  assert.equal(source.filled.length, 1)
  assert.deepEqual([...found.keys()].sort(), [...LETTERS])
  assert.deepEqual(new Set(found.values()), new Set([letters / 62]))
})

test('letters of the real source are evenly spread', () => {
  const length = 620_000
  const found = counts(base62(length))
  const expected = length / 62
  let chiSquare = 0
  for (const letter of LETTERS) chiSquare += ((found.get(letter) ?? 0) - expected) ** 2 / expected
  assert.equal(found.size, 62)
  // 61 degrees of freedom: more than 150 comes once in a billion runs.
  assert.ok(chiSquare < 150, `chi-square ${chiSquare}`)
})

test('protocols 6.2: pooled bytes are wiped behind', () => {
  using source = fillWith((bytes) => bytes.fill(7))
  beginPool(source)
  base62(99)
  const [pool] = source.filled
  assert.ok(pool)
  assert.equal(pool.length, POOL_BYTES)
  const wiped = pool.subarray(0, 100)
  assert.ok(
    wiped.every((byte) => byte === 0),
    'a used byte stays in the pool',
  )
  assert.ok(
    pool.subarray(100).every((byte) => byte === 7),
    'an unused byte was wiped',
  )
})

test('protocols 6.2: pooled bytes are copied out, and wiped behind', () => {
  using source = fillWith((bytes) => bytes.fill(7))
  beginPool(source)
  const bytes = pooledBytes(40)
  const [pool] = source.filled
  assert.ok(pool)
  assert.deepEqual(bytes, Buffer.alloc(40, 7))
  assert.deepEqual(pool.subarray(0, 42), Buffer.concat([Buffer.alloc(41), Buffer.of(7)]))
  pool.fill(9)
  assert.deepEqual(bytes, Buffer.alloc(40, 7), 'it is the pool itself')
  assert.throws(() => pooledBytes(1025), RangeError)
})

test('bytes that give no letter are wiped too', () => {
  using source = fillWith((bytes) => {
    bytes.fill(250)
    bytes[0] = 1
    bytes[9] = 2
  })
  beginPool(source)
  assert.equal(base62(1), LETTERS[2])
  assert.deepEqual([...(source.filled[0]?.subarray(0, 11) ?? [])], [...Array(10).fill(0), 250])
})

test('protocols 6.2: keys, nonces and salts do not come from the pool', () => {
  using source = fillWith((bytes) => bytes.fill(7))
  beginPool(source)
  const before = Buffer.from(source.filled[0] ?? [])
  const bytes = secretBytes(64)
  assert.equal(bytes.length, 64)
  assert.notDeepEqual(bytes, Buffer.alloc(64, 7))
  assert.deepEqual(source.filled[0], before)
  assert.equal(source.filled.length, 1)
})

test('nothing comes twice, and each has its length and letters', () => {
  const ids = Array.from({ length: 20_000 }, () => base62(24))
  assert.equal(new Set(ids).size, ids.length)
  for (const id of ids) assert.match(id, /^[0-9A-Za-z]{24}$/)
  const uuids = Array.from({ length: 20_000 }, uuid)
  assert.equal(new Set(uuids).size, uuids.length)
  for (const id of uuids) {
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  }
  for (const length of [0, 1, 61, 5000]) assert.equal(base62(length).length, length)
  assert.notDeepEqual(secretBytes(32), secretBytes(32))
})
