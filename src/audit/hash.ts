/**
 * The hashes of audit lines (contract 10.3): `hmac-sha256:` and the HMAC-SHA256 (RFC 2104) of a text in hex, under
 * the device's own salt. Two one-shot hashes, whose padded keys are made once: half the time of a Hmac object.
 */
import { hash } from 'node:crypto'

const PREFIX = 'hmac-sha256:'
const BLOCK_BYTES = 64
const DIGEST_BYTES = 32
const INNER_PAD = 0x36
const OUTER_PAD = 0x5c
const MAX_REMEMBERED = 4096

export class Hasher {
  /** The inner pad as text: of an ASCII salt it is ASCII, so that pad and message are hashed as one text. */
  #inner: string | undefined
  /** The outer pad, and room for the inner digest. */
  readonly #outer: Buffer
  readonly #remembered = new Map<string, string>()

  /** The salt is 1 to 64 ASCII characters, used as they are. Throws a RangeError for another. */
  constructor(salt: string) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII is meant.
    if (!/^[\x00-\x7f]{1,64}$/.test(salt)) throw new RangeError('an audit salt is 1 to 64 ASCII')
    const key = Buffer.alloc(BLOCK_BYTES)
    key.write(salt, 'latin1')
    this.#inner = padded(key, INNER_PAD).toString('latin1')
    this.#outer = Buffer.concat([padded(key, OUTER_PAD), Buffer.alloc(DIGEST_BYTES)])
  }

  hash(text: string): string {
    // Unset fields are most of what a role shows, and say nothing.
    if (text === '') return this.remembered(text)
    return this.#make(text)
  }

  #make(text: string): string {
    if (this.#inner === undefined) throw new Error('internal error: the audit salt is gone')
    this.#outer.write(hash('sha256', this.#inner + text, 'binary'), BLOCK_BYTES, 'binary')
    return PREFIX + hash('sha256', this.#outer, 'hex')
  }

  /** The same, kept for the next time: only for texts that come with every request and are no secrets (protocols 2.3). */
  remembered(text: string): string {
    const known = this.#remembered.get(text)
    if (known !== undefined) return known
    if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear()
    const made = this.#make(text)
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
    this.#inner = undefined
    this.#outer.fill(0)
  }
}

function padded(key: Buffer, pad: number): Buffer {
  return key.map((byte) => byte ^ pad) as Buffer
}
