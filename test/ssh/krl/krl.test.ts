/** KRLs against real ssh-keygen, both ways. */
import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodeKrl, type KrlFields } from '../../../src/ssh/krl/encode-krl.ts'
import { isKeyRevoked, isSerialRevoked, parseKrl } from '../../../src/ssh/krl/parse-krl.ts'
import { SshWriter } from '../../../src/ssh/writer.ts'
import { fuzz } from '../../fuzz/runs.ts'
import { sshKeygenOnFile, vectorFile, vectorPublicKey } from '../support.ts'

const LAST = 0xffff_ffff_ffff_ffffn
const caKey = vectorPublicKey('ed25519').blob
const otherCa = vectorPublicKey('rsa').blob
const vectorKrl = (name: string) => vectorFile(`krl/${name}.krl`)

function fields(serials: readonly bigint[], more: Partial<KrlFields> = {}): KrlFields {
  const issuers = [{ caKey, serials }]
  return {
    version: 3n,
    generatedAt: 1_800_000_000,
    comment: 'ssh',
    issuers,
    keyHashes: [],
    ...more,
  }
}

const sorted = (serials: readonly bigint[]): bigint[] =>
  [...new Set(serials)].sort((one, other) => (one < other ? -1 : 1))

/** What a parsed KRL says of one CA, as serials. */
function serialsOf(bytes: Buffer, ca = caKey): bigint[] {
  const ranges = parseKrl(bytes).issuers.get(ca.toString('base64'))?.serials.ranges() ?? []
  return ranges.flatMap(([first, last]) =>
    Array.from({ length: Number(last - first) + 1 }, (_, at) => first + BigInt(at)),
  )
}

test("ssh-keygen's serials, ranges and bitmaps are read", () => {
  const krl = parseKrl(vectorKrl('serials'))
  assert.equal(krl.version, 7n)
  assert.deepEqual(krl.issuers.get(caKey.toString('base64'))?.serials.ranges(), [
    [1n, 1n],
    [3n, 3n],
    [5n, 9n],
    [100_000n, 100_000n],
    [5_000_000_000n, 6_000_000_000n],
    [LAST, LAST],
  ])
  for (const [serial, isRevoked] of [
    [0n, false],
    [1n, true],
    [2n, false],
    [7n, true],
    [10n, false],
    [5_500_000_000n, true],
    [LAST - 1n, false],
    [LAST, true],
  ] as const) {
    assert.equal(isSerialRevoked(krl, caKey, serial), isRevoked, String(serial))
    assert.equal(isSerialRevoked(krl, otherCa, serial), false)
  }
  const bitmap = vectorKrl('bitmap')
  assert.ok(bitmap.length < 2000, 'ssh-keygen has written bitmaps')
  const odd = Array.from({ length: 4001 }, (_, at) => 1001n + 2n * BigInt(at))
  assert.deepEqual(serialsOf(bitmap, otherCa), odd)
})

test("ssh-keygen's key ids, keys and hashes are read, and its empty list", () => {
  const ids = parseKrl(vectorKrl('key-ids')).issuers.get(
    vectorPublicKey('p256').blob.toString('base64'),
  )
  assert.deepEqual([...(ids?.keyIds ?? [])].sort(), ["alice's laptop", 'bob'])
  const keys = parseKrl(vectorKrl('keys'))
  assert.equal(keys.version, LAST)
  for (const name of ['p384', 'p521', 'rsa', 'p256']) {
    assert.equal(isKeyRevoked(keys, vectorPublicKey(name).blob), true, name)
  }
  assert.equal(isKeyRevoked(keys, caKey), false)
  const empty = parseKrl(vectorKrl('empty'))
  assert.equal(empty.issuers.size + empty.keys.size + empty.keyHashes.size, 0)
})

/** `ssh-keygen -Q -l` prints the ranges that it holds of every CA. */
function listed(bytes: Buffer): [bigint, bigint][] {
  const text = sshKeygenOnFile(['-Q', '-l'], bytes)
  return [...text.matchAll(/^serial: (\d+)(?:-(\d+))?$/gm)].map(([, first = '', last = first]) => [
    BigInt(first),
    BigInt(last),
  ])
}

test('ssh-keygen reads lists, ranges and bitmaps of ours as the serials that went in', () => {
  for (const serials of [
    [1n],
    [LAST],
    [1n, LAST],
    Array.from({ length: 5000 }, (_, at) => BigInt(at + 1)),
    Array.from({ length: 5000 }, (_, at) => BigInt(3 * at + 7)),
    Array.from({ length: 5000 }, (_, at) => LAST - BigInt(3 * at)),
    Array.from({ length: 500 }, (_, at) => (1n << 62n) + BigInt(at) * 0x1_0000_0001n),
    Array.from({ length: 3000 }, (_, at) => BigInt(1 + at + 40 * Math.floor(at / 7))),
    [
      8n,
      9n,
      10n,
      70n,
      71n,
      72n,
      73n,
      74n,
      ...Array.from({ length: 900 }, (_, at) => BigInt(at + 80)),
    ],
  ].map(sorted)) {
    const bytes = encodeKrl(fields(serials))
    const theirs = listed(bytes).flatMap(([first, last]) =>
      Array.from({ length: Number(last - first) + 1 }, (_, at) => first + BigInt(at)),
    )
    assert.deepEqual(theirs, serials)
    assert.deepEqual(serialsOf(bytes), serials)
  }
})

test('ssh-keygen finds hashed keys of ours revoked, and others not', () => {
  const revoked = ['rsa', 'p256', 'p384', 'ed25519'].map((name) => vectorPublicKey(name).blob)
  const keyHashes = revoked.map((blob) => hash('sha256', blob, 'buffer'))
  const bytes = encodeKrl(fields([5n], { keyHashes: [...keyHashes, ...keyHashes] }))
  const krl = parseKrl(bytes)
  assert.equal(krl.keyHashes.size, 4)
  for (const blob of revoked) assert.equal(isKeyRevoked(krl, blob), true)
  assert.equal(isKeyRevoked(krl, vectorPublicKey('p521').blob), false)
  const text = sshKeygenOnFile(['-Q', '-l'], bytes)
  assert.equal(text.match(/^hash: SHA256:/gm)?.length, 4)
})

test('a KRL is the same for the same content, and names neither signature nor key ids', () => {
  const content = fields([1n, 2n, 9n], { keyHashes: [Buffer.alloc(32, 2), Buffer.alloc(32, 1)] })
  const bytes = encodeKrl(content)
  assert.deepEqual(encodeKrl({ ...content, keyHashes: content.keyHashes.toReversed() }), bytes)
  const krl = parseKrl(bytes)
  assert.deepEqual([krl.version, krl.generatedAt, krl.comment], [3n, 1_800_000_000n, 'ssh'])
  assert.deepEqual(
    [...krl.keyHashes].map((text) => text.slice(0, 2)),
    ['01', '02'],
  )
})

test('serials that sshd would refuse the whole list for are never written', () => {
  for (const serials of [[0n], [0n, 1n], [2n, 1n], [1n, 1n], [1n, 2n, 2n], [5n, 900n, 400n]]) {
    assert.throws(() => encodeKrl(fields(serials)), RangeError, String(serials))
  }
  assert.throws(() => encodeKrl(fields([], { keyHashes: [Buffer.alloc(20)] })), RangeError)
})

test('serials in any pattern come back, in no more bytes than a list needs', () => {
  const run = fc.record({
    gap: fc.oneof(fc.bigInt(1n, 80n), fc.bigInt(1n, 100_000n), fc.bigInt(1n, 1n << 56n)),
    length: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 700 })),
  })
  fc.assert(
    fc.property(fc.array(run, { maxLength: 12 }), fc.bigInt(0n, 1n << 60n), (runs, start) => {
      const serials: bigint[] = []
      let last = start
      for (const { gap, length } of runs) {
        last += gap - 1n
        for (let at = 0; at < length; at++) serials.push(++last)
      }
      const bytes = encodeKrl(fields(serials))
      assert.deepEqual(serialsOf(bytes), serials)
      assert.deepEqual(
        encodeKrl(fields(serials, { issuers: [{ caKey, serials: BigUint64Array.from(serials) }] })),
        bytes,
      )
      const empty = encodeKrl(fields([])).length
      assert.ok(bytes.length <= empty + 18 + caKey.length + 8 * serials.length)
    }),
    fuzz(60),
  )
})

/** What the serials alone take. */
const sizeOf = (serials: readonly bigint[]) =>
  encodeKrl(fields(serials)).length - encodeKrl(fields([])).length - 13 - caKey.length

const counted = (count: number, step: (at: number) => number) =>
  Array.from({ length: count }, (_, at) => BigInt(1 + step(at)))

test('counted serials need far less than a list, and scattered ones no more', () => {
  assert.equal(sizeOf(counted(10_000, (at) => at)), 21)
  assert.ok(sizeOf(counted(10_000, (at) => at).filter((serial) => (serial * 7n) & 8n)) < 1400)
  assert.equal(sizeOf(counted(3, (at) => 60 * at)), 5 + 3 * 8)
  // A long run between neighbours is a range of its own.
  const run = [5n, 9n, 12n, 15n, ...counted(4000, (at) => at + 20), 4030n, 4033n, 4036n, 4040n]
  assert.ok(sizeOf(run) < 90, String(sizeOf(run)))
})

/** A KRL by hand: its header, and one section of serials. */
function crafted(section: (writer: SshWriter) => void, type = 1): Buffer {
  const writer = new SshWriter().raw(Buffer.from('SSHKRL\n\0')).uint32(1).uint64(1n).uint64(2n)
  writer.uint64(0n).string('').string('').uint8(type)
  return writer.nested(() => section(writer)).bytes()
}

function craftedSerials(part: number, numbers: readonly bigint[], after = ''): Buffer {
  return crafted((writer) => {
    writer.string(caKey).string('').uint8(part)
    writer.nested(() => {
      for (const number of numbers) writer.uint64(number)
      writer.raw(Buffer.from(after, 'hex'))
    })
  })
}

test('what sshd would refuse, or what is not strictly a KRL, is refused', () => {
  const whole = encodeKrl(fields([1n, 2n, 3n, 4n, 99n], { keyHashes: [Buffer.alloc(32)] }))
  const at = (offset: number, value: number) => {
    const copy = Buffer.from(whole)
    copy[offset] = value
    return copy
  }
  for (const bytes of [
    at(0, 0x54),
    at(11, 2),
    at(35, 1),
    at(39, 1),
    Buffer.concat([whole, Buffer.of(4, 0, 0, 0, 0)]),
    Buffer.concat([whole, Buffer.of(0xff, 0, 0, 0, 0)]),
    Buffer.concat([whole, Buffer.of(1)]),
    craftedSerials(0x20, [0n]),
    craftedSerials(0x20, [7n], '00'),
    craftedSerials(0x21, [0n, 5n]),
    craftedSerials(0x21, [6n, 5n]),
    craftedSerials(0x21, [5n, 6n, 7n]),
    craftedSerials(0x22, [5n]),
    craftedSerials(0x22, [5n], '00000000'),
    craftedSerials(0x22, [0n], '0000000101'),
    craftedSerials(0x22, [LAST], '0000000102'),
    craftedSerials(0x22, [1n], `00000801${'7f'.repeat(2049)}`),
    craftedSerials(0x24, [5n]),
    crafted((writer) => writer.string(caKey).string('x')),
    crafted((writer) => writer.string('no key').string('')),
    crafted((writer) => writer.string(Buffer.alloc(31)), 5),
    crafted((writer) => writer.string(Buffer.alloc(32)).string(Buffer.alloc(32)), 5),
    crafted((writer) => writer.string(Buffer.alloc(32)), 3),
    crafted((writer) => writer.string('no key'), 2),
  ]) {
    assert.throws(() => parseKrl(bytes), { name: 'SshFormatError' }, bytes.toString('hex'))
  }
  assert.deepEqual(serialsOf(craftedSerials(0x22, [LAST], '0000000101')), [LAST])
})

test('a KRL that is cut anywhere inside a section is refused', () => {
  const whole = encodeKrl(fields([1n, 2n, 3n, 4n, 99n, 4000n]))
  const header = encodeKrl(fields([])).length
  for (let length = 0; length < whole.length; length++) {
    if (length === header) continue
    assert.throws(() => parseKrl(whole.subarray(0, length)), { name: 'SshFormatError' })
  }
})

test('serials in any order, apart and overlapping, are one set', () => {
  const range = fc.tuple(fc.bigInt(1n, 60n), fc.bigInt(0n, 9n))
  fc.assert(
    fc.property(fc.array(range, { minLength: 1, maxLength: 40 }), (ranges) => {
      const bytes = crafted((writer) => {
        writer.string(caKey).string('')
        for (const [first, more] of ranges) {
          writer.uint8(0x21).nested(() => writer.uint64(first).uint64(first + more))
        }
      })
      const expected = sorted(
        ranges.flatMap(([first, more]) =>
          Array.from({ length: Number(more) + 1 }, (_, at) => first + BigInt(at)),
        ),
      )
      assert.deepEqual(serialsOf(bytes), expected)
      const krl = parseKrl(bytes)
      for (let serial = 0n; serial < 75n; serial++) {
        assert.equal(isSerialRevoked(krl, caKey, serial), expected.includes(serial))
      }
    }),
    fuzz(100),
  )
})
