/**
 * Public keys as SSH carries them (RFC 4253 section 6.6, RFC 5656, RFC 8709, OpenSSH PROTOCOL.u2f).
 * Parsed keys are sound: RSA sizes bounded, points on their curve, no certificate in a key's place.
 */
import { createPublicKey, ECDH, type KeyObject } from 'node:crypto'
import { SshFormatError } from '../../errors.ts'
import { SshReader } from '../reader.ts'
import { SshWriter } from '../writer.ts'
import {
  type Curve,
  certifiedKeyAlgorithm,
  curves,
  type KeyAlgorithm,
  keyAlgorithm,
} from './algorithm.ts'

const MAX_BLOB_BYTES = 8192
const MIN_RSA_BITS = 1024
const MAX_RSA_BITS = 16384
/** Of an RSA modulus, and so of a signature. */
export const MIN_RSA_BYTES: number = MIN_RSA_BITS / 8
export const MAX_RSA_BYTES: number = MAX_RSA_BITS / 8
const MAX_EXPONENT_BYTES = 8
const MAX_DSA_BYTES = 1024
const ED25519_BYTES = 32
const UNCOMPRESSED_POINT = 4

interface AnyKey {
  readonly algorithm: KeyAlgorithm
  /** Of the modulus or the curve; 256 for Ed25519. */
  readonly bits: number
  /** The whole key in wire form: what is compared, hashed and base64-encoded. */
  readonly blob: Buffer
}

type RsaPublicKey = AnyKey & {
  readonly kind: 'rsa'
  /** Big-endian, without leading zeros; the modulus likewise. */
  readonly exponent: Buffer
  readonly modulus: Buffer
}
type DsaPublicKey = AnyKey & { readonly kind: 'dsa' }
type EcdsaPublicKey = AnyKey & {
  readonly kind: 'ecdsa' | 'sk-ecdsa'
  readonly curve: Curve
  /** Uncompressed: 4, then x and y. */
  readonly point: Buffer
}
type Ed25519PublicKey = AnyKey & {
  readonly kind: 'ed25519' | 'sk-ed25519'
  readonly point: Buffer
}
export type PublicKey = RsaPublicKey | DsaPublicKey | EcdsaPublicKey | Ed25519PublicKey

/** Parses a key blob. Throws SshFormatError, also for a certificate. */
export function parsePublicKey(blob: Uint8Array): PublicKey {
  if (blob.length > MAX_BLOB_BYTES) throw new SshFormatError('the public key is too long')
  const reader = new SshReader(blob)
  const algorithm = plainAlgorithm(reader.string())
  const key = readKeyFields(reader, algorithm)
  reader.end()
  return key
}

/**
 * Reads what follows a key's type name, up to the end of the key's own fields: certificates hold the
 * same fields in their midst.
 */
export function readKeyFields(reader: SshReader, algorithm: KeyAlgorithm): PublicKey {
  switch (algorithm.kind) {
    case 'rsa': {
      const exponent = reader.mpint(MAX_EXPONENT_BYTES)
      return rsaPublicKey(reader.mpint(MAX_RSA_BYTES), exponent)
    }
    case 'dsa':
      return readDsaKey(reader, algorithm)
    case 'ecdsa':
    case 'sk-ecdsa':
      return readEcdsaKey(reader, algorithm)
    case 'ed25519':
    case 'sk-ed25519': {
      const point = reader.string()
      const application = algorithm.kind === 'sk-ed25519' ? reader.text() : undefined
      return ed25519PublicKey(algorithm, point, application)
    }
  }
}

/** The fields of a key without its type name, as a certificate holds them. */
export function keyFields(key: PublicKey): Buffer {
  return key.blob.subarray(4 + key.algorithm.name.length)
}

/** What a security key signs for, usually `ssh:`; undefined for other keys. */
export function keyApplication(key: PublicKey): string | undefined {
  if (key.kind !== 'sk-ecdsa' && key.kind !== 'sk-ed25519') return undefined
  const reader = new SshReader(key.blob)
  reader.string()
  if (key.kind === 'sk-ecdsa') reader.string()
  reader.string()
  return reader.text()
}

/** The key for node:crypto; of a security key, the key inside it. Throws SshFormatError for ssh-dss. */
export function toKeyObject(key: PublicKey): KeyObject {
  return createPublicKey({ key: toJwk(key), format: 'jwk' })
}

/** The public half of any RSA, ECDSA or Ed25519 key object. Throws SshFormatError for other keys. */
export function publicKeyOf(keyObject: KeyObject): PublicKey {
  const publicHalf = keyObject.type === 'private' ? createPublicKey(keyObject) : keyObject
  const type = publicHalf.asymmetricKeyType
  if (type !== 'rsa' && type !== 'ec' && type !== 'ed25519') {
    throw new SshFormatError(`keys of type ${type} are not used; use RSA, ECDSA or Ed25519`)
  }
  const opensslName = publicHalf.asymmetricKeyDetails?.namedCurve
  const curve = curves.find((one) => one.opensslName === opensslName)
  if (type === 'ec' && !curve) {
    throw new SshFormatError('the curve is not one of P-256, P-384 and P-521')
  }
  const { n = '', e = '', x = '', y = '' } = publicHalf.export({ format: 'jwk' })
  const decode = (text: string) => Buffer.from(text, 'base64url')
  if (type === 'rsa') return rsaPublicKey(decode(n), decode(e))
  if (!curve) return ed25519PublicKey(knownAlgorithm('ssh-ed25519'), decode(x))
  const point = Buffer.concat([Buffer.of(UNCOMPRESSED_POINT), decode(x), decode(y)])
  return ecdsaPublicKey(knownAlgorithm(`ecdsa-sha2-${curve.name}`), curve, point)
}

/** True when both are the same key. */
export function isSameKey(one: PublicKey, other: PublicKey): boolean {
  return one.blob.equals(other.blob)
}

function plainAlgorithm(nameBytes: Buffer): KeyAlgorithm {
  const name = nameBytes.toString('latin1')
  const algorithm = keyAlgorithm(name)
  if (algorithm) return algorithm
  // A certificate in a key's place lets whoever holds it pass for what signed it (CVE-2025-49825).
  if (certifiedKeyAlgorithm(name)) {
    throw new SshFormatError(`a certificate (${name}) was given where a plain key is due`)
  }
  throw new SshFormatError(`unknown key type ${JSON.stringify(name.slice(0, 64))}`)
}

function rsaPublicKey(modulus: Buffer, exponent: Buffer): RsaPublicKey {
  const bits = bitLength(modulus)
  if (bits < MIN_RSA_BITS || bits > MAX_RSA_BITS) {
    throw new SshFormatError(
      `an RSA key of ${bits} bits; it must have ${MIN_RSA_BITS} to ${MAX_RSA_BITS}`,
    )
  }
  if (exponent.length > MAX_EXPONENT_BYTES || !isOdd(exponent) || bitLength(exponent) < 2) {
    throw new SshFormatError('an RSA key with an unsound exponent')
  }
  if (!isOdd(modulus)) throw new SshFormatError('an RSA key with an even modulus')
  const algorithm = knownAlgorithm('ssh-rsa')
  const writer = startKey(algorithm, modulus.length + exponent.length)
  const blob = writer.mpint(exponent).mpint(modulus).bytes()
  return { kind: 'rsa', algorithm, bits, blob, exponent, modulus }
}

function readDsaKey(reader: SshReader, algorithm: KeyAlgorithm): DsaPublicKey {
  const p = reader.mpint(MAX_DSA_BYTES)
  const writer = startKey(algorithm, 4 * MAX_DSA_BYTES).mpint(p)
  for (let count = 0; count < 3; count += 1) writer.mpint(reader.mpint(p.length))
  return { kind: 'dsa', algorithm, bits: bitLength(p), blob: writer.bytes() }
}

function readEcdsaKey(reader: SshReader, algorithm: KeyAlgorithm): EcdsaPublicKey {
  const { curve } = algorithm
  const start = reader.offset
  if (!curve || reader.string().toString('latin1') !== curve.name) {
    throw new SshFormatError('the curve is not the one of the key type', start)
  }
  const point = reader.string()
  const application = algorithm.kind === 'sk-ecdsa' ? reader.text() : undefined
  return ecdsaPublicKey(algorithm, curve, point, application)
}

function ecdsaPublicKey(
  algorithm: KeyAlgorithm,
  curve: Curve,
  point: Buffer,
  application?: string,
): EcdsaPublicKey {
  if (point.length !== 1 + 2 * curve.coordinateBytes || point[0] !== UNCOMPRESSED_POINT) {
    throw new SshFormatError('an ECDSA point that is not in uncompressed form')
  }
  if (!isOnCurve(curve, point)) throw new SshFormatError('an ECDSA point that is not on its curve')
  const writer = startKey(algorithm, point.length + (application?.length ?? 0) * 3)
  writer.string(curve.name).string(point)
  if (application !== undefined) writer.string(application)
  const kind = application === undefined ? 'ecdsa' : 'sk-ecdsa'
  return { kind, algorithm, bits: curve.bits, blob: writer.bytes(), curve, point }
}

function ed25519PublicKey(
  algorithm: KeyAlgorithm,
  point: Buffer,
  application?: string,
): Ed25519PublicKey {
  if (point.length !== ED25519_BYTES) {
    throw new SshFormatError(
      `an Ed25519 key of ${point.length} bytes; it must have ${ED25519_BYTES}`,
    )
  }
  const writer = startKey(algorithm, point.length + (application?.length ?? 0) * 3).string(point)
  if (application !== undefined) writer.string(application)
  const kind = application === undefined ? 'ed25519' : 'sk-ed25519'
  return { kind, algorithm, bits: 256, blob: writer.bytes(), point }
}

function isOnCurve(curve: Curve, point: Buffer): boolean {
  try {
    ECDH.convertKey(point, curve.opensslName, undefined, undefined, 'uncompressed')
    return true
  } catch {
    return false
  }
}

type PublicJwk = { kty: string; n?: string; e?: string; crv?: string; x?: string; y?: string }

function toJwk(key: PublicKey): PublicJwk {
  switch (key.kind) {
    case 'rsa':
      return {
        kty: 'RSA',
        n: key.modulus.toString('base64url'),
        e: key.exponent.toString('base64url'),
      }
    case 'ecdsa':
    case 'sk-ecdsa': {
      const { jwkName, coordinateBytes } = key.curve
      const x = key.point.subarray(1, 1 + coordinateBytes).toString('base64url')
      const y = key.point.subarray(1 + coordinateBytes).toString('base64url')
      return { kty: 'EC', crv: jwkName, x, y }
    }
    case 'ed25519':
    case 'sk-ed25519':
      return { kty: 'OKP', crv: 'Ed25519', x: key.point.toString('base64url') }
    case 'dsa':
      throw new SshFormatError('ssh-dss keys are not used; use RSA, ECDSA or Ed25519')
  }
}

function startKey(algorithm: KeyAlgorithm, fieldBytes: number): SshWriter {
  return new SshWriter(128 + fieldBytes).string(algorithm.name)
}

function knownAlgorithm(name: string): KeyAlgorithm {
  const algorithm = keyAlgorithm(name)
  if (!algorithm) throw new TypeError(`internal error: no key type ${name}`)
  return algorithm
}

function bitLength(magnitude: Buffer): number {
  return magnitude.length * 8 - Math.clz32(magnitude[0] ?? 0) + 24
}

function isOdd(magnitude: Buffer): boolean {
  return (magnitude.at(-1) ?? 0) % 2 === 1
}
