/**
 * SSHSIG (OpenSSH PROTOCOL.sshsig): a signature over a message for one named purpose, armored as `ssh-keygen -Y sign` writes it, or
 * as its bytes. Hashes with sha512; verifies sha256 too.
 */
import { hash } from 'node:crypto'
import { SshFormatError } from '../errors.ts'
import { decodeBase64 } from './base64.ts'
import { type PublicKey, parsePublicKey } from './key/public-key.ts'
import { SshReader } from './reader.ts'
import {
  encodeSignature,
  parseSignature,
  type Signature,
  type SigningKey,
  sign,
  signingKey,
  verifySignature,
} from './signature.ts'
import { SshWriter } from './writer.ts'

const MAGIC = Buffer.from('SSHSIG')
const VERSION = 1
const BEGIN = '-----BEGIN SSH SIGNATURE-----'
const END = '-----END SSH SIGNATURE-----'
const COLUMNS = 70
/** An RSA key of 16,384 bits and its signature come to 4 KiB. */
const MAX_BYTES = 16_384

type Hash = 'sha256' | 'sha512'

export interface SshSignature {
  readonly publicKey: PublicKey
  readonly namespace: string
  readonly hashAlgorithm: Hash
  readonly signature: Signature
}

export interface Purpose {
  /** What the signature is for: one made for another purpose does not hold. */
  readonly namespace: string
  readonly message: Uint8Array
}

/** Signs for `namespace`, and gives the blob. RSA keys sign with rsa-sha2-512 (PROTOCOL.sshsig refuses SHA-1). */
export async function signBlob(
  key: Pick<SigningKey, 'publicKey' | 'keyObject'>,
  namespace: string,
  message: Uint8Array,
): Promise<Buffer> {
  if (namespace === '') throw new TypeError('an SSH signature needs a namespace')
  const signer = signingKey(key, key.publicKey.kind === 'rsa' ? 'rsa-sha2-512' : undefined)
  const signature = await sign(signer, signedBytes({ namespace, message }, 'sha512'))
  return new SshWriter()
    .raw(MAGIC)
    .uint32(VERSION)
    .string(key.publicKey.blob)
    .string(namespace)
    .string('')
    .string('sha512')
    .string(encodeSignature(signature))
    .bytes()
}

/** As `signBlob`, armored. */
export async function signMessage(
  key: Pick<SigningKey, 'publicKey' | 'keyObject'>,
  namespace: string,
  message: Uint8Array,
): Promise<string> {
  return armor(await signBlob(key, namespace, message))
}

/** Strict: one known version and hash, an empty reserved field, no certificate as key, no leftovers. Throws SshFormatError. */
export function parseSshSignature(blob: Uint8Array): SshSignature {
  if (blob.length > MAX_BYTES) throw new SshFormatError('the SSH signature is too long')
  const reader = new SshReader(blob)
  if (!reader.raw(MAGIC.length).equals(MAGIC)) throw new SshFormatError('no SSH signature')
  const version = reader.uint32()
  if (version !== VERSION) throw new SshFormatError(`an SSH signature of version ${version}`)
  const publicKey = parsePublicKey(reader.string())
  const namespace = reader.text()
  if (namespace === '') throw new SshFormatError('an SSH signature without a namespace')
  if (reader.string().length > 0) throw new SshFormatError('an SSH signature with a reserved field')
  const hashAlgorithm = reader.text()
  if (hashAlgorithm !== 'sha256' && hashAlgorithm !== 'sha512') {
    throw new SshFormatError(`unknown hash ${JSON.stringify(hashAlgorithm.slice(0, 64))}`)
  }
  const signature = parseSignature(reader.string())
  reader.end()
  return { publicKey, namespace, hashAlgorithm, signature }
}

/**
 * The key that made the signature, given as its blob or armored, over this message for this purpose; undefined when it does not hold. The
 * caller decides whether it trusts the key. Throws SshFormatError for what is no signature.
 */
export function verifyMessage(
  signature: string | Uint8Array,
  purpose: Purpose,
): PublicKey | undefined {
  const parsed = parseSshSignature(typeof signature === 'string' ? unarmor(signature) : signature)
  if (parsed.namespace !== purpose.namespace) return undefined
  // PROTOCOL.sshsig: RSA signs with rsa-sha2-256 or rsa-sha2-512 only.
  if (parsed.signature.algorithm.name === 'ssh-rsa') return undefined
  const data = signedBytes(purpose, parsed.hashAlgorithm)
  return verifySignature(parsed.publicKey, parsed.signature, data) ? parsed.publicKey : undefined
}

export function armor(blob: Uint8Array): string {
  const lines =
    Buffer.from(blob)
      .toString('base64')
      .match(new RegExp(`.{1,${COLUMNS}}`, 'g')) ?? []
  return `${[BEGIN, ...lines, END].join('\n')}\n`
}

/** The blob of an armored signature: nothing before it, only line ends behind it. Throws SshFormatError. */
export function unarmor(text: string): Buffer {
  if (text.length > 2 * MAX_BYTES) throw new SshFormatError('the SSH signature is too long')
  const body = text.replaceAll('\r\n', '\n').replace(/\n+$/, '')
  if (!body.startsWith(`${BEGIN}\n`) || !body.endsWith(`\n${END}`)) {
    throw new SshFormatError('no armored SSH signature')
  }
  return decodeBase64(body.slice(BEGIN.length, -END.length))
}

/** What the key really signs: the message's hash with its purpose. */
function signedBytes({ namespace, message }: Purpose, hashAlgorithm: Hash): Buffer {
  return new SshWriter()
    .raw(MAGIC)
    .string(namespace)
    .string('')
    .string(hashAlgorithm)
    .string(hash(hashAlgorithm, message, 'buffer'))
    .bytes()
}
