/**
 * Random ids. Pooled bytes are copied out and wiped behind, and are never used for keys, GCM nonces
 * or salts: those come from `randomBytes` itself.
 */
import { randomBytes, randomFillSync, randomUUID } from 'node:crypto'

const POOL_BYTES = 4096
const pool = Buffer.alloc(POOL_BYTES)
let used = POOL_BYTES

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** `length` characters of 0-9A-Za-z, each equally likely. */
export function base62(length: number): string {
  let text = ''
  while (text.length < length) {
    if (used === POOL_BYTES) refill()
    const byte = pool[used] as number
    pool[used++] = 0
    // 248 = 4 * 62: larger bytes would favour the first letters.
    if (byte < 248) text += BASE62[byte % 62]
  }
  return text
}

/** Random bytes for what is no key, GCM nonce or salt, at most 1 KB: serials, one-time passwords, certificate nonces. */
export function pooledBytes(length: number): Buffer {
  if (length > POOL_BYTES / 4) throw new RangeError('too many bytes for the pool')
  if (used + length > POOL_BYTES) refill()
  const bytes = Buffer.alloc(length)
  // Byte by byte: for so few, the calls that copy and fill take longer.
  for (let i = 0; i < length; i++) {
    bytes[i] = pool[used] as number
    pool[used++] = 0
  }
  return bytes
}

function refill(): void {
  randomFillSync(pool)
  used = 0
}

/** A random UUID (version 4) in lower case. */
export function uuid(): string {
  return randomUUID()
}

/** Fresh random bytes for keys, nonces and salts. */
export function secretBytes(length: number): Buffer {
  return randomBytes(length)
}
