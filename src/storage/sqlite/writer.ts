/**
 * Applies groups of batches on the connection that writes (protocols 1.1 and 1.2): one transaction
 * a group.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { APPLIED, type Batch } from '../group-commit.ts'
import { afterPrefix } from '../path.ts'
import type { Condition } from '../store.ts'

export class SqliteWriter {
  readonly #db: DatabaseSync
  readonly #begin: StatementSync
  readonly #commit: StatementSync
  readonly #setVersion: StatementSync
  readonly #versionOf: StatementSync
  readonly #anyUnder: StatementSync
  readonly #put: StatementSync
  readonly #remove: StatementSync
  #version: number
  /** Versions of keys as this transaction has met them: batches of a group ask about the same few. Undefined: no such key. */
  readonly #met = new Map<string, number | undefined>()

  /**
   * Versions count upwards over the whole store from the greater of `clockMicros` and the last one
   * given, so that none comes back for a key: not after its removal (the last one is stored with
   * each group), and not after the restore of a backup either (a store gives fewer than a million
   * versions a second).
   */
  constructor(db: DatabaseSync, clockMicros: number) {
    this.#db = db
    this.#begin = db.prepare('BEGIN IMMEDIATE')
    this.#commit = db.prepare('COMMIT')
    this.#setVersion = db.prepare(`UPDATE meta SET value = ? WHERE name = 'version'`)
    this.#versionOf = db.prepare('SELECT version FROM entries WHERE k = ?')
    this.#versionOf.setReturnArrays(true)
    this.#anyUnder = db.prepare('SELECT 1 FROM entries WHERE k >= ? AND k < ? LIMIT 1')
    this.#put = db.prepare(
      `INSERT INTO entries VALUES (?, ?, ?)
       ON CONFLICT (k) DO UPDATE SET v = excluded.v, version = excluded.version`,
    )
    this.#remove = db.prepare('DELETE FROM entries WHERE k = ?')
    const row = db.prepare(`SELECT value FROM meta WHERE name = 'version'`).get()
    this.#version = Math.max(clockMicros, Number(row?.['value']))
    this.recover()
  }

  /**
   * Applies batches in order; each sees those before it. `announce` is called with the outcomes and
   * the group's last version before the commit. On an error the transaction is rolled back.
   */
  apply(
    batches: readonly Batch[],
    announce?: (outcomes: number[], version: number) => void,
  ): number[] {
    return this.#inTransaction(() => {
      const before = this.#version
      const outcomes = batches.map((batch) => this.#applyBatch(batch))
      if (this.#version !== before) this.#setVersion.run(this.#version)
      announce?.(outcomes, this.#version)
      return outcomes
    })
  }

  /**
   * A commit of its own, due after a failed one: when only the sync failed, the refused group lies
   * whole in the log and would come back with the next crash; this writes over it. It also tells
   * whether the store can write again.
   */
  recover(): void {
    this.#inTransaction(() => this.#setVersion.run(++this.#version))
  }

  #inTransaction<T>(work: () => T): T {
    this.#begin.run()
    try {
      const result = work()
      this.#commit.run()
      return result
    } catch (error) {
      // Some errors make SQLite roll back by itself.
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
      throw error
    } finally {
      this.#met.clear()
    }
  }

  #applyBatch({ writes, conditions }: Batch): number {
    const failed = conditions.findIndex((condition) => !this.#holds(condition))
    if (failed >= 0) return failed
    for (const { key, value } of writes) {
      this.#version++
      if (value) this.#put.run(key, value, this.#version)
      else this.#remove.run(key)
      this.#met.set(key, value && this.#version)
    }
    return APPLIED
  }

  #holds({ key, is }: Condition): boolean {
    if (is === 'empty') return this.#anyUnder.get(key, afterPrefix(key)) === undefined
    const version = this.#versionAt(key)
    if (is === 'absent') return version === undefined
    return is === 'present' ? version !== undefined : version === is
  }

  #versionAt(key: string): number | undefined {
    if (this.#met.has(key)) return this.#met.get(key)
    const row = this.#versionOf.get(key) as unknown as [number] | undefined
    this.#met.set(key, row?.[0])
    return row?.[0]
  }
}
