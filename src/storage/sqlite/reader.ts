/**
 * Reads of an SQLite store. Each is one statement run to its end: one snapshot, and none stays
 * pinned (protocols 1.3).
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { afterPrefix } from '../path.ts'
import type { Entry } from '../store.ts'

/**
 * Up to here a statement of its own for each count: half the time of unpacking a JSON list of keys.
 */
const MAX_LISTED_KEYS = 16

type EntryRow = [index: number, value: Uint8Array, version: number]

export class SqliteReader {
  readonly #db: DatabaseSync
  readonly #getByCount = new Map<number, StatementSync>()
  readonly #getMany: StatementSync
  readonly #listFrom: StatementSync
  readonly #listAfter: StatementSync
  readonly #lastVersion: StatementSync

  constructor(db: DatabaseSync) {
    this.#db = db
    this.#getMany = this.#prepare(
      'SELECT w.key, e.v, e.version FROM json_each(?) w CROSS JOIN entries e ON e.k = w.value',
    )
    this.#listFrom = this.#prepare(
      'SELECT k FROM entries WHERE k >= ? AND k < ? ORDER BY k LIMIT ?',
    )
    this.#listAfter = this.#prepare(
      'SELECT k FROM entries WHERE k > ? AND k < ? ORDER BY k LIMIT ?',
    )
    this.#lastVersion = this.#prepare(`SELECT value FROM meta WHERE name = 'version'`)
  }

  get(keys: readonly string[]): (Entry | undefined)[] {
    if (keys.length === 0) return []
    const rows =
      keys.length > MAX_LISTED_KEYS
        ? this.#getMany.all(JSON.stringify(keys))
        : this.#getListed(keys.length).all(...keys)
    const entries: (Entry | undefined)[] = keys.map(() => undefined)
    for (const [index, value, version] of rows as unknown as EntryRow[]) {
      entries[index] = { key: keys[index] as string, value, version }
    }
    return entries
  }

  list(prefix: string, after: string, limit: number): string[] {
    // One lower bound, the greater of the two: with both SQLite may start at the lesser for every
    // page.
    const isInside = Buffer.compare(Buffer.from(after), Buffer.from(prefix)) >= 0
    const statement = isInside && after !== '' ? this.#listAfter : this.#listFrom
    const rows = statement.all(isInside ? after : prefix, afterPrefix(prefix), limit)
    return (rows as unknown as [string][]).map(([key]) => key)
  }

  /** The last version given to an entry in committed data. */
  lastVersion(): number {
    return (this.#lastVersion.get() as unknown as [number])[0]
  }

  close(): void {
    this.#db.close()
  }

  #getListed(count: number): StatementSync {
    let statement = this.#getByCount.get(count)
    if (!statement) {
      statement = this.#prepare(
        count === 1
          ? 'SELECT 0, v, version FROM entries WHERE k = ?'
          : `WITH w(i, k) AS (VALUES ${Array.from({ length: count }, (_, i) => `(${i}, ?)`).join()})
             SELECT w.i, e.v, e.version FROM w CROSS JOIN entries e ON e.k = w.k`,
      )
      this.#getByCount.set(count, statement)
    }
    return statement
  }

  #prepare(sql: string): StatementSync {
    const statement = this.#db.prepare(sql)
    statement.setReturnArrays(true)
    return statement
  }
}
