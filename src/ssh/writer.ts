/** Writes the SSH binary encoding (RFC 4251 section 5) into one buffer. */

const UINT32_BYTES = 4
const DEFAULT_CAPACITY = 512

/** Grows when needed; with the right `capacity` there is one allocation. Methods return the writer. */
export class SshWriter {
  #buffer: Buffer
  #length = 0

  constructor(capacity: number = DEFAULT_CAPACITY) {
    this.#buffer = Buffer.allocUnsafe(capacity)
  }

  /** What is written so far: a view that later writes leave untouched. */
  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  uint8(value: number): this {
    const start = this.#reserve(1)
    this.#buffer.writeUInt8(value, start)
    return this
  }

  uint32(value: number): this {
    const start = this.#reserve(UINT32_BYTES)
    this.#buffer.writeUInt32BE(value, start)
    return this
  }

  uint64(value: bigint): this {
    const start = this.#reserve(8)
    this.#buffer.writeBigUInt64BE(value, start)
    return this
  }

  /** Bytes without a length before them. */
  raw(bytes: Uint8Array): this {
    const start = this.#reserve(bytes.length)
    this.#buffer.set(bytes, start)
    return this
  }

  /** A string of bytes, or of text as UTF-8. */
  string(value: Uint8Array | string): this {
    if (typeof value !== 'string') return this.uint32(value.length).raw(value)
    const length = Buffer.byteLength(value)
    this.uint32(length)
    const start = this.#reserve(length)
    this.#buffer.write(value, start, length, 'utf8')
    return this
  }

  /** A positive integer given as big-endian bytes; leading zeros are dropped or added as mpint wants. */
  mpint(magnitude: Uint8Array): this {
    let start = 0
    while (start < magnitude.length && magnitude[start] === 0) start += 1
    const digits = magnitude.subarray(start)
    const needsZero = (digits[0] ?? 0) >= 0x80
    this.uint32(digits.length + (needsZero ? 1 : 0))
    if (needsZero) this.uint8(0)
    return this.raw(digits)
  }

  nameList(names: readonly string[]): this {
    return this.string(names.join(','))
  }

  /** A string whose content is what `write` writes. */
  nested(write: () => void): this {
    const start = this.#reserve(UINT32_BYTES)
    write()
    this.#buffer.writeUInt32BE(this.#length - start - UINT32_BYTES, start)
    return this
  }

  /** Where the next `length` bytes go; call it before naming the buffer, which it may replace. */
  #reserve(length: number): number {
    const start = this.#length
    const needed = start + length
    if (needed > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2))
      larger.set(this.bytes())
      this.#buffer = larger
    }
    this.#length = needed
    return start
  }
}
