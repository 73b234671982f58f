/**
 * Private keys as PEM: OpenSSH's own form (PROTOCOL.key), PKCS1 (RFC 8017), SEC1 (RFC 5915) and PKCS8
 * (RFC 5958). Read unencrypted only; a key that is returned has been seen to sign for its public half.
 */
import {
  createPrivateKey,
  generateKeyPair as generate,
  generateKeyPairSync as generateSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto'
import { SshFormatError } from '../../errors.ts'
import { decodeBase64 } from '../base64.ts'
import { curves } from './algorithm.ts'
import { ENCRYPTED_KEY, encodeOpensshKey, parseOpensshKey } from './openssh-key.ts'
import { type PublicKey, publicKeyOf, toKeyObject } from './public-key.ts'

const MAX_PEM_LENGTH = 32_768
const MIN_NEW_RSA_BITS = 1024
const MAX_NEW_RSA_BITS = 8192
const PEM_COLUMNS = 64

export interface PrivateKey {
  readonly keyObject: KeyObject
  readonly publicKey: PublicKey
}

type PrivateKeyParser = (der: Buffer) => KeyObject

const parsers = new Map<string, PrivateKeyParser>([
  ['OPENSSH PRIVATE KEY', parseOpensshKey],
  ['RSA PRIVATE KEY', (der) => parseDer(der, 'pkcs1')],
  ['EC PRIVATE KEY', (der) => parseDer(der, 'sec1')],
  ['PRIVATE KEY', (der) => parseDer(der, 'pkcs8')],
  ['ENCRYPTED PRIVATE KEY', () => refuse(ENCRYPTED_KEY)],
  ['DSA PRIVATE KEY', () => refuse('ssh-dss keys are not used; use RSA, ECDSA or Ed25519')],
])

/**
 * The first private key of a PEM text. Throws SshFormatError: `ssh: no key found` when there is none, and
 * what to do when it has a passphrase.
 */
export function parsePrivateKey(pem: string): PrivateKey {
  if (pem.length > MAX_PEM_LENGTH) throw new SshFormatError('the private key is too long')
  for (const { label, body } of pemBlocks(pem)) {
    const parser = parsers.get(label)
    if (!parser) continue
    if (/^Proc-Type:.*ENCRYPTED/m.test(body)) throw new SshFormatError(ENCRYPTED_KEY)
    const keyObject = parser(decodeBody(body))
    const publicKey = publicKeyOf(keyObject)
    if (publicKey.kind === 'rsa') assertPrimes(keyObject)
    assertHalvesMatch(keyObject, publicKey)
    return { keyObject, publicKey }
  }
  throw new SshFormatError('ssh: no key found')
}

/**
 * A new key pair; RSA and ECDSA are made on the thread pool. `bits`: RSA 1024 to 8192 (callers decide what is enough for them),
 * ECDSA 256, 384 or 521; Ed25519 ignores it. Throws RangeError for others.
 */
export async function generateKeyPair(
  kind: 'rsa' | 'ecdsa' | 'ed25519',
  bits: number,
): Promise<PrivateKey> {
  const keyObject = await generateKeyObject(kind, bits)
  return { keyObject, publicKey: publicKeyOf(keyObject) }
}

/** PEM as `ssh-keygen -m PEM` labels it: PKCS1 for RSA, SEC1 for ECDSA, OpenSSH's own form for Ed25519. */
export function encodePrivateKey(keyObject: KeyObject): string {
  const type = keyObject.asymmetricKeyType
  if (type === 'rsa') return keyObject.export({ type: 'pkcs1', format: 'pem' }).toString()
  if (type === 'ec') return keyObject.export({ type: 'sec1', format: 'pem' }).toString()
  const text = encodeOpensshKey(keyObject).toString('base64')
  const lines: string[] = []
  for (let at = 0; at < text.length; at += PEM_COLUMNS) lines.push(text.slice(at, at + PEM_COLUMNS))
  const label = 'OPENSSH PRIVATE KEY'
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}

function* pemBlocks(text: string): Generator<{ readonly label: string; readonly body: string }> {
  let at = 0
  for (;;) {
    const begin = text.indexOf('-----BEGIN ', at)
    const labelEnd = begin < 0 ? -1 : text.indexOf('-----', begin + 11)
    if (labelEnd < 0) return
    const label = text.slice(begin + 11, labelEnd)
    const bodyStart = labelEnd + 5
    const end = text.indexOf(`-----END ${label}-----`, bodyStart)
    if (end < 0) return
    yield { label, body: text.slice(bodyStart, end) }
    at = end + 1
  }
}

function decodeBody(body: string): Buffer {
  try {
    return decodeBase64(body.replace(/[ \t]/g, ''))
  } catch {
    throw new SshFormatError('the lines between BEGIN and END are not base64')
  }
}

function parseDer(der: Buffer, type: 'pkcs1' | 'sec1' | 'pkcs8'): KeyObject {
  // OpenSSL would pass over bytes behind the key.
  if (derLength(der) !== der.length) throw new SshFormatError('the private key is damaged')
  try {
    return createPrivateKey({ key: der, format: 'der', type })
  } catch {
    return refuse('the private key is damaged')
  }
}

/** The bytes of the first DER element, its head included; 0 when the head is not DER. */
function derLength(der: Buffer): number {
  const first = der[1] ?? 0
  if (first < 0x80) return 2 + first
  const lengthBytes = first - 0x80
  if (lengthBytes < 1 || lengthBytes > 3 || der.length < 2 + lengthBytes) return 0
  return 2 + lengthBytes + der.readUIntBE(2, lengthBytes)
}

/** Before RSA numbers are calculated with: primes larger than their modulus would keep OpenSSL busy for minutes. */
function assertPrimes(keyObject: KeyObject): void {
  const { n, p, q } = keyObject.export({ format: 'jwk' })
  const [modulus, one, other] = [n, p, q].map((text = '') =>
    BigInt(`0x0${Buffer.from(text, 'base64url').toString('hex')}`),
  )
  if (!one || !other || one * other !== modulus) refuse('the private key is not sound')
}

/** One signature, verified: it also catches private numbers that are wrong in themselves. */
function assertHalvesMatch(keyObject: KeyObject, publicKey: PublicKey): void {
  const hash = publicKey.kind === 'ed25519' ? undefined : 'sha256'
  const probe = Buffer.from('postern key check')
  if (!isSigned()) refuse('the public and the private half do not belong together')

  function isSigned(): boolean {
    try {
      return verify(hash, probe, toKeyObject(publicKey), sign(hash, probe, keyObject))
    } catch {
      return false
    }
  }
}

function generateKeyObject(kind: 'rsa' | 'ecdsa' | 'ed25519', bits: number): Promise<KeyObject> {
  const { promise, resolve, reject } = Promise.withResolvers<KeyObject>()
  const settle = (error: Error | null, _publicHalf: KeyObject, privateHalf: KeyObject): void =>
    error ? reject(error) : resolve(privateHalf)
  // In place: it takes less than the way to a thread and back.
  if (kind === 'ed25519') return Promise.resolve(generateSync('ed25519').privateKey)
  if (kind === 'rsa') {
    if (!Number.isInteger(bits) || bits < MIN_NEW_RSA_BITS || bits > MAX_NEW_RSA_BITS) {
      throw new RangeError(`RSA keys have ${MIN_NEW_RSA_BITS} to ${MAX_NEW_RSA_BITS} bits`)
    }
    generate('rsa', { modulusLength: bits }, settle)
    return promise
  }
  const curve = curves.find((one) => one.bits === bits)
  if (!curve) throw new RangeError('ECDSA keys have 256, 384 or 521 bits')
  generate('ec', { namedCurve: curve.opensslName }, settle)
  return promise
}

function refuse(reason: string): never {
  throw new SshFormatError(reason)
}
