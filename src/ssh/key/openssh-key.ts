/**
 * The `openssh-key-v1` form of private keys (OpenSSH PROTOCOL.key), unencrypted: parsed for RSA, ECDSA
 * and Ed25519, written for Ed25519.
 */
import { createECDH, createPrivateKey, type KeyObject, randomBytes } from 'node:crypto'
import { SshFormatError } from '../../errors.ts'
import { SshReader } from '../reader.ts'
import { SshWriter } from '../writer.ts'
import { type Curve, keyAlgorithm } from './algorithm.ts'
import { isSameKey, MAX_RSA_BYTES, parsePublicKey, publicKeyOf } from './public-key.ts'

const MAGIC = 'openssh-key-v1\0'
const BLOCK_BYTES = 8
const SEED_BYTES = 32
/** PKCS8 of an Ed25519 key (RFC 8410 section 7) up to its 32 bytes. */
const ED25519_PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')

/** What the caller is told about any key with a passphrase. */
export const ENCRYPTED_KEY =
  'the private key has a passphrase; give a copy without one (ssh-keygen -p -N "" -f COPY)'

/** Parses the bytes inside the PEM. Throws SshFormatError, also when public and private half differ. */
export function parseOpensshKey(bytes: Uint8Array): KeyObject {
  const reader = new SshReader(bytes)
  if (reader.raw(MAGIC.length).toString('latin1') !== MAGIC) {
    throw new SshFormatError('not an openssh-key-v1 private key')
  }
  const cipher = reader.string().toString('latin1')
  const kdf = reader.string().toString('latin1')
  reader.string()
  if (cipher !== 'none' || kdf !== 'none') throw new SshFormatError(ENCRYPTED_KEY)
  if (reader.uint32() !== 1) throw new SshFormatError('the file must hold exactly one private key')
  const publicKey = parsePublicKey(reader.string())
  const secrets = reader.string()
  reader.end()
  const keyObject = parseSecrets(secrets)
  if (!isSameKey(publicKeyOf(keyObject), publicKey)) {
    throw new SshFormatError('the public and the private half do not belong together')
  }
  return keyObject
}

/** The bytes inside the PEM for an Ed25519 key. */
export function encodeOpensshKey(keyObject: KeyObject): Buffer {
  const publicKey = publicKeyOf(keyObject)
  const { d } = keyObject.export({ format: 'jwk' })
  if (publicKey.kind !== 'ed25519' || d === undefined) {
    throw new TypeError('only Ed25519 private keys are written as openssh-key-v1')
  }
  const check = randomBytes(4)
  const secrets = new SshWriter().raw(check).raw(check).string(publicKey.algorithm.name)
  secrets
    .string(publicKey.point)
    .string(Buffer.concat([Buffer.from(d, 'base64url'), publicKey.point]))
  secrets.string('')
  for (let pad = 1; secrets.bytes().length % BLOCK_BYTES !== 0; pad += 1) secrets.uint8(pad)
  const writer = new SshWriter().raw(Buffer.from(MAGIC)).string('none').string('none').string('')
  return writer.uint32(1).string(publicKey.blob).string(secrets.bytes()).bytes()
}

function parseSecrets(bytes: Buffer): KeyObject {
  const reader = new SshReader(bytes)
  const check = reader.uint32()
  if (bytes.length % BLOCK_BYTES !== 0 || reader.uint32() !== check) {
    throw new SshFormatError('the private key is damaged')
  }
  const keyObject = readPrivateFields(reader)
  // The comment is of no use here, and need not be UTF-8.
  reader.string()
  if (!reader.rest().every((pad, index) => pad === index + 1)) {
    throw new SshFormatError('the private key has wrong padding')
  }
  return keyObject
}

function readPrivateFields(reader: SshReader): KeyObject {
  const name = reader.string().toString('latin1')
  const algorithm = keyAlgorithm(name)
  switch (algorithm?.kind) {
    case 'rsa':
      return readRsa(reader)
    case 'ecdsa':
      return readEcdsa(reader, algorithm.curve)
    case 'ed25519':
      return readEd25519(reader)
    default:
      throw new SshFormatError(
        `private keys of type ${JSON.stringify(name.slice(0, 64))} are not used; use RSA, ECDSA or Ed25519`,
      )
  }
}

function readRsa(reader: SshReader): KeyObject {
  const [n, e, d, qi, p, q] = Array.from({ length: 6 }, () => reader.mpint(MAX_RSA_BYTES))
  const dp = reduce(d, p)
  const dq = reduce(d, q)
  const jwk = Object.entries({ n, e, d, p, q, dp, dq, qi }).map(([name, value]) => [
    name,
    value?.toString('base64url'),
  ])
  return importJwk({ kty: 'RSA', ...Object.fromEntries(jwk) })
}

/** exponent mod (prime - 1), as RSA's CRT form wants it. */
function reduce(exponent: Buffer | undefined, prime: Buffer | undefined): Buffer {
  const number = (bytes: Buffer | undefined) => BigInt(`0x${bytes?.toString('hex') || '0'}`)
  const modulus = number(prime) - 1n
  if (modulus <= 0n) throw new SshFormatError('an RSA key with an unsound prime')
  const hex = (number(exponent) % modulus).toString(16)
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
}

function readEcdsa(reader: SshReader, curve: Curve | undefined): KeyObject {
  if (!curve || reader.string().toString('latin1') !== curve.name) {
    throw new SshFormatError('the curve is not the one of the key type')
  }
  const point = reader.string()
  const { coordinateBytes } = curve
  const scalar = reader.mpint(coordinateBytes)
  const d = Buffer.alloc(coordinateBytes)
  d.set(scalar, coordinateBytes - scalar.length)
  const derived = derivePoint(curve, d)
  if (!derived.equals(point)) {
    throw new SshFormatError('the public and the private half do not belong together')
  }
  const x = derived.subarray(1, 1 + coordinateBytes).toString('base64url')
  const y = derived.subarray(1 + coordinateBytes).toString('base64url')
  return importJwk({ kty: 'EC', crv: curve.jwkName, x, y, d: d.toString('base64url') })
}

function derivePoint(curve: Curve, scalar: Buffer): Buffer {
  const ecdh = createECDH(curve.opensslName)
  try {
    ecdh.setPrivateKey(scalar)
  } catch {
    throw new SshFormatError('the private number is not one of the curve')
  }
  return ecdh.getPublicKey()
}

function readEd25519(reader: SshReader): KeyObject {
  const point = reader.string()
  const secret = reader.string()
  // The second half repeats the public key.
  if (secret.length !== 2 * SEED_BYTES || !secret.subarray(SEED_BYTES).equals(point)) {
    throw new SshFormatError('an Ed25519 private key with unsound halves')
  }
  const der = Buffer.concat([ED25519_PKCS8_PREFIX, secret.subarray(0, SEED_BYTES)])
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
}

function importJwk(key: Record<string, string>): KeyObject {
  try {
    return createPrivateKey({ key, format: 'jwk' })
  } catch {
    throw new SshFormatError('the private key is not sound')
  }
}
