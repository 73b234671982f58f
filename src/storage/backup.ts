/**
 * Backup and restore of a store in a file (protocols 1.10). Values stay sealed throughout: a backup
 * needs no unseal key to make, and is of no use without one.
 */
import { existsSync, linkSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import { type Clock, systemClock } from '../clock.ts'
import { RESTORED_KEY, SEAL_KEY } from './path.ts'
import { copyStore, foldLog, writeToCopy } from './sqlite/copy.ts'
import { lockStore, realStorePath, storeRefusal, syncPath } from './sqlite/file.ts'

export interface BackupOptions {
  /** The store's file; a server may be using it. */
  readonly path: string
  /** The backup, replaced as a whole when it exists. */
  readonly to: string
}

export interface RestoreOptions {
  /** The backup; it is only read. */
  readonly from: string
  /** The store's file; no server may be using it. */
  readonly path: string
  /** Whether tokens of the backup stay valid, those revoked since among them. */
  readonly keepTokens?: boolean
  /** Accessor of the one token that stays valid when the others do not. */
  readonly keepAccessor?: string | undefined
  readonly clock?: Clock
}

/** The value of `meta/restored`, as JSON that is not sealed: a restore has no keys. */
export interface RestoreMark {
  readonly restored_at: string
  readonly keep_tokens: boolean
  readonly keep_accessor?: string
}

/**
 * Writes a snapshot of the store to a private file, durable when this resolves; rejects with
 * `store_failed` and the reason.
 */
export async function backUpStore({ path: file, to }: BackupOptions): Promise<void> {
  try {
    const store = realStorePath(file)
    const target = realStorePath(to)
    if (filesOf(store).includes(target))
      throw new Error('the backup would replace the store itself')
    await replaceWhole(target, (partial) => copyStore(store, partial))
  } catch (error) {
    throw storeRefusal('back up', file, error)
  }
}

/**
 * Puts a backup in the place of a stopped server's store and marks it (`RESTORED_KEY`). What was
 * there is kept under the name that is returned. Rejects with `store_failed` and the reason, and
 * then the store is as it was.
 */
export async function restoreStore(
  options: RestoreOptions,
): Promise<{ readonly replaced: string | undefined }> {
  const { from, path: file, keepTokens = false, keepAccessor, clock = systemClock } = options
  try {
    const store = realStorePath(file)
    const lock = lockStore(store)
    try {
      const now = clock.now()
      const replaced = existsSync(store) ? `${store}.replaced-${now}` : undefined
      await replaceWhole(store, async (partial) => {
        await copyStore(from, partial)
        const restored: RestoreMark = {
          restored_at: new Date(now).toISOString(),
          keep_tokens: keepTokens,
          ...(keepAccessor === undefined ? {} : { keep_accessor: keepAccessor }),
        }
        const mark = { key: RESTORED_KEY, value: Buffer.from(JSON.stringify(restored)) }
        // Without a mark the server is sealed, and does not unseal by itself (protocols 1.8 and 1.10).
        writeToCopy(partial, [mark, { key: SEAL_KEY }], now * 1000)
        if (replaced !== undefined) keepAside(store, replaced)
      })
      return { replaced }
    } finally {
      lock.release()
    }
  } catch (error) {
    throw storeRefusal('restore', file, error)
  }
}

/**
 * Gives `target` its new content in one step that survives a crash; on an error it is as it was.
 */
async function replaceWhole(
  target: string,
  write: (partial: string) => Promise<void>,
): Promise<void> {
  const partial = `${target}.partial`
  const removePartial = (): void => {
    for (const name of filesOf(partial)) rmSync(name, { force: true })
  }
  removePartial()
  try {
    await write(partial)
    renameSync(partial, target)
  } catch (error) {
    removePartial()
    throw error
  }
  syncPath(path.dirname(target))
}

/**
 * A second name for the old store, and no log left beside it: SQLite would apply that to the new
 * file.
 */
function keepAside(store: string, replaced: string): void {
  linkSync(store, replaced)
  if (existsSync(`${store}-wal`)) linkSync(`${store}-wal`, `${replaced}-wal`)
  try {
    foldLog(store)
    rmSync(`${replaced}-wal`, { force: true })
  } catch {
    // Damaged, which may be why it is being replaced: file and log are kept as they are.
  }
  for (const ending of ['-wal', '-shm']) rmSync(store + ending, { force: true })
}

function filesOf(store: string): string[] {
  return ['', '-wal', '-shm', '-journal', '.lock'].map((ending) => store + ending)
}
