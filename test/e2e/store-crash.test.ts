/**
 * The store when its process is killed, when its disk is full, and when two processes want it
 * (protocols 1.2). POSTERN_CRASH_ROUNDS sets how often the process is killed.
 */
import assert from 'node:assert/strict'
import { type ChildProcessByStdio, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  mkdirSync,
  openSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import type { Readable } from 'node:stream'
import { test } from 'node:test'
import { openSqliteStore } from '../../src/storage/sqlite/sqlite.ts'
import type { Store } from '../../src/storage/store.ts'
import { keysUnder } from '../../src/storage/view.ts'
import { temporaryFolder } from '../storage/open-stores.ts'

const ROUNDS = Number(process.env['POSTERN_CRASH_ROUNDS'] ?? 10)
const WRITER = path.resolve(import.meta.dirname, '../storage/acknowledging-writer.ts')
const SQLITE_FULL = 13

type WriterProcess = ChildProcessByStdio<null, Readable, null>

function startWriter(file: string, round: number): WriterProcess {
  return spawn(process.execPath, [WRITER, file, String(round)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

async function killed(writer: WriterProcess): Promise<void> {
  const exit = once(writer, 'exit')
  writer.kill('SIGKILL')
  await exit
}

async function pairsIn(store: Store): Promise<Map<string, number>> {
  const halves = new Map<string, number>()
  for await (const key of keysUnder(store, 'pair/')) {
    const name = key.slice('pair/'.length, -'/a'.length)
    halves.set(name, (halves.get(name) ?? 0) + 1)
  }
  return halves
}

test(`kill -9 amid 64 writers loses no acknowledged write, ${ROUNDS} times`, async () => {
  using folder = temporaryFolder()
  const file = path.join(folder.path, 'store.db')
  const acknowledged = new Set<string>()
  for (let round = 0; round < ROUNDS; round++) {
    const writer = startWriter(file, round)
    // From the first commits to well after a checkpoint.
    const stopAfter = 1 + Math.floor(Math.random() * 6_000)
    let count = 0
    for await (const line of createInterface({ input: writer.stdout })) {
      if (line === 'open') continue
      acknowledged.add(line)
      if (++count === stopAfter) writer.kill('SIGKILL')
    }
    assert.ok(count >= stopAfter, 'the writer ran until it was killed')
    const store = await openSqliteStore({ path: file })
    const stored = await pairsIn(store)
    await store.close()
    assert.deepEqual(
      [...acknowledged].filter((name) => !stored.has(name)),
      [],
    )
    assert.deepEqual(
      [...stored].filter(([, halves]) => halves !== 2),
      [],
      'no half batch',
    )
  }
})

test('a second process is refused while the first one lives, and let in when it was killed', async () => {
  using folder = temporaryFolder()
  const file = path.join(folder.path, 'store.db')
  const writer = startWriter(file, 0)
  await once(writer.stdout, 'data')
  await assert.rejects(openSqliteStore({ path: file }), {
    code: 'store_failed',
    message: `cannot open the store ${file}: it is in use by another server`,
  })
  await killed(writer)
  const store = await openSqliteStore({ path: file })
  await store.close()
})

test('a store of a newer version is refused', async () => {
  using folder = temporaryFolder()
  const file = path.join(folder.path, 'store.db')
  await (await openSqliteStore({ path: file })).close()
  const db = new DatabaseSync(file)
  db.exec(`UPDATE meta SET value = value + 1 WHERE name = 'format'`)
  db.close()
  await assert.rejects(openSqliteStore({ path: file }), {
    code: 'store_failed',
    message: /has format \d+, and/,
  })
})

/** A file system of 4 MiB, gone at the end of the scope. */
function smallDisk(): Disposable & { readonly path: string } {
  assert.equal(process.getuid?.(), 0, 'this test mounts a small tmpfs: run it as root')
  const folder = temporaryFolder()
  const mountPoint = path.join(folder.path, 'disk')
  mkdirSync(mountPoint)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'postern-test', mountPoint])
  const unmount = (): void => {
    execFileSync('umount', [mountPoint])
    folder[Symbol.dispose]()
  }
  return { path: mountPoint, [Symbol.dispose]: unmount }
}

/** Takes all space but `spare` bytes. */
function fillDisk(disk: string, spare: number): string {
  const ballast = path.join(disk, 'ballast')
  const descriptor = openSync(ballast, 'w')
  const block = Buffer.alloc(65_536)
  try {
    while (writeSync(descriptor, block) === block.length);
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC')
  } finally {
    closeSync(descriptor)
  }
  assert.equal(statfsSync(disk).bfree, 0)
  truncateSync(ballast, statSync(ballast).size - spare)
  return ballast
}

test('a full disk at COMMIT: none is acknowledged, reads go on, and the store resumes with space (protocols 1.2)', async () => {
  using disk = smallDisk()
  const file = path.join(disk.path, 'store.db')
  const store = await openSqliteStore({ path: file })
  const value = Buffer.alloc(1_000, 7)
  const commitAll = (name: string): Promise<PromiseSettledResult<unknown>[]> =>
    Promise.allSettled(
      Array.from({ length: 64 }, (_, i) => store.commit([{ key: `${name}/${i}`, value }], [])),
    )
  try {
    for (const { status } of await commitAll('before')) assert.equal(status, 'fulfilled')
    for (const spare of [0, 20_000]) {
      const ballast = fillDisk(disk.path, spare)
      for (let attempt = 0; attempt < 3; attempt++) {
        for (const result of await commitAll(`refused-${spare}-${attempt}`)) {
          assert.ok(result.status === 'rejected', 'nothing is acknowledged')
          assert.equal(result.reason.code, 'store_failed')
          assert.equal(result.reason.cause.errcode, SQLITE_FULL)
        }
        assert.equal((await store.list('before/', '', 100)).length, 64)
        assert.deepEqual(await store.list('refused', '', 100), [])
      }
      rmSync(ballast)
      for (const { status } of await commitAll(`resumed-${spare}`))
        assert.equal(status, 'fulfilled')
    }
  } finally {
    await store.close()
  }
  const reopened = await openSqliteStore({ path: file })
  assert.equal((await reopened.list('before/', '', 100)).length, 64)
  assert.equal((await reopened.list('resumed-', '', 1000)).length, 128)
  assert.deepEqual(await reopened.list('refused', '', 100), [])
  await reopened.close()
})
