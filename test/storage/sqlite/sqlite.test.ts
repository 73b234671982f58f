/**
 * What is SQLite's alone: the file's privacy and lock, its format, its versions over restarts, and
 * a writer that dies.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, test } from 'node:test'
import type { Worker } from 'node:worker_threads'
import { openWriter } from '../../../src/storage/sqlite/file.ts'
import { migrate, migrations, readFormat } from '../../../src/storage/sqlite/format.ts'
import { openSqliteStore } from '../../../src/storage/sqlite/sqlite.ts'
import { SqliteWriter } from '../../../src/storage/sqlite/writer.ts'
import type { Entry, Store } from '../../../src/storage/store.ts'
import { openInFile, temporaryFolder } from '../open-stores.ts'

const value = Buffer.from('value')

async function entryAt(store: Store, key: string): Promise<Entry | undefined> {
  const [entry] = await store.get([key])
  return entry
}

/** Opens, works and closes. */
async function withStore<T>(
  file: string,
  work: (store: Store) => Promise<T>,
  now?: number,
): Promise<T> {
  const clock = now === undefined ? undefined : { now: () => now }
  const store = await openSqliteStore({ path: file, ...(clock && { clock }) })
  try {
    return await work(store)
  } finally {
    await store.close()
  }
}

/** A database as SQL makes it. */
function fixture(file: string, sql: string): void {
  const db = new DatabaseSync(file)
  db.exec(sql)
  db.close()
}

describe('the file', () => {
  test('all its files are readable by their owner alone', async () => {
    await using opened = await openInFile()
    await opened.store.commit([{ key: 'a', value }], [])
    for (const name of ['', '-wal', '-shm', '.lock']) {
      assert.equal(statSync(opened.file + name).mode & 0o777, 0o600, name)
    }
  })

  test('protocols 1.2: a commit waits for the disk', () => {
    using folder = temporaryFolder()
    const file = path.join(folder.path, 'store.db')
    const db = openWriter(file)
    const { synchronous } = db.prepare('PRAGMA synchronous').get() ?? {}
    const { journal_mode: mode } = db.prepare('PRAGMA journal_mode').get() ?? {}
    db.close()
    // 2 is FULL: with the log alone, each commit is synced.
    assert.deepEqual([synchronous, mode], [2, 'wal'])
  })

  test('a closed store is one file that holds everything', async () => {
    using folder = temporaryFolder()
    const file = path.join(folder.path, 'store.db')
    await withStore(file, (store) => store.commit([{ key: 'a', value }], []))
    assert.equal(statSync(`${file}-wal`, { throwIfNoEntry: false }), undefined)
    assert.ok(await withStore(file, (store) => entryAt(store, 'a')))
  })

  test('it opens once at a time, whichever name it is given', async () => {
    await using opened = await openInFile()
    const alias = path.join(path.dirname(opened.file), 'alias.db')
    symlinkSync(opened.file, alias)
    for (const name of [opened.file, alias]) {
      await assert.rejects(openSqliteStore({ path: name }), {
        code: 'store_failed',
        message: `cannot open the store ${name}: it is in use by another server`,
      })
    }
    await opened.store.commit([{ key: 'a', value }], [])
  })

  test('a file that cannot be opened is refused with the reason', async () => {
    using folder = temporaryFolder()
    const cases: [name: string, make: (file: string) => void, reason: RegExp][] = [
      ['missing/store.db', () => {}, /ENOENT/],
      ['text.db', (file) => writeFileSync(file, 'x'.repeat(5000)), /not a database/],
      ['folder.db', (file) => mkdirSync(file), /unable to open|EISDIR/],
      ['other.db', (file) => fixture(file, 'CREATE TABLE users (id)'), /of another program/],
    ]
    for (const [name, make, reason] of cases) {
      const file = path.join(folder.path, name)
      make(file)
      await assert.rejects(openSqliteStore({ path: file }), {
        code: 'store_failed',
        message: reason,
      })
      // The refusal has let go of the lock: the same reason comes again.
      await assert.rejects(openSqliteStore({ path: file }), { message: reason })
    }
  })

  test('another program’s database is left as it was', async () => {
    using folder = temporaryFolder()
    const file = path.join(folder.path, 'other.db')
    fixture(file, 'CREATE TABLE users (id)')
    chmodSync(file, 0o644)
    await assert.rejects(openSqliteStore({ path: file }), { code: 'store_failed' })
    const db = new DatabaseSync(file)
    assert.deepEqual({ ...db.prepare('PRAGMA journal_mode').get() }, { journal_mode: 'delete' })
    db.close()
    assert.equal(statSync(file).mode & 0o777, 0o644)
  })
})

describe('the format', () => {
  test('a file of a newer format is refused and not touched', async () => {
    using folder = temporaryFolder()
    const file = path.join(folder.path, 'store.db')
    await withStore(file, (store) => store.commit([{ key: 'a', value }], []))
    fixture(file, `UPDATE meta SET value = 99 WHERE name = 'format'`)
    await assert.rejects(openSqliteStore({ path: file }), {
      code: 'store_failed',
      message: `cannot open the store ${file}: it has format 99, and this version reads formats up to ${migrations.length}`,
    })
    const db = new DatabaseSync(file)
    assert.equal(readFormat(db), 99)
    db.close()
  })

  test('a file of format 0, without a table, becomes one of the present format', async () => {
    using folder = temporaryFolder()
    const file = path.join(folder.path, 'store.db')
    fixture(file, 'PRAGMA page_size = 8192; VACUUM')
    await withStore(file, (store) => store.commit([{ key: 'a', value }], []))
    const db = new DatabaseSync(file)
    assert.equal(readFormat(db), migrations.length)
    db.close()
  })

  test('an older file takes every step that it lacks, once', () => {
    const db = new DatabaseSync(':memory:')
    migrate(db)
    db.exec(`INSERT INTO entries VALUES ('a', x'01', 5)`)
    const steps = [
      ...migrations,
      'UPDATE entries SET version = version + 1',
      `ALTER TABLE entries ADD COLUMN extra TEXT`,
    ]
    migrate(db, steps)
    migrate(db, steps)
    assert.equal(readFormat(db), steps.length)
    assert.deepEqual(
      { ...db.prepare('SELECT k, version, extra FROM entries').get() },
      { k: 'a', version: 6, extra: null },
    )
    db.close()
  })

  test('a step that fails takes back those before it', () => {
    const db = new DatabaseSync(':memory:')
    migrate(db)
    db.exec(`INSERT INTO entries VALUES ('a', x'01', 5)`)
    assert.throws(
      () => migrate(db, [...migrations, 'DELETE FROM entries', 'CREATE TABLE entries (k)']),
      /already exists/,
    )
    assert.equal(readFormat(db), migrations.length)
    assert.equal(db.prepare('SELECT k FROM entries').all().length, 1)
    db.close()
  })
})

describe('versions', () => {
  test('none comes back after a restart, although the clock went back and the entry was removed', async () => {
    using folder = temporaryFolder()
    const file = path.join(folder.path, 'store.db')
    const first = await withStore(
      file,
      async (store) => {
        await store.commit([{ key: 'a', value }], [])
        const entry = await entryAt(store, 'a')
        await store.commit([{ key: 'a' }], [])
        return entry?.version ?? 0
      },
      2_000_000,
    )
    const second = await withStore(
      file,
      async (store) => {
        await store.commit([{ key: 'a', value }], [])
        return (await entryAt(store, 'a'))?.version ?? 0
      },
      1_000,
    )
    assert.ok(first >= 2_000_000_000)
    assert.ok(second > first + 1, 'the removal had a version too')
  })

  test('none comes back after the restore of an old copy: they start at the clock', async () => {
    using folder = temporaryFolder()
    const file = path.join(folder.path, 'store.db')
    await withStore(file, (store) => store.commit([{ key: 'a', value }], []), 1_000)
    const entry = await withStore(
      file,
      async (store) => {
        await store.commit([{ key: 'a', value }], [])
        return entryAt(store, 'a')
      },
      5_000,
    )
    assert.ok((entry?.version ?? 0) > 5_000_000)
  })
})

describe('a writer that fails', () => {
  test('a group that fails midway is taken back whole, and the next one goes through', () => {
    const db = new DatabaseSync(':memory:')
    migrate(db)
    const writer = new SqliteWriter(db, 1)
    db.exec(
      `CREATE TRIGGER full BEFORE INSERT ON entries WHEN NEW.k = 'bad' BEGIN SELECT RAISE(ABORT, 'no space'); END`,
    )
    const batch = (key: string) => ({ writes: [{ key, value }], conditions: [] })
    assert.throws(() => writer.apply([batch('a'), batch('bad'), batch('b')]), /no space/)
    assert.equal(db.prepare('SELECT k FROM entries').all().length, 0)
    assert.deepEqual(writer.apply([batch('a')]), [-1])
    db.close()
  })

  test('an error of the database rejects every member with its cause, and the store goes on', async () => {
    await using opened = await openInFile()
    await opened.store.commit([{ key: 'a', value }], [])
    fixture(
      opened.file,
      `CREATE TRIGGER full BEFORE INSERT ON entries WHEN NEW.k = 'bad' BEGIN SELECT RAISE(ABORT, 'no space'); END`,
    )
    const results = await Promise.allSettled(
      ['b', 'bad', 'c'].map((key) => opened.store.commit([{ key, value }], [])),
    )
    for (const result of results) {
      assert.ok(result.status === 'rejected')
      assert.equal(result.reason.code, 'store_failed')
      assert.equal(result.reason.message, 'internal error')
      assert.equal(result.reason.cause.message, 'no space')
    }
    assert.deepEqual(await opened.store.list('', '', 9), ['a'])
    assert.deepEqual(await opened.store.commit([{ key: 'b', value }], []), { committed: true })
  })

  test('while it cannot write at all every group is refused and reads go on, and then it resumes', async () => {
    await using opened = await openInFile()
    await opened.store.commit([{ key: 'a', value }], [])
    fixture(
      opened.file,
      `CREATE TRIGGER broken BEFORE UPDATE ON meta BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END`,
    )
    for (let attempt = 0; attempt < 3; attempt++) {
      await assert.rejects(opened.store.commit([{ key: 'b', value }], []), { code: 'store_failed' })
      assert.deepEqual(await opened.store.list('', '', 9), ['a'])
    }
    fixture(opened.file, 'DROP TRIGGER broken')
    assert.deepEqual(await opened.store.commit([{ key: 'b', value }], []), { committed: true })
    assert.deepEqual(await opened.store.list('', '', 9), ['a', 'b'])
  })

  test('protocols 1.2: a refused group that lies whole in the log does not come back with a crash', async () => {
    await using opened = await openInFile()
    using folder = temporaryFolder()
    await opened.store.commit([{ key: 'a', value }], [])
    fixture(
      opened.file,
      `CREATE TRIGGER full BEFORE INSERT ON entries WHEN NEW.k = 'bad' BEGIN SELECT RAISE(ABORT, 'no sync'); END`,
    )
    // By another process: closing a file drops the locks that SQLite holds on it in this one.
    const copy = (name: string): string => {
      const to = path.join(folder.path, name)
      execFileSync('cp', [opened.file, to])
      execFileSync('cp', [`${opened.file}-wal`, `${to}-wal`])
      return to
    }
    const keysAfterCrash = (name: string): unknown[] => {
      const db = new DatabaseSync(copy(name))
      const rows = db.prepare('SELECT k FROM entries ORDER BY k').all()
      db.close()
      return rows.map((row) => row['k'])
    }
    // What a commit leaves behind whose sync alone failed: its pages in the log, and nobody told of them.
    const twin = copy('twin')
    const known = statSync(`${twin}-wal`).size
    const db = new DatabaseSync(twin)
    db.exec(`INSERT INTO entries VALUES ('refused', x'00', 1)`)
    const left = path.join(folder.path, 'left')
    writeFileSync(left, readFileSync(`${twin}-wal`).subarray(known))
    db.close()
    execFileSync('sh', ['-c', 'cat "$0" >> "$1"', left, `${opened.file}-wal`])
    assert.deepEqual(keysAfterCrash('before'), ['a', 'refused'])

    await assert.rejects(opened.store.commit([{ key: 'bad', value }], []), { code: 'store_failed' })
    assert.deepEqual(keysAfterCrash('after'), ['a'])
  })

  test('when its thread dies, what was acknowledged is there, what was refused is not, and a new thread goes on', async () => {
    const workers: Worker[] = []
    const collect = (worker: Worker): void => void workers.push(worker)
    process.on('worker', collect)
    try {
      await using opened = await openInFile()
      const acknowledged: string[] = []
      const refused: string[] = []
      for (let round = 0; round < 5; round++) {
        const keys = Array.from({ length: 40 }, (_, i) => `${round}/${i}`)
        const commits = keys.map(async (key, i) => {
          // In several groups, so that the end finds one in flight and others behind it.
          for (let turn = 0; turn < i % 4; turn++) await new Promise(setImmediate)
          const { committed } = await opened.store.commit([{ key, value }], [])
          assert.ok(committed)
        })
        const settled = Promise.allSettled(commits)
        for (let turn = 0; turn < round; turn++) await new Promise(setImmediate)
        await workers.at(-1)?.terminate()
        for (const [i, { status }] of (await settled).entries()) {
          const list = status === 'fulfilled' ? acknowledged : refused
          list.push(keys[i] as string)
        }
      }
      assert.deepEqual(await opened.store.commit([{ key: 'z', value }], []), { committed: true })
      const stored = new Set(await opened.store.list('', '', 1000))
      assert.deepEqual(
        acknowledged.filter((key) => !stored.has(key)),
        [],
      )
      assert.deepEqual(
        refused.filter((key) => stored.has(key)),
        [],
      )
      assert.equal(workers.length, 6)
    } finally {
      process.off('worker', collect)
    }
  })
})

test('the log does not grow with the number of writes', async () => {
  await using opened = await openInFile()
  for (let i = 0; i < 40; i++) {
    const big = Buffer.alloc(100_000, i)
    await Promise.all(
      Array.from({ length: 50 }, (_, n) =>
        opened.store.commit([{ key: `k/${n}`, value: big }], []),
      ),
    )
  }
  assert.ok(statSync(`${opened.file}-wal`).size < 40_000_000)
})
