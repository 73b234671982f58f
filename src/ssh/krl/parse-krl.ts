/**
 * Key revocation lists (OpenSSH PROTOCOL.krl), read strictly: all kinds of sections but signatures and extensions, which
 * Postern never writes; nothing cut, left over or out of order.
 */
import { hash } from 'node:crypto'
import { SshFormatError } from '../../errors.ts'
import { parsePublicKey } from '../key/public-key.ts'
import { SshReader } from '../reader.ts'
import {
  CERTIFICATES,
  CertificateSection,
  EXPLICIT_KEYS,
  FORMAT_VERSION,
  HASH_BYTES,
  KEY_HASHES,
  MAGIC,
  MAX_BITMAP_BYTES,
  SHA1_HASHES,
} from './format.ts'
import { SerialSet } from './serial-set.ts'

const SHA1_BYTES = 20
const ANY_CA = ''

export interface Krl {
  readonly version: bigint
  /** Unix seconds. */
  readonly generatedAt: bigint
  readonly comment: string
  /** By the CA's key blob in base64; empty for what counts under every CA. */
  readonly issuers: ReadonlyMap<string, RevokedByIssuer>
  /** Of key blobs, in hex. */
  readonly keyHashes: ReadonlySet<string>
  readonly sha1KeyHashes: ReadonlySet<string>
  /** Whole key blobs, in base64. */
  readonly keys: ReadonlySet<string>
}

interface RevokedByIssuer {
  readonly serials: SerialSet
  readonly keyIds: Set<string>
}

/** Throws SshFormatError, also for bytes that are cut or left over. */
export function parseKrl(bytes: Uint8Array): Krl {
  const reader = new SshReader(bytes)
  if (!reader.raw(MAGIC.length).equals(MAGIC)) throw new SshFormatError('not a KRL')
  const format = reader.uint32()
  if (format !== FORMAT_VERSION) throw new SshFormatError(`a KRL of format ${format}`)
  const version = reader.uint64()
  const generatedAt = reader.uint64()
  if (reader.uint64() !== 0n) throw new SshFormatError('a KRL with unknown flags')
  if (reader.string().length > 0) throw new SshFormatError('a KRL with a reserved field')
  const comment = reader.text()
  const issuers = new Map<string, RevokedByIssuer>()
  const [keyHashes, sha1KeyHashes, keys] = [new Set<string>(), new Set<string>(), new Set<string>()]
  while (!reader.isAtEnd) {
    const type = reader.uint8()
    const section = new SshReader(reader.string())
    if (type === CERTIFICATES) readCertificates(section, issuers)
    else if (type === KEY_HASHES) readHashes(section, HASH_BYTES, keyHashes)
    else if (type === SHA1_HASHES) readHashes(section, SHA1_BYTES, sha1KeyHashes)
    else if (type === EXPLICIT_KEYS) readKeys(section, keys)
    else throw new SshFormatError(`a KRL section of type ${type}`, reader.offset)
  }
  return { version, generatedAt, comment, issuers, keyHashes, sha1KeyHashes, keys }
}

/** Whether the serial is revoked under this CA; 0, which certificates without one have, never is. */
export function isSerialRevoked(krl: Krl, caKey: Uint8Array, serial: bigint): boolean {
  return [base64(caKey), ANY_CA].some((name) => krl.issuers.get(name)?.serials.has(serial) ?? false)
}

/** Whether a key is revoked whatever certificate it is in. */
export function isKeyRevoked(krl: Krl, blob: Uint8Array): boolean {
  return (
    krl.keyHashes.has(hash('sha256', blob, 'hex')) ||
    krl.keys.has(base64(blob)) ||
    krl.sha1KeyHashes.has(hash('sha1', blob, 'hex'))
  )
}

function readCertificates(reader: SshReader, issuers: Map<string, RevokedByIssuer>): void {
  const caKey = reader.string()
  if (caKey.length > 0) parsePublicKey(caKey)
  if (reader.string().length > 0) throw new SshFormatError('a KRL section with a reserved field')
  const name = base64(caKey)
  const revoked = issuers.get(name) ?? { serials: new SerialSet(), keyIds: new Set<string>() }
  issuers.set(name, revoked)
  while (!reader.isAtEnd) {
    const type = reader.uint8()
    const part = new SshReader(reader.string())
    if (type === CertificateSection.list) {
      while (!part.isAtEnd) addRange(revoked, part.uint64())
    } else if (type === CertificateSection.range) {
      addRange(revoked, part.uint64(), part.uint64())
    } else if (type === CertificateSection.bitmap) {
      addBitmap(revoked, part.uint64(), part.mpint(MAX_BITMAP_BYTES))
    } else if (type === CertificateSection.keyIds) {
      while (!part.isAtEnd) revoked.keyIds.add(part.text())
    } else throw new SshFormatError(`a KRL certificate section of type ${type}`)
    part.end()
  }
}

function addRange({ serials }: RevokedByIssuer, first: bigint, last: bigint = first): void {
  // sshd refuses the whole list for either.
  if (first === 0n) throw new SshFormatError('a KRL that revokes serial 0')
  if (last < first) throw new SshFormatError('a KRL with a range that ends before it begins')
  serials.add(first, last)
}

function addBitmap(revoked: RevokedByIssuer, first: bigint, bits: Buffer): void {
  const [top = 0] = bits
  const length = bits.length * 8 - Math.clz32(top) + 24
  if (first + BigInt(length - 1) > 0xffff_ffff_ffff_ffffn) {
    throw new SshFormatError('a KRL with a bitmap beyond 64 bits')
  }
  for (let bit = 0; bit < length; bit++) {
    const byte = bits[bits.length - 1 - (bit >> 3)] ?? 0
    if (byte & (1 << (bit & 7))) addRange(revoked, first + BigInt(bit))
  }
}

function readHashes(reader: SshReader, length: number, hashes: Set<string>): void {
  let before = ''
  while (!reader.isAtEnd) {
    const digest = reader.string()
    if (digest.length !== length) throw new SshFormatError('a KRL with a hash of another length')
    const text = digest.toString('hex')
    if (text <= before) throw new SshFormatError('a KRL with hashes that are out of order')
    hashes.add(text)
    before = text
  }
}

function readKeys(reader: SshReader, keys: Set<string>): void {
  while (!reader.isAtEnd) keys.add(base64(parsePublicKey(reader.string()).blob))
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}
