/** A store with a test in front of it: what goes in can be delayed, watched or made to fail (style 2.8, Failure). */
import { PosternError } from '../../src/errors.ts'
import type { CommitResult, Condition, Entry, Store, Write } from '../../src/storage/store.ts'

export class InterposedStore implements Store {
  readonly #store: Store
  /** Runs before each commit; when it rejects, the commit does not reach the store. */
  beforeCommit: (writes: readonly Write[]) => Promise<void> | void = () => {}
  /** Runs after each read, before its result is handed over. */
  afterGet: (keys: readonly string[]) => Promise<void> | void = () => {}

  constructor(store: Store) {
    this.#store = store
  }

  async get(keys: readonly string[]): Promise<readonly (Entry | undefined)[]> {
    const entries = await this.#store.get(keys)
    await this.afterGet(keys)
    return entries
  }

  list(prefix: string, after: string, limit: number): Promise<readonly string[]> {
    return this.#store.list(prefix, after, limit)
  }

  async commit(writes: readonly Write[], conditions: readonly Condition[]): Promise<CommitResult> {
    await this.beforeCommit(writes)
    return this.#store.commit(writes, conditions)
  }

  close(): Promise<void> {
    return this.#store.close()
  }

  /** From the n-th commit from now on (1 = the next) every commit fails, as if the process had died there. */
  failFrom(n: number): void {
    let commits = 0
    this.beforeCommit = () => {
      if (++commits >= n) throw new PosternError('store_failed')
    }
  }

  /** Only the n-th commit from now on fails. */
  failOnly(n: number): void {
    let commits = 0
    this.beforeCommit = () => {
      if (++commits === n) throw new PosternError('store_failed')
    }
  }

  /** Everything works again. */
  heal(): void {
    this.beforeCommit = () => {}
    this.afterGet = () => {}
  }
}
