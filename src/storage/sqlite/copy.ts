/** Whole copies of an SQLite store, made while a server may be writing to it. */
import { backup, DatabaseSync } from 'node:sqlite'
import type { Write } from '../store.ts'
import { createPrivateFile, syncPath } from './file.ts'
import { checkFormat, migrate } from './format.ts'
import { SqliteWriter } from './writer.ts'

const ALL_PAGES = 0x7fff_ffff

/**
 * Copies one snapshot of a store into the new file `to`: private, checked, durable, and a single
 * file without a log. Throws when `from` is no store or has a newer format; then `to` may be left
 * behind.
 */
export async function copyStore(from: string, to: string): Promise<void> {
  const source = new DatabaseSync(from, { readOnly: true, timeout: 5_000 })
  try {
    if (checkFormat(source) === 0) throw new Error('it is not a store')
    createPrivateFile(to)
    // All pages in one step: a copy in pieces starts again at every commit of the server.
    await backup(source, to, { rate: ALL_PAGES })
  } finally {
    source.close()
  }
  withFile(to, (copy) => {
    copy.exec('PRAGMA journal_mode = DELETE')
    const damage = copy.prepare('PRAGMA quick_check(1)').get()?.['quick_check']
    if (damage !== 'ok') throw new Error(`it is damaged: ${damage}`)
  })
  syncPath(to)
}

/** Writes entries into a closed copy, after bringing it to the present format. */
export function writeToCopy(file: string, writes: readonly Write[], clockMicros: number): void {
  withFile(file, (copy) => {
    migrate(copy)
    new SqliteWriter(copy, clockMicros).apply([{ writes, conditions: [] }])
  })
  syncPath(file)
}

/**
 * Writes a store's log back into its file, so that the file alone is the store. Throws when the
 * store is damaged.
 */
export function foldLog(file: string): void {
  // The last connection does it when it closes.
  withFile(file, (db) => db.exec('PRAGMA wal_checkpoint(TRUNCATE)'))
}

function withFile(file: string, work: (db: DatabaseSync) => void): void {
  const db = new DatabaseSync(file)
  try {
    work(db)
  } finally {
    db.close()
  }
}
