/**
 * Key shares: Shamir's secret sharing over GF(2^8), each share the secret's length plus one byte for its coordinate
 * (Vault API, sys/init). One share of one is the secret itself. Also the text form in which operators type shares.
 */
import { combine, split } from 'shamir-secret-sharing'
import { badRequest, type PosternError } from '../../errors.ts'
import { KEY_BYTES, wipe } from '../envelope.ts'

const MIN_BYTES = 16
const MAX_BYTES = KEY_BYTES + 1
/** Of any share's text; a pattern runs out of stack on one of megabytes. */
const MAX_CHARACTERS = 512

/** Splits a key into `shares`, of which any `threshold` give it back. The key itself is left as it is. */
export async function splitKey(
  key: Uint8Array,
  shares: number,
  threshold: number,
): Promise<Buffer[]> {
  if (shares === 1) return [Buffer.from(key)]
  // The library takes plain Uint8Arrays only, no Buffers.
  const secret = Uint8Array.from(key)
  const parts = await split(secret, shares, threshold)
  wipe(secret)
  return parts.map((part) => Buffer.from(part.buffer, part.byteOffset, part.byteLength))
}

/**
 * The key that these shares give: some key for any shares of one length, so only its use shows whether it is
 * the right one. Undefined when they can't belong together (lengths differ, or one coordinate twice).
 */
export async function combineShares(shares: readonly Uint8Array[]): Promise<Buffer | undefined> {
  const [first] = shares
  if (!first) return undefined
  if (shares.length === 1) return Buffer.from(first)
  const coordinates = new Set(shares.map((share) => share[share.length - 1]))
  if (coordinates.size !== shares.length) return undefined
  if (shares.some((share) => share.length !== first.length)) return undefined
  const copies = shares.map((share) => Uint8Array.from(share))
  const key = await combine(copies)
  for (const copy of copies) wipe(copy)
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength)
}

const HEX = /^(?:[0-9a-fA-F]{2})+$/
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** A share as typed: hex, else base64. A 400 for anything else and for lengths that no share has. */
export function parseShare(text: string): Buffer {
  if (text.length > MAX_CHARACTERS) throw tooLong()
  const encoding = HEX.test(text) ? 'hex' : 'base64'
  if (text === '' || (encoding === 'base64' && !BASE64.test(text))) {
    throw badRequest("'key' must be a valid hex or base64 string")
  }
  const share = Buffer.from(text, encoding)
  if (share.length < MIN_BYTES) {
    throw badRequest(`invalid key: key is shorter than minimum ${MIN_BYTES} bytes`)
  }
  if (share.length > MAX_BYTES) throw tooLong()
  return share
}

function tooLong(): PosternError {
  return badRequest(`invalid key: key is longer than maximum ${MAX_BYTES} bytes`)
}
