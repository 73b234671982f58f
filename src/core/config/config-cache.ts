/**
 * Configuration kept decoded (protocols 1.3). Everything under `cfg/` is current exactly as long as the store's
 * generation is the one it was read at: a request that sees another generation starts with an empty cache.
 */
import { Buffer } from 'node:buffer'
import type { ConfigView } from '../../mount/call.ts'
import { GENERATION_KEY } from '../../storage/path.ts'
import type { Entry, Store } from '../../storage/store.ts'
import { keysUnder } from '../../storage/view.ts'

/** The configuration changed under the request: it starts again. */
export class StaleGeneration extends Error {
  override readonly name = 'StaleGeneration'
}

export class ConfigCache {
  readonly #store: Store
  #current: ConfigSnapshot | undefined

  constructor(store: Store) {
    this.#store = store
  }

  /** The configuration as of a generation that the request has just read. */
  at(generation: Entry | undefined): ConfigSnapshot {
    const name = generationName(generation)
    if (this.#current?.generation === name) return this.#current
    this.#current = new ConfigSnapshot(this.#store, name, generation?.version)
    return this.#current
  }

  /** Forgets everything: on seal. */
  clear(): void {
    this.#current = undefined
  }
}

function generationName(entry: Entry | undefined): string {
  return entry === undefined ? '' : Buffer.from(entry.value).toString('latin1')
}

export class ConfigSnapshot {
  readonly #store: Store
  readonly #values = new Map<string, unknown>()
  readonly #memos = new Map<string, unknown>()
  readonly generation: string
  /** For the condition "generation unchanged"; undefined in a store that never had one. */
  readonly version: number | undefined

  constructor(store: Store, generation: string, version: number | undefined) {
    this.#store = store
    this.generation = generation
    this.version = version
  }

  /** The decoded value of a `cfg/` key. Throws StaleGeneration when the configuration has changed. */
  async get<T>(key: string, decode: (value: Uint8Array) => T): Promise<T | undefined> {
    const known = this.#values.get(key)
    if (known !== undefined) return known as T
    const [generation, entry] = await this.#store.get([GENERATION_KEY, key])
    this.#refuseOther(generation)
    const value = entry && decode(entry.value)
    // Absence is not remembered: callers choose the names.
    if (value !== undefined) this.#values.set(key, value)
    return value
  }

  /** All keys under a prefix, without it. */
  list(prefix: string): Promise<readonly string[]> {
    return this.memo(`list ${prefix}`, async () => {
      const names: string[] = []
      for await (const key of keysUnder(this.#store, prefix)) names.push(key.slice(prefix.length))
      const [generation] = await this.#store.get([GENERATION_KEY])
      // Random values do not recur: equal before and after means nothing changed between.
      this.#refuseOther(generation)
      return names
    })
  }

  /** Something made from this configuration, made once. */
  async memo<T>(name: string, make: () => Promise<T>): Promise<T> {
    if (this.#memos.has(name)) return this.#memos.get(name) as T
    const value = await make()
    this.#memos.set(name, value)
    return value
  }

  forget(name: string): void {
    this.#memos.delete(name)
  }

  /** The part of the configuration under `prefix`. */
  view(prefix: string): ConfigView {
    return {
      get: (name, decode) => this.get(prefix + name, decode),
      list: (folder) => this.list(prefix + folder),
      put: (name, value) => ({ key: prefix + name, value }),
      remove: (name) => ({ key: prefix + name }),
    }
  }

  #refuseOther(generation: Entry | undefined): void {
    if (generationName(generation) !== this.generation) throw new StaleGeneration()
  }
}
