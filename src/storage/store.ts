/**
 * The store's interface: what very different databases can all do well, and nothing more
 * (protocols 1.1 to 1.4 state what has to hold under concurrency and crashes).
 */

/** A stored value. `version` changes with every write of the key and never comes back. */
export interface Entry {
  readonly key: string
  readonly value: Uint8Array
  readonly version: number
}

/** Sets a key, or removes it where `value` is absent. */
export interface Write {
  readonly key: string
  readonly value?: Uint8Array
}

/**
 * What has to hold for a batch to be applied: the key is absent, present, or at a version; or no key begins with it
 * (`empty`). `absent` is allowed only for a key that the same batch writes. `empty` holds for good only where the
 * batch also removes or changes a key that everybody who adds to the prefix has as condition.
 */
export interface Condition {
  readonly key: string
  readonly is: 'absent' | 'present' | 'empty' | number
}

/** `failed` is the first condition that did not hold; then nothing was written. */
export type CommitResult =
  | { readonly committed: true }
  | { readonly committed: false; readonly failed: Condition }

/** An ordered map from keys (ordered by their UTF-8 bytes) to values. Every method may reject with a PosternError. */
export interface Store {
  /** The entries at these keys, in their order, from one snapshot of committed data. */
  get(keys: readonly string[]): Promise<readonly (Entry | undefined)[]>

  /** Up to `limit` keys that begin with `prefix` and come after the key `after` ('' = from the first), in order. */
  list(prefix: string, after: string, limit: number): Promise<readonly string[]>

  /**
   * Applies all writes, or none when a condition fails. Resolves only when the batch is durable; rejects when
   * the store failed, and then nothing was written. Concurrent batches may share one commit of the database:
   * they are applied in the order of their calls, each seeing those before it, each with its own result.
   */
  commit(writes: readonly Write[], conditions: readonly Condition[]): Promise<CommitResult>

  close(): Promise<void>
}
