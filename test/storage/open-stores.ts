/**
 * Opens empty SQLite stores for tests, in memory or in a folder of their own that goes with them.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Clock } from '../../src/clock.ts'
import { openReader } from '../../src/storage/sqlite/file.ts'
import { SqliteReader } from '../../src/storage/sqlite/reader.ts'
import { openSqliteStore } from '../../src/storage/sqlite/sqlite.ts'
import type { Store } from '../../src/storage/store.ts'
import type { OpenedStore } from './conformance.ts'

/** A folder that is removed with all its files at the end of its scope. */
export function temporaryFolder(): Disposable & { readonly path: string } {
  const folder = mkdtempSync(path.join(tmpdir(), 'postern-store-'))
  return { path: folder, [Symbol.dispose]: () => rmSync(folder, { recursive: true }) }
}

export async function openInMemory(): Promise<OpenedStore> {
  const store = await openSqliteStore({ path: ':memory:' })
  return {
    store,
    secondReader: async () => store,
    [Symbol.asyncDispose]: () => store.close(),
  }
}

export async function openInFile(clock?: Clock): Promise<OpenedStore & { readonly file: string }> {
  const folder = temporaryFolder()
  const file = path.join(folder.path, 'store.db')
  const store = await openSqliteStore({ path: file, ...(clock && { clock }) })
  const readers: SqliteReader[] = []
  const secondReader = async (): Promise<Pick<Store, 'get'>> => {
    const reader = new SqliteReader(openReader(file))
    readers.push(reader)
    return { get: async (keys) => reader.get(keys) }
  }
  const close = async (): Promise<void> => {
    for (const reader of readers) reader.close()
    await store.close()
    folder[Symbol.dispose]()
  }
  return { store, file, secondReader, [Symbol.asyncDispose]: close }
}
