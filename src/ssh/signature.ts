/**
 * SSH signatures (RFC 4253 section 6.6, RFC 5656 section 3.1.2, RFC 8332, RFC 8709, OpenSSH
 * PROTOCOL.u2f): parsed, encoded, made and verified.
 */
import { createHash, sign as cryptoSign, type KeyObject, verify } from 'node:crypto'
import { SshFormatError } from '../errors.ts'
import {
  type Curve,
  keyAlgorithm,
  type SignatureAlgorithm,
  signatureAlgorithm,
} from './key/algorithm.ts'
import {
  keyApplication,
  MAX_RSA_BYTES,
  MIN_RSA_BYTES,
  type PublicKey,
  toKeyObject,
} from './key/public-key.ts'
import { SshReader } from './reader.ts'
import { SshWriter } from './writer.ts'

const ED25519_SIGNATURE_BYTES = 64

export interface Signature {
  readonly algorithm: SignatureAlgorithm
  /** RSA and Ed25519: as on the wire. ECDSA: r and s, each as long as a coordinate. */
  readonly value: Buffer
  /** What a security key adds. */
  readonly securityKey?: { readonly flags: number; readonly counter: number }
}

/** A private key ready to sign with one algorithm. */
export interface SigningKey {
  readonly publicKey: PublicKey
  readonly keyObject: KeyObject
  readonly algorithm: SignatureAlgorithm
}

/**
 * Throws SshFormatError when the key makes no signatures of that name. Without a name the key's default
 * is taken: rsa-sha2-256 for RSA.
 */
export function signingKey(
  key: { readonly publicKey: PublicKey; readonly keyObject: KeyObject },
  algorithmName?: string,
): SigningKey {
  const { name: type, signatures } = key.publicKey.algorithm
  const name = algorithmName ?? signatures[0] ?? ''
  const algorithm = signatureAlgorithm(name)
  if (!algorithm || !signatures.includes(name)) {
    throw new SshFormatError(`a key of type ${type} can't sign with ${JSON.stringify(name)}`)
  }
  return { publicKey: key.publicKey, keyObject: key.keyObject, algorithm }
}

/**
 * Signs: Ed25519 and P-256 in place, since their work is smaller than a change of thread costs the
 * event loop; RSA and larger curves on the thread pool.
 */
export async function sign(key: SigningKey, data: Uint8Array): Promise<Signature> {
  const { algorithm, keyObject } = key
  // Node signs with a bare key object in half the time that it needs with one wrapped in options,
  // which alone would give ECDSA's two numbers without DER.
  const bytes = algorithm.isCheap
    ? cryptoSign(algorithm.hash, data, keyObject)
    : await signOnThreadPool(algorithm.hash, data, keyObject)
  const curve = curveOf(algorithm)
  return { algorithm, value: curve ? valueOfDer(curve, bytes) : bytes }
}

function signOnThreadPool(
  hash: string | undefined,
  data: Uint8Array,
  keyObject: KeyObject,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    cryptoSign(hash, data, keyObject, (error, bytes) => (error ? reject(error) : resolve(bytes)))
  })
}

/** True when `key` made `signature` over `data`. The user-presence flag of a security key is not judged. */
export function verifySignature(key: PublicKey, signature: Signature, data: Uint8Array): boolean {
  const { algorithm, value, securityKey } = signature
  if (!key.algorithm.signatures.includes(algorithm.name)) return false
  const application = keyApplication(key)
  const signed =
    application === undefined ? data : securityKeyMessage(application, securityKey, data)
  if (!signed) return false
  const keyObject = toKeyObject(key)
  // A bare key object saves Node a fifth of the work; only ECDSA's numbers need to be told apart from DER.
  const input = curveOf(algorithm)
    ? ({ key: keyObject, dsaEncoding: 'ieee-p1363' } as const)
    : keyObject
  return verify(algorithm.hash, signed, input, value)
}

/** Throws SshFormatError for unknown algorithms, wrong lengths and leftovers. */
export function parseSignature(bytes: Uint8Array): Signature {
  const reader = new SshReader(bytes)
  const name = reader.string().toString('latin1')
  const algorithm = signatureAlgorithm(name)
  if (!algorithm) {
    throw new SshFormatError(`unknown signature algorithm ${JSON.stringify(name.slice(0, 64))}`)
  }
  const value = parseValue(algorithm, reader.string())
  const signature = isSecurityKey(algorithm)
    ? { algorithm, value, securityKey: { flags: reader.uint8(), counter: reader.uint32() } }
    : { algorithm, value }
  reader.end()
  return signature
}

export function encodeSignature(signature: Signature): Buffer {
  const { algorithm, value, securityKey } = signature
  const writer = new SshWriter(64 + value.length).string(algorithm.name)
  const curve = curveOf(algorithm)
  if (curve) {
    const half = curve.coordinateBytes
    writer.nested(() => writer.mpint(value.subarray(0, half)).mpint(value.subarray(half)))
  } else {
    writer.string(value)
  }
  if (securityKey) writer.uint8(securityKey.flags).uint32(securityKey.counter)
  return writer.bytes()
}

function parseValue(algorithm: SignatureAlgorithm, bytes: Buffer): Buffer {
  const curve = curveOf(algorithm)
  if (curve) return parseEcdsaValue(curve, bytes)
  const isRsa = algorithm.name.includes('rsa')
  const [min, max] = isRsa
    ? [MIN_RSA_BYTES, MAX_RSA_BYTES]
    : [ED25519_SIGNATURE_BYTES, ED25519_SIGNATURE_BYTES]
  if (bytes.length < min || bytes.length > max) {
    throw new SshFormatError(`an ${algorithm.name} signature of ${bytes.length} bytes`)
  }
  return bytes
}

function parseEcdsaValue(curve: Curve, bytes: Buffer): Buffer {
  const half = curve.coordinateBytes
  const reader = new SshReader(bytes)
  const r = reader.mpint(half)
  const s = reader.mpint(half)
  reader.end()
  const value = Buffer.alloc(2 * half)
  value.set(r, half - r.length)
  value.set(s, 2 * half - s.length)
  return value
}

/** r and s of OpenSSL's SEQUENCE of two INTEGERs, at most 139 bytes. */
function valueOfDer(curve: Curve, der: Buffer): Buffer {
  const half = curve.coordinateBytes
  const value = Buffer.alloc(2 * half)
  let at = (der[1] ?? 0) < 0x80 ? 2 : 3
  for (const end of [half, 2 * half]) {
    const start = at + 2
    at = start + (der[at + 1] ?? 0)
    const number = der.subarray(start, at)
    const digits = number.subarray(Math.max(0, number.length - half))
    value.set(digits, end - digits.length)
  }
  return value
}

/** What a security key really signs: the hashed application and message with its own state between them. */
function securityKeyMessage(
  application: string,
  state: Signature['securityKey'],
  data: Uint8Array,
): Buffer | undefined {
  if (!state) return undefined
  const sha256 = (input: Uint8Array | string) => createHash('sha256').update(input).digest()
  const writer = new SshWriter().raw(sha256(application))
  return writer.uint8(state.flags).uint32(state.counter).raw(sha256(data)).bytes()
}

/** The ECDSA curve of a signature algorithm: these have the names of their key types. */
function curveOf(algorithm: SignatureAlgorithm): Curve | undefined {
  return keyAlgorithm(algorithm.name)?.curve
}

function isSecurityKey(algorithm: SignatureAlgorithm): boolean {
  return keyAlgorithm(algorithm.name)?.kind.startsWith('sk-') ?? false
}
