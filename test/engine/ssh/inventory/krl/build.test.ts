import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { buildKrl } from '../../../../../src/engine/ssh/inventory/krl/build.ts'
import { krlBytes } from '../../../../../src/engine/ssh/inventory/krl/bytes.ts'
import {
  encodeChunk,
  type KrlContent,
  type RevokedSerial,
} from '../../../../../src/engine/ssh/inventory/krl/store.ts'
import { newSerial } from '../../../../../src/engine/ssh/inventory/serial.ts'
import { parseKrl } from '../../../../../src/ssh/krl/parse-krl.ts'
import { fuzz } from '../../../../fuzz/runs.ts'
import { vectorPublicKey } from '../../../../ssh/support.ts'

const caKeys = ['ed25519', 'rsa', 'p256'].map((name) => vectorPublicKey(name).blob)
const ENTRIES_PER_CHUNK = 1024

function chunksOf(serials: readonly bigint[]): Uint8Array[] {
  const entries = serials.map((serial): RevokedSerial => ({ serial, expiresAt: 1_900_000_000 }))
  const starts = Array.from({ length: Math.ceil(entries.length / ENTRIES_PER_CHUNK) })
  return starts.map((_, at) =>
    encodeChunk(entries.slice(at * ENTRIES_PER_CHUNK, (at + 1) * ENTRIES_PER_CHUNK)),
  )
}

function contentOf(...lists: readonly (readonly bigint[])[]): KrlContent {
  const issuers = lists.map((serials, at) => ({
    caKey: caKeys[at] ?? Buffer.alloc(0),
    chunks: chunksOf(serials),
  }))
  return { version: 1_795_000_000_000, generatedAt: 1_795_000_000, issuers, keyHashes: [] }
}

function serialsOf(bytes: Uint8Array, at = 0): bigint[] {
  const name = caKeys[at]?.toString('base64') ?? ''
  const ranges = parseKrl(bytes).issuers.get(name)?.serials.ranges() ?? []
  return ranges.flatMap(([first, last]) =>
    Array.from({ length: Number(last - first) + 1 }, (_, step) => first + BigInt(step)),
  )
}

const ordered = (serials: readonly bigint[]) =>
  [...new Set(serials)].sort((one, other) => (one < other ? -1 : 1))

test('a KRL is a function of what is stored, whatever the order of entries and chunks', () => {
  const serial = fc.oneof(fc.bigInt(1n, 500n), fc.bigInt(1n, (1n << 64n) - 1n))
  fc.assert(
    fc.property(
      fc.array(serial, { maxLength: 60 }),
      fc.array(serial, { maxLength: 9 }),
      (one, other) => {
        const { bytes, sha256 } = krlBytes(contentOf(one, other))
        assert.deepEqual([serialsOf(bytes, 0), serialsOf(bytes, 1)], [ordered(one), ordered(other)])
        assert.equal(sha256, hash('sha256', bytes, 'hex'))
        const turned = [...one.toReversed(), ...one.slice(0, 3)]
        assert.deepEqual(krlBytes(contentOf(turned, other)).bytes, bytes)
      },
    ),
    fuzz(100),
  )
})

test('the version, the date and the hashes of keys are in it, and no name', () => {
  const keyHashes = [Buffer.alloc(32, 9), Buffer.alloc(32, 1)]
  const krl = parseKrl(krlBytes({ ...contentOf([5n]), keyHashes }).bytes)
  assert.deepEqual(
    [krl.version, krl.generatedAt, krl.comment],
    [1_795_000_000_000n, 1_795_000_000n, ''],
  )
  assert.deepEqual([...krl.keyHashes], ['01'.repeat(32), '09'.repeat(32)])
})

test('a long list is built in a thread, to the same bytes; what was given stays usable', async () => {
  const start = Date.UTC(2026, 10, 23)
  const serials = Array.from({ length: 20_000 }, (_, at) => newSerial(start + 40 * at))
  const content = contentOf(serials, serials.slice(0, 3000), [7n])
  const [short, ...long] = await Promise.all([
    buildKrl(contentOf([1n, 2n])),
    buildKrl(content),
    buildKrl(content),
  ])
  assert.deepEqual(serialsOf(short.bytes), [1n, 2n])
  const inPlace = krlBytes(content)
  for (const { bytes, sha256 } of long) {
    assert.equal(Buffer.compare(bytes, inPlace.bytes), 0)
    assert.equal(sha256, inPlace.sha256)
  }
  assert.deepEqual(serialsOf(inPlace.bytes), ordered(serials))
})

test('serial 0, for which sshd would refuse the whole list, is left out', () => {
  assert.deepEqual(serialsOf(krlBytes(contentOf([0n, 3n, 0n, 1n])).bytes), [1n, 3n])
  assert.equal(parseKrl(krlBytes(contentOf([0n])).bytes).issuers.size, 0)
})

test('a list that cannot be is refused, and the thread builds the next one', async () => {
  const many = Array.from({ length: 5000 }, (_, at) => BigInt(at + 1))
  const broken = { ...contentOf(many), keyHashes: [Buffer.alloc(20)] }
  await assert.rejects(buildKrl(broken), /SHA-256/)
  await assert.rejects(buildKrl({ ...broken, issuers: [] }), /SHA-256/)
  const { bytes } = await buildKrl(contentOf(many))
  assert.deepEqual(serialsOf(bytes), many)
})
