/**
 * Memory of what was read lately from a store that this process alone writes: a request's generation, seal and token are
 * read from it without a statement. A key that a group under way writes is not remembered until the group has settled:
 * reads that touch it go to the database as a whole, so that no answer mixes two states (protocols 1.3).
 */
import type { Entry, Write } from './store.ts'

const MAX_ENTRIES = 4096
/** Larger values are rare, and would make the count no bound. */
const MAX_VALUE_BYTES = 4096

/** Stands for a key that was read and is absent. */
const ABSENT: unique symbol = Symbol('absent')

export class RecentReads {
  readonly #entries = new Map<string, Entry | typeof ABSENT>()
  readonly #beingWritten = new Set<string>()

  /** The entries, if every one of them is known. */
  get(keys: readonly string[]): (Entry | undefined)[] | undefined {
    const found: (Entry | undefined)[] = []
    for (const key of keys) {
      const entry = this.#entries.get(key)
      if (entry === undefined) return undefined
      found.push(entry === ABSENT ? undefined : copyOf(entry))
    }
    return found
  }

  /** Remembers what one statement has read. */
  note(keys: readonly string[], entries: readonly (Entry | undefined)[]): void {
    if (this.#entries.size + keys.length > MAX_ENTRIES) this.#entries.clear()
    for (const [at, key] of keys.entries()) {
      const entry = entries[at]
      if (this.#beingWritten.has(key) || (entry?.value.length ?? 0) > MAX_VALUE_BYTES) continue
      this.#entries.set(key, entry ? copyOf(entry) : ABSENT)
    }
  }

  /** To call before a group is handed to the database. */
  begin(writes: Iterable<Write>): void {
    for (const { key } of writes) {
      this.#entries.delete(key)
      this.#beingWritten.add(key)
    }
  }

  /** To call when the group has settled, whichever way, and before its members learn of it. */
  settle(): void {
    this.#beingWritten.clear()
  }
}

/** What is read is the caller's own: changing it changes nothing remembered. */
function copyOf({ key, value, version }: Entry): Entry {
  return { key, value: new Uint8Array(value), version }
}
