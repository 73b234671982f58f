import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SshFormatError } from '../../src/errors.ts'
import { decodeBase64 } from '../../src/ssh/base64.ts'
import { SshReader } from '../../src/ssh/reader.ts'
import { SshWriter } from '../../src/ssh/writer.ts'
import { fuzz } from '../fuzz/runs.ts'

const reading = (hex: string) => new SshReader(Buffer.from(hex, 'hex'))
const refusal = (message: RegExp) => ({ name: 'SshFormatError', message })

test('every field comes back as it was written, whatever the first capacity', () => {
  const name = fc.stringMatching(/^[a-z0-9@.-]{1,12}$/)
  fc.assert(
    fc.property(
      fc.record({
        capacity: fc.nat(300),
        byte: fc.nat(255),
        word: fc.nat(0xffff_ffff),
        long: fc.bigInt(0n, 0xffff_ffff_ffff_ffffn),
        bytes: fc.uint8Array(),
        text: fc.string({ unit: 'grapheme' }).filter((value) => !value.includes('\0')),
        names: fc.array(name),
        number: fc.uint8Array({ minLength: 1 }).filter((bytes) => bytes.some((byte) => byte !== 0)),
      }),
      (x) => {
        const writer = new SshWriter(x.capacity).uint8(x.byte).uint32(x.word).uint64(x.long)
        writer.string(x.bytes).string(x.text).nameList(x.names).mpint(x.number)
        writer.nested(() => writer.string(x.text))
        const reader = new SshReader(writer.bytes())
        assert.equal(reader.uint8(), x.byte)
        assert.equal(reader.uint32(), x.word)
        assert.equal(reader.uint64(), x.long)
        assert.deepEqual(reader.string(), Buffer.from(x.bytes))
        assert.equal(reader.text(), x.text)
        assert.deepEqual(reader.nameList(), x.names)
        const first = x.number.findIndex((byte) => byte !== 0)
        assert.deepEqual(reader.mpint(x.number.length), Buffer.from(x.number.subarray(first)))
        assert.equal(new SshReader(reader.string()).text(), x.text)
        reader.end()
      },
    ),
    fuzz(200),
  )
})

test('a length that reaches past the end is a short read', () => {
  for (const hex of ['', '000000', '00000001', 'ffffffff', '7fffffff00', '00000005abcdef']) {
    assert.throws(() => reading(hex).string(), refusal(/^ssh: short read$/))
  }
  assert.throws(() => reading('00').uint32(), refusal(/^ssh: short read$/))
  assert.throws(() => reading('00000000000000').uint64(), refusal(/^ssh: short read$/))
  assert.throws(() => reading('').uint8(), refusal(/^ssh: short read$/))
})

test('bytes after the last field are refused with their offset', () => {
  const reader = reading('0000000000')
  reader.uint32()
  assert.throws(() => reader.end(), refusal(/^trailing bytes at offset 4$/))
})

test('an mpint has one encoding: positive, without needless zeros, bounded', () => {
  assert.deepEqual(reading('0000000200ff').mpint(1), Buffer.of(0xff))
  assert.deepEqual(reading('000000017f').mpint(1), Buffer.of(0x7f))
  assert.throws(() => reading('00000000').mpint(9), refusal(/zero/))
  assert.throws(() => reading('0000000100').mpint(9), refusal(/leading zeros/))
  assert.throws(() => reading('00000002007f').mpint(9), refusal(/leading zeros/))
  assert.throws(() => reading('00000001ff').mpint(9), refusal(/negative/))
  assert.throws(() => reading('00000003010203').mpint(2), refusal(/too large/))
})

test('text with a NUL or broken UTF-8 is refused, since sshd would read another text', () => {
  assert.throws(() => reading('00000003610062').text(), refusal(/NUL/))
  assert.throws(() => reading('00000002c328').text(), refusal(/UTF-8/))
  assert.equal(reading('00000003efbbbf').text(), '\ufeff')
})

test('a name-list with an empty or unprintable name is refused', () => {
  const list = (text: string) => new SshReader(new SshWriter().string(text).bytes()).nameList()
  assert.deepEqual(list(''), [])
  for (const text of [',', 'a,', ',a', 'a,,b', 'a b', 'a\n', 'é']) {
    assert.throws(() => list(text), refusal(/name-list/))
  }
})

test('base64 faults are named by the byte that clients know', () => {
  const cases: readonly (readonly [string, number])[] = [
    ['garbage', 4],
    ['!!!!', 0],
    ['!!!', 0],
    ['AAAA!', 4],
    ['AAA', 0],
    ['AAAAA', 4],
    ['AA=', 3],
    ['AA=A', 2],
    ['AA==A', 4],
    ['AAA=A', 4],
    ['A===', 1],
    ['=', 0],
    ['AA-_', 2],
    ['AAAA AAAA', 4],
    ['A\nAA', 1],
    ['AB==', 1],
    ['AAB=', 2],
    ['AAÿA', 2],
  ]
  for (const [text, at] of cases) {
    const message = new RegExp(`^illegal base64 data at input byte ${at}$`)
    assert.throws(() => decodeBase64(text), refusal(message), JSON.stringify(text))
  }
})

test('base64 of any bytes is decoded, with line ends anywhere', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.nat(), (bytes, at) => {
      const text = Buffer.from(bytes).toString('base64')
      assert.deepEqual(decodeBase64(text), Buffer.from(bytes))
      const cut = at % (text.length + 1)
      assert.deepEqual(
        decodeBase64(`${text.slice(0, cut)}\r\n${text.slice(cut)}\n`),
        Buffer.from(bytes),
      )
    }),
    fuzz(200),
  )
})

test('no text makes the base64 decoder throw anything but its own error', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'AB+/=\n\r-é ') }), (text) => {
      try {
        const bytes = decodeBase64(text)
        assert.equal(bytes.toString('base64'), text.replace(/[\r\n]/g, ''))
      } catch (error) {
        assert.ok(error instanceof SshFormatError)
      }
    }),
    fuzz(500),
  )
})
