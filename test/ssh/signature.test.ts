import assert from 'node:assert/strict'
import { createHash, sign as cryptoSign } from 'node:crypto'
import { test } from 'node:test'
import type { PublicKey } from '../../src/ssh/key/public-key.ts'
import {
  encodeSignature,
  parseSignature,
  type Signature,
  sign,
  signingKey,
  verifySignature,
} from '../../src/ssh/signature.ts'
import { SshWriter } from '../../src/ssh/writer.ts'
import { caNames, vectorPrivateKey, vectorPublicKey } from './support.ts'

const refusal = (message: RegExp) => ({ name: 'SshFormatError', message })
const data = Buffer.from('what is signed')

test('signatures of every algorithm survive the wire and verify', async () => {
  for (const name of caNames) {
    const key = vectorPrivateKey(name)
    for (const algorithm of key.publicKey.algorithm.signatures) {
      const signature = await sign(signingKey(key, algorithm), data)
      const encoded = encodeSignature(signature)
      const parsed = parseSignature(encoded)
      assert.deepEqual(parsed, signature)
      assert.deepEqual(encodeSignature(parsed), encoded)
      assert.equal(verifySignature(key.publicKey, parsed, data), true, algorithm)
      assert.equal(verifySignature(key.publicKey, parsed, Buffer.from('else')), false)
    }
  }
})

test('ECDSA numbers of every length keep their places', async () => {
  for (const name of ['p256', 'p521']) {
    const key = vectorPrivateKey(name)
    const signer = signingKey(key)
    for (let count = 0; count < (name === 'p256' ? 300 : 20); count += 1) {
      const signature = await sign(signer, Buffer.of(count))
      const parsed = parseSignature(encodeSignature(signature))
      assert.equal(verifySignature(key.publicKey, parsed, Buffer.of(count)), true)
    }
  }
})

test('a key of another type or another key does not verify', async () => {
  const signature = await sign(signingKey(vectorPrivateKey('ed25519')), data)
  for (const name of ['rsa', 'p256', 'locked', 'dsa', 'sk-ed25519']) {
    assert.equal(verifySignature(vectorPublicKey(name), signature, data), false, name)
  }
})

test('a key signs with algorithms of its own type only', () => {
  const ed25519 = vectorPrivateKey('ed25519')
  for (const name of ['ssh-rsa', 'rsa-sha2-512', 'ecdsa-sha2-nistp256', '', 'md5', '__proto__']) {
    assert.throws(() => signingKey(ed25519, name), refusal(/can't sign/))
  }
  assert.throws(
    () => signingKey(vectorPrivateKey('p256'), 'ecdsa-sha2-nistp384'),
    refusal(/can't sign/),
  )
  assert.equal(signingKey(vectorPrivateKey('rsa')).algorithm.name, 'rsa-sha2-256')
})

test("security keys' signatures are over the application, their state and the hashed message", () => {
  const sha256 = (input: string | Buffer) => createHash('sha256').update(input).digest()
  for (const [name, inner] of [
    ['sk-ed25519', 'ed25519'],
    ['sk-ecdsa', 'p256'],
  ] as const) {
    const key: PublicKey = vectorPublicKey(name)
    const state = Buffer.from('0100000007', 'hex')
    const message = Buffer.concat([sha256('ssh:'), state, sha256(data)])
    const { keyObject } = vectorPrivateKey(inner)
    const value = cryptoSign(inner === 'p256' ? 'sha256' : null, message, {
      key: keyObject,
      dsaEncoding: 'ieee-p1363',
    })
    const half = value.length / 2
    const writer = new SshWriter().string(key.algorithm.name)
    if (inner === 'p256') {
      writer.nested(() => writer.mpint(value.subarray(0, half)).mpint(value.subarray(half)))
    } else {
      writer.string(value)
    }
    const encoded = writer.raw(state).bytes()
    const signature: Signature = parseSignature(encoded)
    assert.deepEqual(signature.securityKey, { flags: 1, counter: 7 })
    assert.deepEqual(encodeSignature(signature), encoded)
    assert.equal(verifySignature(key, signature, data), true, name)
    const replayed = { ...signature, securityKey: { flags: 1, counter: 8 } }
    assert.equal(verifySignature(key, replayed, data), false)
  }
})

test('malformed signatures are refused', () => {
  const blob = (name: string, value: Uint8Array) =>
    new SshWriter().string(name).string(value).bytes()
  const numbers = (r: Buffer, s: Buffer) => new SshWriter().mpint(r).mpint(s).bytes()
  const one = Buffer.of(1)
  const cases: readonly (readonly [Buffer, RegExp])[] = [
    [blob('ssh-dss', Buffer.alloc(40)), /unknown signature algorithm/],
    [blob('__proto__', Buffer.alloc(64)), /unknown signature algorithm/],
    [blob('ssh-ed25519', Buffer.alloc(63)), /63 bytes/],
    [blob('ssh-rsa', Buffer.alloc(2049)), /2049 bytes/],
    [blob('ecdsa-sha2-nistp256', numbers(Buffer.alloc(33, 1), one)), /too large/],
    [blob('ecdsa-sha2-nistp256', numbers(one, Buffer.of(0))), /zero/],
    [blob('ecdsa-sha2-nistp256', Buffer.concat([numbers(one, one), one])), /trailing bytes/],
    [blob('sk-ssh-ed25519@openssh.com', Buffer.alloc(64)), /short read/],
    [Buffer.concat([blob('ssh-ed25519', Buffer.alloc(64)), one]), /trailing bytes/],
  ]
  for (const [bytes, message] of cases) {
    assert.throws(() => parseSignature(bytes), refusal(message))
  }
})
