/**
 * Reads the SSH binary encoding (RFC 4251 section 5) strictly: no lenient lengths, canonical mpints
 * only, valid UTF-8 without NUL where text is due, and `end()` refuses leftovers.
 */
import { isUtf8 } from 'node:buffer'
import { SshFormatError } from '../errors.ts'

/** A cursor over bytes. Every method throws SshFormatError when the bytes do not fit; byte results are views. */
export class SshReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** Bytes read so far. */
  get offset(): number {
    return this.#at
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  uint8(): number {
    return this.#bytes.readUInt8(this.#advance(1))
  }

  uint32(): number {
    return this.#bytes.readUInt32BE(this.#advance(4))
  }

  uint64(): bigint {
    return this.#bytes.readBigUInt64BE(this.#advance(8))
  }

  /** Exactly `length` bytes without a length before them. */
  raw(length: number): Buffer {
    const start = this.#advance(length)
    return this.#bytes.subarray(start, start + length)
  }

  /** All bytes that are left. */
  rest(): Buffer {
    return this.raw(this.#bytes.length - this.#at)
  }

  string(): Buffer {
    return this.raw(this.uint32())
  }

  /** A string that holds text: UTF-8 without NUL, as OpenSSH reads it into a C string. */
  text(): string {
    const start = this.#at
    const bytes = this.string()
    if (bytes.includes(0)) throw new SshFormatError('text with a NUL byte', start)
    if (!isUtf8(bytes)) throw new SshFormatError('text that is not UTF-8', start)
    return bytes.toString('utf8')
  }

  /** A positive integer of at most `maxBytes`, big-endian and without leading zeros. */
  mpint(maxBytes: number): Buffer {
    const start = this.#at
    const bytes = this.string()
    const [first = 0, second = 0] = bytes
    if (bytes.length === 0) throw new SshFormatError('an mpint that is zero', start)
    if (first >= 0x80) throw new SshFormatError('an mpint that is negative', start)
    if (first === 0 && second < 0x80) {
      throw new SshFormatError('an mpint with needless leading zeros', start)
    }
    const magnitude = first === 0 ? bytes.subarray(1) : bytes
    if (magnitude.length > maxBytes) throw new SshFormatError('an mpint that is too large', start)
    return magnitude
  }

  /** Comma-separated names of printable ASCII, none empty; an empty string is an empty list. */
  nameList(): string[] {
    const start = this.#at
    const bytes = this.string()
    if (bytes.length === 0) return []
    const names = bytes.toString('latin1').split(',')
    if (!names.every((name) => /^[!-~]+$/.test(name))) {
      throw new SshFormatError('a malformed name-list', start)
    }
    return names
  }

  /** Refuses bytes after the last field. */
  end(): void {
    if (!this.isAtEnd) throw new SshFormatError('trailing bytes', this.#at)
  }

  #advance(length: number): number {
    const start = this.#at
    // API clients match on this very text, so that it carries no offset.
    if (length > this.#bytes.length - start) throw new SshFormatError('ssh: short read')
    this.#at = start + length
    return start
  }
}
