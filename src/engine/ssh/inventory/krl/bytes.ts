/** The KRL of what is stored (OpenSSH PROTOCOL.krl, protocols 5.6): a pure function, so that every server gives the same bytes. */
import { hash } from 'node:crypto'
import { encodeKrl } from '../../../../ssh/krl/encode-krl.ts'
import { ENTRY_BYTES, type KrlContent } from './store.ts'

export interface BuiltKrl {
  readonly bytes: Uint8Array
  /** Of the bytes, in lower-case hex. */
  readonly sha256: string
}

export function krlBytes({ version, generatedAt, issuers, keyHashes }: KrlContent): BuiltKrl {
  const bytes = encodeKrl({
    version: BigInt(version),
    generatedAt,
    // Hosts and whoever asks for the list learn nothing from it but what is revoked.
    comment: '',
    issuers: issuers.map(({ caKey, chunks }) => ({ caKey, serials: serialsOf(chunks) })),
    keyHashes,
  })
  return { bytes, sha256: hash('sha256', bytes, 'hex') }
}

/** In order, each once. Numbers in a typed array: a list of bigints takes three times as long. */
function serialsOf(chunks: readonly Uint8Array[]): BigUint64Array {
  const size = chunks.reduce((sum, { length }) => sum + Math.floor(length / ENTRY_BYTES), 0)
  const serials = new BigUint64Array(size)
  let count = 0
  for (const { buffer, byteOffset, length } of chunks) {
    const view = new DataView(buffer, byteOffset, length)
    for (let at = 0; at + ENTRY_BYTES <= length; at += ENTRY_BYTES) {
      serials[count++] = view.getBigUint64(at)
    }
  }
  serials.sort()
  return withoutRepeats(serials)
}

/** Without 0 too, for which sshd refuses the whole list: what else was revoked has to arrive. */
function withoutRepeats(sorted: BigUint64Array): BigUint64Array {
  let kept = 0
  for (let at = 0; at < sorted.length; at++) {
    const serial = sorted[at] as bigint
    if (serial !== (kept === 0 ? 0n : sorted[kept - 1])) sorted[kept++] = serial
  }
  return sorted.subarray(0, kept)
}
