/**
 * The thread that writes: commits and checkpoints wait for the disk here, so that a slow one never
 * stops a read or a signature on the server's thread (design section 3). Started by
 * `sqlite-thread.ts`.
 */
import { parentPort, workerData } from 'node:worker_threads'
import type { Batch } from '../group-commit.ts'
import { openWriter } from './file.ts'
import {
  type GroupMessage,
  PreparedGroup,
  unpackGroup,
  type WriterFailure,
  type WriterReply,
  type WriterStart,
} from './message.ts'
import { SqliteWriter } from './writer.ts'

const SQLITE_FULL = 13
const PAGE_BYTES = 4_096
/** About 16 MiB of log between checkpoints. */
const CHECKPOINT_PAGES = 4_000

// A report of the process shows the environment once more for each thread (protocols 6.1).
if (process.report) process.report.excludeEnv = true

const { path, clockMicros, prepared: memory } = workerData as WriterStart
const prepared = new PreparedGroup(memory)
const reply = (message: WriterReply): void => parentPort?.postMessage(message)
const isFull = (error: unknown): boolean => (error as { errcode?: unknown }).errcode === SQLITE_FULL

function failureOf(error: unknown): WriterFailure {
  const { message, errcode } = error as { message: string; errcode?: number }
  return { message, errcode }
}

function serve(): void {
  const db = openWriter(path)
  const writer = new SqliteWriter(db, clockMicros)
  let mustRecover = false
  let logPages = 0

  const applyGroup = (batches: readonly Batch[]): void => {
    try {
      if (mustRecover) writer.recover()
      mustRecover = false
      writer.apply(batches, (outcomes, version) => prepared.set(outcomes, version))
      reply({ is: 'committed' })
    } catch (error) {
      mustRecover = true
      // Before the answer, so that nobody is told "not written" of what a crash could still bring
      // back.
      const remains = recover()
      reply({ is: 'failed', failure: failureOf(error) })
      // The server starts a new writer, with new connections, at its next group.
      if (!remains) close()
    }
  }

  /**
   * True when this connection may go on: the disk is only full, or the commit that repairs went
   * through.
   */
  const recover = (): boolean => {
    try {
      writer.recover()
      mustRecover = false
      return true
    } catch (error) {
      return isFull(error)
    }
  }

  const checkpoint = (rows: number, bytes: number): void => {
    // A row's write touches a page of the table and one of the index, a group the pages above and
    // the version's.
    logPages += 4 + 2 * rows + bytes / PAGE_BYTES
    if (logPages < CHECKPOINT_PAGES) return
    logPages = 0
    try {
      db.exec('PRAGMA wal_checkpoint(PASSIVE)')
    } catch {
      // The commits are durable in the log; the next checkpoint takes these pages too.
    }
  }

  const close = (): void => {
    db.close()
    parentPort?.close()
  }

  parentPort?.on('message', (message: GroupMessage | 'close') => {
    if (message === 'close') return close()
    const batches = unpackGroup(message)
    applyGroup(batches)
    const rows = batches.reduce((sum, { writes }) => sum + writes.length, 0)
    if (db.isOpen) checkpoint(rows, message.bytes.length)
  })
}

try {
  serve()
  reply({ is: 'ready' })
} catch (error) {
  reply({ is: 'failed', failure: failureOf(error) })
}
