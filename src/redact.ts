/** Values that must not print, text of others that is made printable, and the one comparison in constant time. */
const REDACTED = '[redacted]'
/** Of text that a host sends, in errors and logs (protocols 4.6). */
const MAX_FOREIGN_CHARACTERS = 256

/** A secret text: prints as `[redacted]` wherever it is logged, joined or put in JSON; the field is private, so that inspect shows nothing. */
export class Secret {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  /** The text itself: call it only where the secret is used. */
  reveal(): string {
    return this.#text
  }

  toString(): string {
    return REDACTED
  }

  toJSON(): string {
    return REDACTED
  }
}

/** Compares two texts in a time that does not depend on where they differ. */
export function equalSecrets(one: string, other: string): boolean {
  // Not imported: the command line loads this file for `Secret`, and cryptography takes 8 ms.
  const { createHash, timingSafeEqual } = process.getBuiltinModule('node:crypto')
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(one), digest(other))
}

/** Text from a host or a network for errors and logs: one line of at most 256 printable characters. */
export function printable(text: string): string {
  return text
    .trim()
    .slice(0, MAX_FOREIGN_CHARACTERS)
    .replace(/[^\x20-\x7e]/g, '?')
}
