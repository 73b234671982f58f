/**
 * The hashes of audit lines (contract 10.3): `hmac-sha256:` and the HMAC-SHA256 of a text in hex, under the device's
 * own salt.
 */
import { KeyedHash } from '../keyed-hash.ts'

const PREFIX = 'hmac-sha256:'
const MAX_REMEMBERED = 4096

export class Hasher {
  readonly #keyed: KeyedHash
  readonly #remembered = new Map<string, string>()

  /** The salt is 1 to 64 ASCII characters, used as they are. Throws a RangeError for another. */
  constructor(salt: string) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII is meant.
    if (!/^[\x00-\x7f]{1,64}$/.test(salt)) throw new RangeError('an audit salt is 1 to 64 ASCII')
    this.#keyed = new KeyedHash(Buffer.from(salt))
  }

  hash(text: string): string {
    // Unset fields are most of what a role shows, and say nothing.
    if (text === '') return this.remembered(text)
    return PREFIX + this.#keyed.hex(text)
  }

  /** The same, kept for the next time: only for texts that come with every request and are no secrets (protocols 2.3). */
  remembered(text: string): string {
    const known = this.#remembered.get(text)
    if (known !== undefined) return known
    if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear()
    const made = PREFIX + this.#keyed.hex(text)
    this.#remembered.set(text, made)
    return made
  }

  /** How many texts are remembered. */
  get size(): number {
    return this.#remembered.size
  }

  /** Forgets what is remembered, and the salt: from now on `hash` throws. */
  clear(): void {
    this.#remembered.clear()
    this.#keyed.clear()
  }
}
