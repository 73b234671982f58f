/** The layout of the SQLite file: its format number, and the steps from each format to the next. */
import type { DatabaseSync } from 'node:sqlite'

/**
 * Step n takes format n to n + 1; format 0 is an empty file. Steps are only ever added.
 * `meta.version` is the last version given to an entry. Entries have row ids: with 1,500 bytes an
 * entry, WITHOUT ROWID took five times as long to insert and to read.
 */
export const migrations: readonly string[] = [
  `CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
   INSERT INTO meta VALUES ('format', 0), ('version', 0);
   CREATE TABLE entries (k TEXT PRIMARY KEY NOT NULL, v BLOB NOT NULL, version INTEGER NOT NULL) STRICT;`,
]

/** The format of an open file. Throws for a database that is none of ours. */
export function readFormat(db: DatabaseSync): number {
  const tables = db.prepare('SELECT name FROM sqlite_schema').all()
  if (tables.length === 0) return 0
  const isOurs = ['meta', 'entries'].every((ours) => tables.some(({ name }) => name === ours))
  if (!isOurs) throw new Error('it is a database of another program')
  const row = db.prepare(`SELECT value FROM meta WHERE name = 'format'`).get()
  if (typeof row?.['value'] !== 'number') throw new Error('it has no format number')
  return row['value']
}

/** Refuses a format newer than this program's. */
export function checkFormat(db: DatabaseSync, newest: number = migrations.length): number {
  const format = readFormat(db)
  if (format > newest) {
    throw new Error(`it has format ${format}, and this version reads formats up to ${newest}`)
  }
  return format
}

/**
 * Takes an older file to the newest format in one transaction: a crash or an error leaves it as it
 * was.
 */
export function migrate(db: DatabaseSync, steps: readonly string[] = migrations): void {
  if (checkFormat(db, steps.length) === steps.length) return
  db.exec('BEGIN IMMEDIATE')
  try {
    for (const step of steps.slice(checkFormat(db, steps.length))) db.exec(step)
    db.prepare(`UPDATE meta SET value = ? WHERE name = 'format'`).run(steps.length)
    db.exec('COMMIT')
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK')
    throw error
  }
}
