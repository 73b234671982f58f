import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeAuthorizedKey, parseAuthorizedKey } from '../../../src/ssh/key/authorized-keys.ts'
import { fingerprint, hexFingerprint } from '../../../src/ssh/key/fingerprint.ts'
import { generateKeyPair } from '../../../src/ssh/key/private-key.ts'
import {
  isSameKey,
  keyApplication,
  parsePublicKey,
  publicKeyOf,
  toKeyObject,
} from '../../../src/ssh/key/public-key.ts'
import { SshWriter } from '../../../src/ssh/writer.ts'
import {
  caNames,
  sshKeygen,
  sshKeygenOnFile,
  subjectNames,
  vector,
  vectorBlob,
  vectorPublicKey,
} from '../support.ts'

const allNames = [...subjectNames, 'dsa']
const refusal = (message: RegExp) => ({ name: 'SshFormatError', message })
const readable = 'AAAAC3NzaC1lZDI1NTE5AAAAIGZ8DS3wkpKmes1jKfTePklQ3xIUDEMtYJcgL3VS7SsJ'

test('keys of every type made by ssh-keygen are parsed and encoded back unchanged', () => {
  const kinds = allNames.map((name) => {
    const key = vectorPublicKey(name)
    assert.deepEqual(key.blob, vectorBlob(`${name}.pub`))
    const words = vector(`${name}.pub`).split(' ')
    assert.equal(encodeAuthorizedKey(key.blob), `${words[0]} ${words[1]}`)
    return `${key.kind} ${key.bits}`
  })
  assert.deepEqual(kinds, [
    'rsa 2048',
    'ecdsa 256',
    'ecdsa 384',
    'ecdsa 521',
    'ed25519 256',
    'sk-ed25519 256',
    'sk-ecdsa 256',
    'dsa 1024',
  ])
})

test('fingerprints and sizes are those of ssh-keygen -l', () => {
  for (const name of allNames) {
    const key = vectorPublicKey(name)
    const [bits, digest] = sshKeygen(['-l', '-f', '-'], vector(`${name}.pub`)).split(' ')
    assert.equal(`${key.bits} ${fingerprint(key.blob)}`, `${bits} ${digest}`)
  }
})

test('the hex fingerprint is the same digest', () => {
  const { blob } = vectorPublicKey('ed25519')
  const digest = Buffer.from(hexFingerprint(blob), 'hex').toString('base64')
  assert.equal(`SHA256:${digest.replace(/=+$/, '')}`, fingerprint(blob))
})

test('ssh-keygen -e reads the keys that are encoded here', async () => {
  for (const [kind, bits] of [
    ['rsa', 2048],
    ['ecdsa', 521],
    ['ed25519', 0],
  ] as const) {
    const { publicKey } = await generateKeyPair(kind, bits)
    const line = encodeAuthorizedKey(publicKey.blob)
    const rfc4716 = sshKeygenOnFile(['-e'], line)
    const body = rfc4716.split('\n').filter((row) => /^[A-Za-z0-9+/]+=*$/.test(row))
    assert.equal(body.join(''), publicKey.blob.toString('base64'))
  }
})

test('a key object gives back the key that it was made from', () => {
  for (const name of caNames) {
    const key = vectorPublicKey(name)
    assert.ok(isSameKey(publicKeyOf(toKeyObject(key)), key), name)
  }
})

test('ssh-dss is parsed but never used', () => {
  assert.throws(() => toKeyObject(vectorPublicKey('dsa')), refusal(/ssh-dss keys are not used/))
})

test('a security key carries its application', () => {
  assert.equal(keyApplication(vectorPublicKey('sk-ed25519')), 'ssh:')
  assert.equal(keyApplication(vectorPublicKey('sk-ecdsa')), 'ssh:')
  assert.equal(keyApplication(vectorPublicKey('ed25519')), undefined)
})

test('a line, a line with comment and the base64 alone are the same key', () => {
  const key = parseAuthorizedKey(`ssh-ed25519 ${readable} me@x\n`)
  for (const line of [
    readable,
    `${readable}\n`,
    `${readable} `,
    `ssh-ed25519 ${readable}`,
    ` ssh-ed25519\t${readable}\r\n`,
    `ssh-ed25519  ${readable} a comment of words`,
  ]) {
    assert.ok(isSameKey(parseAuthorizedKey(line), key), JSON.stringify(line))
  }
})

test('bad lines have the texts that API clients know (contract 6.2 and 6.8)', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['garbage', 'illegal base64 data at input byte 4'],
    ['ssh-rsa !!!!', 'illegal base64 data at input byte 0'],
    ['ssh-rsa AAAA', 'ssh: short read'],
    ['nonsense', 'ssh: short read'],
    ['', 'ssh: short read'],
    [' ', 'ssh: short read'],
    [`ssh-ed25519 ${readable.slice(0, 60)}`, 'ssh: short read'],
  ]
  for (const [line, message] of cases) {
    assert.throws(() => parseAuthorizedKey(line), { name: 'SshFormatError', message }, line)
  }
})

test('a line that names another type than its key has is refused', () => {
  assert.throws(() => parseAuthorizedKey(`ssh-rsa ${readable}`), refusal(/says ssh-rsa/))
})

test('CVE-2025-49825: a certificate is no public key', () => {
  for (const name of [...subjectNames, 'dsa', 'host', 'by-rsa-sha256']) {
    const file = `${name}-cert.pub`
    assert.throws(() => parseAuthorizedKey(vector(file)), refusal(/certificate .* plain key/))
    assert.throws(() => parsePublicKey(vectorBlob(file)), refusal(/certificate .* plain key/))
  }
})

test('names of objects that every JavaScript object has are unknown key types', () => {
  for (const name of ['__proto__', 'constructor', 'toString', 'ssh-foo', 'rsa-sha2-256']) {
    const blob = new SshWriter().string(name).string('x').bytes()
    assert.throws(() => parsePublicKey(blob), refusal(/^unknown key type/))
  }
})

test('RSA keys outside 1024 to 16384 bits or with unsound numbers are refused', () => {
  const rsa = (modulus: Buffer, exponent = Buffer.of(1, 0, 1)) =>
    new SshWriter().string('ssh-rsa').mpint(exponent).mpint(modulus).bytes()
  const odd = (bytes: number) => Buffer.alloc(bytes, 0xff)
  assert.equal(parsePublicKey(rsa(odd(128))).bits, 1024)
  assert.equal(parsePublicKey(rsa(odd(2048))).bits, 16384)
  assert.throws(() => parsePublicKey(rsa(odd(127))), refusal(/1016 bits/))
  assert.throws(() => parsePublicKey(rsa(odd(2049))), refusal(/too large/))
  assert.throws(() => parsePublicKey(rsa(odd(256), Buffer.of(1))), refusal(/exponent/))
  assert.throws(() => parsePublicKey(rsa(odd(256), Buffer.of(4))), refusal(/exponent/))
  assert.throws(() => parsePublicKey(rsa(odd(256), odd(9))), refusal(/too large/))
  const even = odd(256)
  even[255] = 0xfe
  assert.throws(() => parsePublicKey(rsa(even)), refusal(/even/))
})

test('an ECDSA point off its curve, compressed, or of another curve is refused', () => {
  for (const name of ['p256', 'p384', 'p521', 'sk-ecdsa']) {
    const key = vectorPublicKey(name)
    assert.ok(key.kind === 'ecdsa' || key.kind === 'sk-ecdsa')
    const { curve, point, algorithm } = key
    const withPoint = (bytes: Buffer, curveName = curve.name) =>
      new SshWriter().string(algorithm.name).string(curveName).string(bytes).string('ssh:').bytes()
    const off = Buffer.from(point)
    off[off.length - 1] = (off.at(-1) ?? 0) ^ 1
    assert.throws(() => parsePublicKey(withPoint(off)), refusal(/not on its curve/))
    const compressed = Buffer.concat([Buffer.of(2), point.subarray(1, 1 + curve.coordinateBytes)])
    assert.throws(() => parsePublicKey(withPoint(compressed)), refusal(/uncompressed/))
    assert.throws(() => parsePublicKey(withPoint(Buffer.of(0))), refusal(/uncompressed/))
    assert.throws(() => parsePublicKey(withPoint(point, 'nistp999')), refusal(/curve/))
  }
})

test('an Ed25519 key of another length, and bytes after any key, are refused', () => {
  const short = new SshWriter().string('ssh-ed25519').string(Buffer.alloc(31)).bytes()
  assert.throws(() => parsePublicKey(short), refusal(/31 bytes/))
  for (const name of allNames) {
    const longer = Buffer.concat([vectorPublicKey(name).blob, Buffer.of(0)])
    assert.throws(() => parsePublicKey(longer), refusal(/trailing bytes/))
  }
})
