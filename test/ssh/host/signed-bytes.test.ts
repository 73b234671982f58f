/** The bytes that hosts and server sign, spelled out by hand, and that no two requests or answers share them. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { type HostRequest, hostRequestMessage } from '../../../src/ssh/host/host-request.ts'
import { type VerifyAnswer, verifyMessageBytes } from '../../../src/ssh/host/verify-message.ts'
import { fuzz } from '../../fuzz/runs.ts'

function str(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt32BE(Math.floor(value / 2 ** 32))
  bytes.writeUInt32BE(value % 2 ** 32, 4)
  return bytes
}

const sha256 = (text: string) => createHash('sha256').update(text).digest()

const request: HostRequest = {
  clusterId: 'c1',
  method: 'POST',
  path: '/v1/ssh/host/report',
  body: '{"a":1}',
  hostId: 'web-1',
  unixSeconds: 5_000_000_000,
  nonce: Buffer.alloc(16, 7),
}
const answer: VerifyAnswer = {
  clusterId: 'c1',
  mountPath: 'ssh',
  nonce: 'n'.repeat(43),
  otp: 'd2a63384-0e9c-4b1b-a1a3-abcdefabcdef',
  username: 'ubuntu',
  ip: '10.0.0.7',
  roleName: 'otp',
  hostId: 'web-1',
  unixSeconds: 1_795_000_000,
}

test('protocols 5.4: a host signs method, path, hash of the body, time and nonce, for itself and one cluster', () => {
  const expected = Buffer.concat([
    str('postern-host-v1'),
    str('c1'),
    str('POST'),
    str('/v1/ssh/host/report'),
    str(sha256('{"a":1}')),
    str('web-1'),
    u64(5_000_000_000),
    str(Buffer.alloc(16, 7)),
  ])
  assert.deepEqual(hostRequestMessage(request), expected)
  assert.deepEqual(hostRequestMessage({ ...request, body: Buffer.from('{"a":1}') }), expected)
})

test('protocols 5.5: the server signs every part of its answer about a password', () => {
  const expected = Buffer.concat([
    str('postern-verify-v1'),
    str('c1'),
    str('ssh'),
    str('n'.repeat(43)),
    str(sha256('d2a63384-0e9c-4b1b-a1a3-abcdefabcdef')),
    str('ubuntu'),
    str('10.0.0.7'),
    str('otp'),
    str('web-1'),
    u64(1_795_000_000),
  ])
  assert.deepEqual(verifyMessageBytes(answer), expected)
})

const word = fc.oneof(
  fc.constantFrom('', 'a', 'aa', '\0', '\0\0\0\u0001a'),
  fc.string({ maxLength: 4 }),
)
const time = fc.constantFrom(0, 1, 2 ** 32, 1_795_000_000)

test('protocols 5.4: two different requests never have the same bytes', () => {
  const one = fc.record({
    clusterId: word,
    method: fc.constantFrom<HostRequest['method']>('GET', 'POST'),
    path: word,
    body: word,
    hostId: word,
    unixSeconds: time,
    nonce: fc.uint8Array({ maxLength: 2 }),
  })
  fc.assert(
    fc.property(one, one, fc.nat(6), (first, second, at) => {
      // All alike but for one member, and quite another request.
      const [name] = Object.keys(first).slice(at) as [keyof HostRequest]
      for (const other of [{ ...first, [name]: second[name] }, second]) {
        const same = hostRequestMessage(first).equals(hostRequestMessage(other))
        assert.equal(same, isAlike(first, other))
      }
    }),
    fuzz(500),
  )
})

test('protocols 5.5: two different answers never have the same bytes', () => {
  const one = fc.record({
    clusterId: word,
    mountPath: word,
    nonce: word,
    otp: word,
    username: word,
    ip: word,
    roleName: word,
    hostId: word,
    unixSeconds: time,
  })
  fc.assert(
    fc.property(one, one, fc.nat(8), (first, second, at) => {
      const [name] = Object.keys(first).slice(at) as [keyof VerifyAnswer]
      for (const other of [{ ...first, [name]: second[name] }, second]) {
        const same = verifyMessageBytes(first).equals(verifyMessageBytes(other))
        assert.equal(same, isAlike(first, other))
      }
    }),
    fuzz(500),
  )
})

function isAlike(one: object, other: object): boolean {
  const plain = (value: object) =>
    Object.entries(value).map(([name, member]) => [name, Buffer.from(member.toString()).toString()])
  return JSON.stringify(plain(one)) === JSON.stringify(plain(other))
}
