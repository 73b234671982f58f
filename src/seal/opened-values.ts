/**
 * Memory of opened values, by key and version: a record that is read with every request (a token, a role) is
 * decrypted once a version. Bounded by count and bytes; what is read once makes room before what is read often.
 */
import type { Entry } from '../storage/store.ts'

/** Of each of the two halves. */
const MAX_ENTRIES = 2048
const MAX_BYTES = 8 * 1024 * 1024
const MAX_VALUE_BYTES = 64 * 1024

export class OpenedValues {
  #young = new Map<string, Entry>()
  #old = new Map<string, Entry>()
  #youngBytes = 0

  /** The opened entry, if it was opened at this very version. */
  get(key: string, version: number): Entry | undefined {
    const young = this.#young.get(key)
    if (young) return young.version === version ? young : undefined
    const old = this.#old.get(key)
    if (old?.version !== version) return undefined
    this.#old.delete(key)
    this.set(old)
    return old
  }

  set(opened: Entry): void {
    const size = opened.value.length
    if (size > MAX_VALUE_BYTES) return
    if (this.#young.size >= MAX_ENTRIES || this.#youngBytes + size > MAX_BYTES) {
      this.#old = this.#young
      this.#young = new Map()
      this.#youngBytes = 0
    }
    this.#young.set(opened.key, opened)
    this.#youngBytes += size
  }

  delete(key: string): void {
    this.#young.delete(key)
    this.#old.delete(key)
  }

  clear(): void {
    this.#young.clear()
    this.#old.clear()
    this.#youngBytes = 0
  }
}
