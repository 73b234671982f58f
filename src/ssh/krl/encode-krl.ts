/**
 * Key revocation lists as sshd and `ssh-keygen -Q` read them (OpenSSH PROTOCOL.krl), written: serials by CA and SHA-256
 * hashes of keys. No signature section: OpenSSH 9.4 and later refuse it. No key ids: they carry names (protocols 5.6).
 */
import { SshWriter } from '../writer.ts'
import {
  CERTIFICATES,
  CertificateSection,
  FORMAT_VERSION,
  HASH_BYTES,
  KEY_HASHES,
  MAGIC,
} from './format.ts'
import { partsOf } from './serial-parts.ts'

export interface KrlFields {
  readonly version: bigint
  /** Unix seconds. */
  readonly generatedAt: number
  readonly comment: string
  readonly issuers: readonly RevokedSerials[]
  /** SHA-256 of key blobs, in any order: of plain keys, whatever certificate they are in, and of CAs. */
  readonly keyHashes: readonly Uint8Array[]
}

export interface RevokedSerials {
  /** Key blob of the CA. */
  readonly caKey: Uint8Array
  /** Ascending, each once, none 0. */
  readonly serials: readonly bigint[] | BigUint64Array
}

/** The bytes of a KRL: the same for the same fields. Throws RangeError for serials that are out of order or 0. */
export function encodeKrl(krl: KrlFields): Buffer {
  const writer = new SshWriter(sizeOf(krl)).raw(MAGIC).uint32(FORMAT_VERSION)
  writer.uint64(krl.version).uint64(BigInt(krl.generatedAt)).uint64(0n)
  writer.string('').string(krl.comment)
  for (const issuer of krl.issuers) {
    if (issuer.serials.length > 0) writeIssuer(writer, issuer)
  }
  if (krl.keyHashes.length > 0) writeKeyHashes(writer, krl.keyHashes)
  return writer.bytes()
}

function writeIssuer(writer: SshWriter, { caKey, serials }: RevokedSerials): void {
  writer.uint8(CERTIFICATES).nested(() => {
    writer.string(caKey).string('')
    for (const part of partsOf(serials)) {
      switch (part.kind) {
        case 'list':
          writer.uint8(CertificateSection.list).uint32(part.bytes.length).raw(part.bytes)
          break
        case 'range':
          writer.uint8(CertificateSection.range).uint32(16).uint64(part.first).uint64(part.last)
          break
        case 'bitmap':
          writer.uint8(CertificateSection.bitmap)
          writer.nested(() => writer.uint64(part.first).mpint(part.bits))
      }
    }
  })
}

function writeKeyHashes(writer: SshWriter, hashes: readonly Uint8Array[]): void {
  if (hashes.some((hash) => hash.length !== HASH_BYTES)) throw new RangeError('not a SHA-256')
  // OpenSSH wants them in numeric order.
  const ordered = hashes.toSorted(Buffer.compare)
  const once = ordered.filter(
    (hash, at) => at === 0 || Buffer.compare(hash, ordered[at - 1] ?? hash),
  )
  writer.uint8(KEY_HASHES).nested(() => {
    for (const hash of once) writer.string(hash)
  })
}

/** Enough for the whole when all serials go into lists, so that there is one allocation. */
function sizeOf({ comment, issuers, keyHashes }: KrlFields): number {
  const ofIssuers = issuers.map(({ caKey, serials }) => 64 + caKey.length + 9 * serials.length)
  return (
    ofIssuers.reduce((sum, size) => sum + size, 128 + 4 * comment.length) + 36 * keyHashes.length
  )
}
