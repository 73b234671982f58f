import assert from 'node:assert/strict'
import {
  createPrivateKey,
  generateKeyPairSync,
  type JsonWebKey,
  type JsonWebKeyInput,
} from 'node:crypto'
import { test } from 'node:test'
import { decodeBase64 } from '../../../src/ssh/base64.ts'
import { encodeAuthorizedKey } from '../../../src/ssh/key/authorized-keys.ts'
import {
  encodePrivateKey,
  generateKeyPair,
  parsePrivateKey,
} from '../../../src/ssh/key/private-key.ts'
import { isSameKey } from '../../../src/ssh/key/public-key.ts'
import { caNames, sshKeygenOnFile, vector, vectorPrivateKey, vectorPublicKey } from '../support.ts'

const refusal = (message: RegExp) => ({ name: 'SshFormatError', message })
const newKinds = [
  ['rsa', 2048, 'RSA PRIVATE KEY'],
  ['ecdsa', 256, 'EC PRIVATE KEY'],
  ['ecdsa', 384, 'EC PRIVATE KEY'],
  ['ecdsa', 521, 'EC PRIVATE KEY'],
  ['ed25519', 0, 'OPENSSH PRIVATE KEY'],
] as const

/** Bytes of an openssh-key-v1 file, changed, as PEM again. */
function changed(name: string, change: (bytes: Buffer) => void): string {
  const body = vector(`${name}.key`).replace(/-----.*-----/g, '')
  const bytes = decodeBase64(body.trim())
  change(bytes)
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${bytes.toString('base64')}\n-----END OPENSSH PRIVATE KEY-----\n`
}

test('private keys in every form of ssh-keygen and openssl give their public key', () => {
  const files = [
    ...caNames.flatMap((name) => [`${name}.key`, `${name}.PKCS8.pem`]),
    ...['rsa', 'p256', 'p384', 'p521'].map((name) => `${name}.PEM.pem`),
  ]
  for (const file of files) {
    const { publicKey, keyObject } = parsePrivateKey(vector(file))
    assert.ok(isSameKey(publicKey, vectorPublicKey(file.split('.')[0] ?? '')), file)
    assert.equal(keyObject.type, 'private')
  }
})

test('text around the key, other PEM blocks and line ends of Windows are passed over', () => {
  const curve = '-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n'
  const text = `a note\n${curve}${vector('p256.PEM.pem')}\nmore`
  for (const pem of [text, text.replaceAll('\n', '\r\n')]) {
    assert.ok(isSameKey(parsePrivateKey(pem).publicKey, vectorPublicKey('p256')))
  }
})

test('a key with a passphrase is refused in every form, with what to do', () => {
  for (const file of ['locked.key', 'locked.PEM.pem', 'locked.PKCS8.pem']) {
    assert.throws(() => parsePrivateKey(vector(file)), refusal(/passphrase.*ssh-keygen -p/), file)
  }
})

test('text without a private key says so in the words that API clients know (contract 6.2)', () => {
  const unfinished = vector('rsa.key').replace('-----END', '')
  for (const text of ['nonsense', '', vector('rsa.pub'), '-----BEGIN ', unfinished]) {
    assert.throws(() => parsePrivateKey(text), refusal(/^ssh: no key found$/))
  }
})

test('keys of types that are not used are refused', () => {
  assert.throws(() => parsePrivateKey(vector('dsa.key')), refusal(/not used/))
  const pairs = [
    generateKeyPairSync('x25519'),
    generateKeyPairSync('ed448'),
    generateKeyPairSync('rsa-pss', { modulusLength: 2048 }),
    generateKeyPairSync('ec', { namedCurve: 'secp256k1' }),
  ]
  for (const { privateKey } of pairs) {
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    assert.throws(() => parsePrivateKey(pem), refusal(/not used|curve is not one of/))
  }
})

test('a public half that is not the private one is refused in openssh-key-v1', () => {
  const other = vectorPublicKey('locked').blob.subarray(-32)
  const own = vectorPublicKey('ed25519').blob.subarray(-32)
  const places: number[] = []
  changed('ed25519', (bytes) => {
    for (let at = bytes.indexOf(own); at >= 0; at = bytes.indexOf(own, at + 1)) places.push(at)
  })
  assert.equal(places.length, 3)
  const refusedAt = (replaced: readonly number[]) =>
    assert.throws(
      () =>
        parsePrivateKey(
          changed('ed25519', (bytes) => {
            for (const at of replaced) other.copy(bytes, at)
          }),
        ),
      refusal(/halves|half/),
    )
  for (const at of places) refusedAt([at])
  refusedAt(places)
})

test('a damaged ECDSA, RSA or PKCS1 key is refused', () => {
  for (const name of ['p256', 'p521', 'rsa']) {
    const middle = changed(name, (bytes) =>
      bytes.writeUInt8((bytes.at(-40) ?? 0) ^ 1, bytes.length - 40),
    )
    assert.throws(() => parsePrivateKey(middle), { name: 'SshFormatError' }, name)
  }
  const jwk = vectorPrivateKey('rsa').keyObject.export({ format: 'jwk' })
  const withNumbers = (numbers: JsonWebKey): string => {
    const key = { ...jwk, ...numbers } as JsonWebKeyInput['key']
    return encodePrivateKey(createPrivateKey({ key, format: 'jwk' }))
  }
  const { p = '', dp = '', dq = '' } = jwk
  assert.throws(() => parsePrivateKey(withNumbers({ q: p })), refusal(/not sound/))
  const otherExponents = withNumbers({ d: dp, dp: dq, dq: dp })
  assert.throws(() => parsePrivateKey(otherExponents), refusal(/belong together/))
})

test('bytes behind the key are refused, inside the PEM and inside DER', () => {
  const longer = (file: string) => {
    const lines = vector(file).trim().split('\n')
    const body = decodeBase64(lines.slice(1, -1).join(''))
    const text = Buffer.concat([body, Buffer.alloc(8)]).toString('base64')
    return [lines[0], text, lines.at(-1)].join('\n')
  }
  assert.throws(() => parsePrivateKey(longer('ed25519.key')), refusal(/trailing bytes/))
  for (const file of ['rsa.PEM.pem', 'p256.PEM.pem', 'ed25519.PKCS8.pem']) {
    assert.throws(() => parsePrivateKey(longer(file)), refusal(/damaged/), file)
  }
})

test('new keys of every type have the wanted PEM, and ssh-keygen -y finds the same public key', async () => {
  for (const [kind, bits, label] of newKinds) {
    const { keyObject, publicKey } = await generateKeyPair(kind, bits)
    const pem = encodePrivateKey(keyObject)
    assert.match(pem, new RegExp(`^-----BEGIN ${label}-----\n[^]*\n-----END ${label}-----\n$`))
    const line = sshKeygenOnFile(['-y'], pem).trim()
    assert.equal(line, encodeAuthorizedKey(publicKey.blob))
    assert.ok(isSameKey(parsePrivateKey(pem).publicKey, publicKey))
    assert.equal(publicKey.bits, bits || 256)
  }
})

test('new keys of other sizes are refused', async () => {
  for (const [kind, bits] of [
    ['rsa', 1023],
    ['rsa', 8193],
    ['rsa', Number.NaN],
    ['ecdsa', 224],
  ] as const) {
    await assert.rejects(generateKeyPair(kind, bits), RangeError)
  }
})
