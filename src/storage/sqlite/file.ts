/**
 * The files of an SQLite store: private from their creation, open for one server at a time, synced
 * when replaced.
 */
import { closeSync, fchownSync, fsyncSync, openSync, realpathSync, statSync } from 'node:fs'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { PosternError } from '../../errors.ts'
import { checkFormat, migrate } from './format.ts'

const SQLITE_BUSY = 5
const MIB = 1024 * 1024

/** A held lock; `release` lets another process open the store. */
export interface StoreLock {
  release(): void
}

/**
 * Makes an empty file that only its owner may read, unless there is a file already. What root makes
 * belongs to the folder's owner, so that a restore by root leaves files that the server can open.
 */
export function createPrivateFile(file: string): void {
  let descriptor: number
  try {
    // Never opens an existing file: closing it again would drop the locks that SQLite holds in this
    // process.
    descriptor = openSync(file, 'wx', 0o600)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return
    throw error
  }
  try {
    if (process.geteuid?.() === 0) {
      const folder = statSync(path.dirname(file))
      fchownSync(descriptor, folder.uid, folder.gid)
    }
  } finally {
    closeSync(descriptor)
  }
  syncPath(path.dirname(file))
}

/** Makes a closed file's content, or a folder's names, durable. */
export function syncPath(target: string): void {
  const descriptor = openSync(target, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

/** One name for one store, whichever way it is spelt; the file itself need not exist. */
export function realStorePath(file: string): string {
  const folder = realpathSync(path.dirname(path.resolve(file)))
  const named = path.join(folder, path.basename(file))
  return statSync(named, { throwIfNoEntry: false }) ? realpathSync(named) : named
}

/**
 * Takes the store for this process by an exclusive lock on `<file>.lock`, which a killed process
 * loses. The store's own file cannot be locked whole: in WAL mode that would shut out this
 * process's readers and backups too.
 */
export function lockStore(file: string): StoreLock {
  const lockFile = `${file}.lock`
  createPrivateFile(lockFile)
  const db = new DatabaseSync(lockFile, { timeout: 0 })
  try {
    db.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    db.close()
    if ((error as { errcode?: unknown }).errcode !== SQLITE_BUSY) throw error
    throw new Error('it is in use by another server')
  }
  return { release: () => db.close() }
}

/**
 * The one connection that writes. Throws for a newer format, and for a database of another program.
 */
export function openWriter(file: string): DatabaseSync {
  const db = new DatabaseSync(file, { timeout: 1000 })
  try {
    // Before anything is changed in a file that may not be ours.
    checkFormat(db)
    const mode = db.prepare('PRAGMA journal_mode = WAL').get()
    if (mode?.['journal_mode'] !== 'wal') throw new Error('its file system has no shared memory')
    // Checkpoints are the caller's, after its answers; a log that a backup had held up shrinks
    // again.
    db.exec(`PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY;
      PRAGMA journal_size_limit = ${64 * MIB}; PRAGMA cache_size = -8192`)
    migrate(db)
  } catch (error) {
    db.close()
    throw error
  }
  return db
}

/** A connection for reads beside the writer: it never waits for it. */
export function openReader(file: string): DatabaseSync {
  const db = new DatabaseSync(file, { readOnly: true, timeout: 1000 })
  db.exec('PRAGMA query_only = ON; PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY')
  return db
}

/** An error about the file as a whole, for the operator who named it. */
export function storeRefusal(action: string, file: string, cause: unknown): PosternError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new PosternError('store_failed', `cannot ${action} the store ${file}: ${reason}`, {
    cause,
  })
}
