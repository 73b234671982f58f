/** Values that must not print, and the one comparison in constant time. */
import { createHash, timingSafeEqual } from 'node:crypto'

const REDACTED = '[redacted]'

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
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(one), digest(other))
}
