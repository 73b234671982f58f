/** Backups of a store in use, and their return (protocols 1.10). */
import assert from 'node:assert/strict'
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { backUpStore, type RestoreMark, restoreStore } from '../../src/storage/backup.ts'
import { RESTORED_KEY, SEAL_KEY } from '../../src/storage/path.ts'
import { openSqliteStore } from '../../src/storage/sqlite/sqlite.ts'
import type { Store } from '../../src/storage/store.ts'
import { decodeRecord } from '../../src/storage/view.ts'
import { openInFile, temporaryFolder } from './open-stores.ts'

async function put(store: Store, ...keys: string[]): Promise<void> {
  const writes = keys.map((key) => ({ key, value: Buffer.from(key) }))
  assert.deepEqual(await store.commit(writes, []), { committed: true })
}

async function keysIn(file: string): Promise<readonly string[]> {
  const store = await openSqliteStore({ path: file })
  try {
    return await store.list('', '', 100)
  } finally {
    await store.close()
  }
}

/** A stopped server's store with these keys. */
async function makeStore(file: string, ...keys: string[]): Promise<void> {
  const store = await openSqliteStore({ path: file })
  await put(store, ...keys)
  await store.close()
}

test('a backup of a store in use holds every acknowledged write and nothing half', async () => {
  await using opened = await openInFile()
  await put(opened.store, 'before')
  const to = path.join(path.dirname(opened.file), 'backup.db')
  let isRunning = true
  const writing = (async () => {
    for (let i = 0; isRunning; i++) await put(opened.store, `pair/${i}/a`, `pair/${i}/b`)
  })()
  await backUpStore({ path: opened.file, to })
  await put(opened.store, 'after')
  isRunning = false
  await writing
  const keys = await keysIn(to)
  assert.ok(keys.includes('before'))
  assert.ok(!keys.includes('after'))
  assert.equal(keys.length % 2, 1, 'pairs are whole')
})

test('a backup is one private file, and replaces an older one', async () => {
  await using opened = await openInFile()
  using folder = temporaryFolder()
  const to = path.join(folder.path, 'backup.db')
  writeFileSync(to, 'an older one', { mode: 0o644 })
  await put(opened.store, 'a')
  await backUpStore({ path: opened.file, to })
  assert.deepEqual(readdirSync(folder.path), ['backup.db'])
  assert.equal(statSync(to).mode & 0o777, 0o600)
  assert.equal(readFileSync(to).subarray(0, 15).toString(), 'SQLite format 3')
})

test('a backup that cannot be made leaves the older one', async () => {
  await using opened = await openInFile()
  using folder = temporaryFolder()
  const to = path.join(folder.path, 'backup.db')
  writeFileSync(to, 'an older one')
  const notAStore = path.join(folder.path, 'text')
  writeFileSync(notAStore, 'x'.repeat(5000))
  const refused: [path: string, to: string, reason: RegExp][] = [
    [notAStore, to, /not a database/],
    [path.join(folder.path, 'missing.db'), to, /unable to open/],
    [opened.file, path.join(folder.path, 'missing', 'backup.db'), /ENOENT/],
    [opened.file, opened.file, /the store itself/],
    [opened.file, `${opened.file}-wal`, /the store itself/],
  ]
  for (const [from, target, reason] of refused) {
    await assert.rejects(backUpStore({ path: from, to: target }), {
      code: 'store_failed',
      message: reason,
    })
  }
  assert.equal(readFileSync(to, 'utf8'), 'an older one')
  assert.deepEqual(readdirSync(folder.path).sort(), ['backup.db', 'text'])
})

test('protocols 1.10: a restore brings the backup’s entries, sealed and with its mark, and keeps what it replaces', async () => {
  using folder = temporaryFolder()
  const [file, backup] = [path.join(folder.path, 'store.db'), path.join(folder.path, 'backup.db')]
  await makeStore(file, 'otp', 'role', SEAL_KEY)
  await backUpStore({ path: file, to: backup })
  await makeStore(file, 'newer')
  const clock = { now: () => 5_000_000 }
  const { replaced } = await restoreStore({ from: backup, path: file, clock })
  assert.equal(replaced, `${file}.replaced-5000000`)
  assert.equal(statSync(file).mode & 0o777, 0o600)
  const store = await openSqliteStore({ path: file, clock })
  const [mark] = await store.get([RESTORED_KEY])
  assert.deepEqual(decodeRecord<RestoreMark>(mark?.value ?? assert.fail('marked')), {
    restored_at: '1970-01-01T01:23:20.000Z',
    keep_tokens: false,
  })
  assert.deepEqual(await store.list('', '', 9), [RESTORED_KEY, 'otp', 'role'])
  await store.close()
  assert.deepEqual(await keysIn(replaced ?? ''), [SEAL_KEY, 'newer', 'otp', 'role'])
})

test('a restore begins a store where there is none, with tokens when told to', async () => {
  using folder = temporaryFolder()
  const [file, backup] = [path.join(folder.path, 'store.db'), path.join(folder.path, 'backup.db')]
  await makeStore(backup, 'a')
  assert.deepEqual(await restoreStore({ from: backup, path: file, keepTokens: true }), {
    replaced: undefined,
  })
  const store = await openSqliteStore({ path: file })
  const [mark] = await store.get([RESTORED_KEY])
  assert.equal(decodeRecord<RestoreMark>(mark?.value ?? assert.fail('marked')).keep_tokens, true)
  await store.close()
})

test('the log of a killed server is not applied to the restored file', async () => {
  using folder = temporaryFolder()
  const [file, backup] = [path.join(folder.path, 'store.db'), path.join(folder.path, 'backup.db')]
  await makeStore(backup, 'from the backup')
  {
    // As after kill -9: the file and its log, without the process.
    await using opened = await openInFile()
    await put(opened.store, 'only in the log')
    copyFileSync(opened.file, file)
    copyFileSync(`${opened.file}-wal`, `${file}-wal`)
  }
  const { replaced } = await restoreStore({ from: backup, path: file })
  assert.equal(existsSync(`${replaced}-wal`), false, 'one file is the whole old store')
  assert.deepEqual(await keysIn(file), ['from the backup', RESTORED_KEY])
  assert.deepEqual(await keysIn(replaced ?? ''), ['only in the log'])
})

test('a damaged store is replaced too, and kept with its log', async () => {
  using folder = temporaryFolder()
  const [file, backup] = [path.join(folder.path, 'store.db'), path.join(folder.path, 'backup.db')]
  await makeStore(backup, 'a')
  writeFileSync(file, 'damaged '.repeat(1000))
  writeFileSync(`${file}-wal`, 'log')
  const { replaced } = await restoreStore({ from: backup, path: file })
  assert.equal(readFileSync(`${replaced}-wal`, 'utf8'), 'log')
  assert.deepEqual(await keysIn(file), ['a', RESTORED_KEY])
})

test('a restore is refused while a server uses the store', async () => {
  await using opened = await openInFile()
  await put(opened.store, 'kept')
  const backup = path.join(path.dirname(opened.file), 'backup.db')
  await backUpStore({ path: opened.file, to: backup })
  await assert.rejects(restoreStore({ from: backup, path: opened.file }), {
    code: 'store_failed',
    message: `cannot restore the store ${opened.file}: it is in use by another server`,
  })
  await put(opened.store, 'goes on')
  assert.deepEqual(await opened.store.list('', '', 9), ['goes on', 'kept'])
})

test('a restore from what is no backup leaves the store as it was', async () => {
  using folder = temporaryFolder()
  const [file, text] = [path.join(folder.path, 'store.db'), path.join(folder.path, 'text')]
  await makeStore(file, 'kept')
  writeFileSync(text, 'x'.repeat(5000))
  const missing = path.join(folder.path, 'missing')
  for (const from of [text, missing]) {
    await assert.rejects(restoreStore({ from, path: file }), { code: 'store_failed' })
  }
  assert.deepEqual(await keysIn(file), ['kept'])
  assert.deepEqual(readdirSync(folder.path).sort(), ['store.db', 'store.db.lock', 'text'])
})
