/**
 * A part of the store under one prefix: an engine sees no more than this. Also the walks over long
 * lists.
 */
import { afterPrefix } from './path.ts'
import type { CommitResult, Condition, Entry, Store, Write } from './store.ts'

const PAGE = 500

export class StoreView {
  readonly #store: Store
  readonly prefix: string

  constructor(store: Store, prefix: string) {
    this.#store = store
    this.prefix = prefix
  }

  key(name: string): string {
    return this.prefix + name
  }

  async get(name: string): Promise<Entry | undefined> {
    const [entry] = await this.#store.get([this.key(name)])
    return entry
  }

  /** The entries at these names, in their order, from one snapshot. */
  getAll(names: readonly string[]): Promise<readonly (Entry | undefined)[]> {
    return this.#store.get(names.map((name) => this.key(name)))
  }

  /** Names under `folder`, without the view's prefix. */
  async list(folder: string, after = '', limit: number = PAGE): Promise<string[]> {
    const from = after === '' ? '' : this.key(after)
    const keys = await this.#store.list(this.key(folder), from, limit)
    return keys.map((key) => key.slice(this.prefix.length))
  }

  /** The names directly under `folder`, without it; a folder ends in `/` and is named once. */
  children(folder: string): Promise<string[]> {
    return childrenOf(this.#store, this.key(folder))
  }

  put(name: string, value: Uint8Array): Write {
    return { key: this.key(name), value }
  }

  /**
   * Stores a value at once where there is none; false when there is one. For what has to be kept before the call
   * goes on: everything else is a write of its outcome.
   */
  async create(name: string, value: Uint8Array): Promise<boolean> {
    const result = await this.#store.commit([this.put(name, value)], [this.when(name, 'absent')])
    return result.committed
  }

  /** Commits at once, for what acts by itself: everything else is part of the outcome. */
  commit(writes: readonly Write[], conditions: readonly Condition[]): Promise<CommitResult> {
    return this.#store.commit(writes, conditions)
  }

  remove(name: string): Write {
    return { key: this.key(name) }
  }

  when(name: string, is: Condition['is']): Condition {
    return { key: this.key(name), is }
  }
}

/** Every key under a prefix, read in pages: the caller may stop at any. */
export async function* keysUnder(store: Store, prefix: string): AsyncGenerator<string> {
  for (let after = ''; ; ) {
    const page = await store.list(prefix, after, PAGE)
    yield* page
    if (page.length < PAGE) return
    after = page[page.length - 1] as string
  }
}

/**
 * The names directly under a prefix, without it; a folder ends in `/` and is named once, whatever
 * it holds.
 */
export async function childrenOf(store: Store, prefix: string): Promise<string[]> {
  const names: string[] = []
  for (let after = ''; ; ) {
    const page = await store.list(prefix, after, PAGE)
    let folder: string | undefined
    for (const key of page) {
      if (folder !== undefined && key.startsWith(folder)) continue
      const slash = key.indexOf('/', prefix.length)
      folder = slash < 0 ? undefined : key.slice(0, slash + 1)
      names.push((folder ?? key).slice(prefix.length))
    }
    if (page.length < PAGE) return names
    // Nothing more of the folder in which the page ended has to be read.
    after = folder === undefined ? (page[page.length - 1] as string) : afterPrefix(folder)
  }
}

/** A JSON value as stored bytes, and back. */
export function encodeRecord(record: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(record))
}

export function decodeRecord<T>(value: Uint8Array): T {
  return JSON.parse(Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString()) as T
}
