/**
 * Random ids. Pooled bytes are copied out and wiped behind, and are never used for keys, GCM nonces
 * or salts: those come from `randomBytes` itself.
 */
import { randomBytes, randomFillSync, randomUUID } from 'node:crypto'

const POOL_BYTES = 4096
const pool = Buffer.alloc(POOL_BYTES)
let used = POOL_BYTES

/** Seven digits of base 62 hold milliseconds up to the year 2081. */
const TIME_CHARACTERS = 7

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

/**
 * `length` characters of 0-9A-Za-z that sort by time: seven for the milliseconds, the rest random. Keys that are made
 * together then lie together in the store.
 */
export function sortableId(length: number, milliseconds: number): string {
  let time = ''
  let rest = milliseconds
  while (time.length < TIME_CHARACTERS) {
    time = (BASE62[rest % 62] as string) + time
    rest = Math.floor(rest / 62)
  }
  return time + base62(length - TIME_CHARACTERS)
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
