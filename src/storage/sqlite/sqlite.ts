/**
 * The store on SQLite, in a file or in memory. A file has its writer in a thread of its own and a
 * connection for reads on this one; in memory both are one connection here. Protocols 1.1 to 1.3
 * state what holds for both.
 */
import { DatabaseSync } from 'node:sqlite'
import { type Clock, systemClock } from '../../clock.ts'
import { PosternError } from '../../errors.ts'
import { type ApplyGroup, type Batch, checkBatch, checkKey, GroupCommit } from '../group-commit.ts'
import { RecentReads } from '../recent-reads.ts'
import type { CommitResult, Condition, Entry, Store, Write } from '../store.ts'
import {
  createPrivateFile,
  lockStore,
  openReader,
  realStorePath,
  type StoreLock,
  storeRefusal,
} from './file.ts'
import { migrate } from './format.ts'
import { SqliteReader } from './reader.ts'
import { WriterLost, WriterThread } from './thread.ts'
import { SqliteWriter } from './writer.ts'

export interface SqliteOptions {
  /**
   * The file, made when there is none; its folder has to exist. `:memory:` for a store that ends
   * with the process.
   */
  readonly path: string
  readonly clock?: Clock
}

/**
 * Opens the store and brings an older one to the present format. Rejects with `store_failed` and
 * the reason when the file is in use by another server, has a newer format or cannot be opened.
 */
export async function openSqliteStore({
  path,
  clock = systemClock,
}: SqliteOptions): Promise<Store> {
  const clockMicros = (): number => Math.max(0, Math.floor(clock.now() * 1000))
  if (path === ':memory:') return new SqliteStore(openMemory(clockMicros()))
  try {
    return new SqliteStore(await openFile(path, clockMicros))
  } catch (error) {
    throw storeRefusal('open', path, error)
  }
}

/** What differs between a store in a file and one in memory. */
interface Backing {
  readonly apply: ApplyGroup
  /**
   * Runs a read; an error is thrown as `store_failed`, and the next read gets a new connection
   * where there can be one.
   */
  readonly read: <T>(work: (reader: SqliteReader) => T) => T
  readonly close: () => Promise<void>
}

class SqliteStore implements Store {
  readonly #backing: Backing
  readonly #group: GroupCommit
  readonly #recent = new RecentReads()
  #isClosed = false

  constructor(backing: Backing) {
    this.#backing = backing
    this.#group = new GroupCommit(async (batches) => {
      this.#recent.begin(batches.flatMap(({ writes }) => writes))
      try {
        return await backing.apply(batches)
      } finally {
        this.#recent.settle()
      }
    })
  }

  async get(keys: readonly string[]): Promise<readonly (Entry | undefined)[]> {
    if (!this.#isClosed) {
      const known = this.#recent.get(keys)
      if (known) return known
    }
    for (const key of keys) checkKey(key)
    const entries = this.#read((reader) => reader.get(keys))
    this.#recent.note(keys, entries)
    return entries
  }

  async list(prefix: string, after: string, limit: number): Promise<readonly string[]> {
    if (!Number.isSafeInteger(limit) || limit < 1) throw new RangeError('limit is not positive')
    return this.#read((reader) => reader.list(prefix, after, limit))
  }

  async commit(writes: readonly Write[], conditions: readonly Condition[]): Promise<CommitResult> {
    const batch: Batch = { writes, conditions }
    checkBatch(batch)
    return this.#group.add(batch)
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#group.close()
    await this.#backing.close()
  }

  #read<T>(work: (reader: SqliteReader) => T): T {
    if (this.#isClosed) throw new PosternError('unavailable')
    return this.#backing.read(work)
  }
}

function openMemory(clockMicros: number): Backing {
  const db = new DatabaseSync(':memory:')
  migrate(db)
  const writer = new SqliteWriter(db, clockMicros)
  const reader = new SqliteReader(db)
  return {
    apply: async (batches) => writer.apply(batches),
    read: (work) => {
      try {
        return work(reader)
      } catch (cause) {
        throw new PosternError('store_failed', undefined, { cause })
      }
    },
    close: async () => db.close(),
  }
}

async function openFile(path: string, clockMicros: () => number): Promise<Backing> {
  const file = realStorePath(path)
  const lock = lockStore(file)
  try {
    createPrivateFile(file)
    const writer = await WriterThread.start({ path: file, clockMicros: clockMicros() })
    return new SqliteFile(file, clockMicros, lock, writer)
  } catch (error) {
    lock.release()
    throw error
  }
}

/** A store's file with its two connections; each is opened anew after it has failed. */
class SqliteFile implements Backing {
  readonly #file: string
  readonly #clockMicros: () => number
  readonly #lock: StoreLock
  #writer: WriterThread
  #reader: SqliteReader | undefined

  constructor(file: string, clockMicros: () => number, lock: StoreLock, writer: WriterThread) {
    this.#file = file
    this.#clockMicros = clockMicros
    this.#lock = lock
    this.#writer = writer
  }

  readonly read = <T>(work: (reader: SqliteReader) => T): T => {
    try {
      this.#reader ??= new SqliteReader(openReader(this.#file))
      return work(this.#reader)
    } catch (cause) {
      this.#reader?.close()
      this.#reader = undefined
      throw new PosternError('store_failed', undefined, { cause })
    }
  }

  readonly apply = async (batches: readonly Batch[]): Promise<readonly number[]> => {
    if (this.#writer.hasEnded) {
      this.#writer = await WriterThread.start({
        path: this.#file,
        clockMicros: this.#clockMicros(),
      })
    }
    try {
      return await this.#writer.apply(batches)
    } catch (error) {
      const { prepared } = error instanceof WriterLost ? error : {}
      // The thread's end has closed its connection: its last group is in the store as a whole or
      // not at all.
      if (prepared && this.read((reader) => reader.lastVersion()) === prepared.version) {
        return prepared.outcomes
      }
      throw error
    }
  }

  readonly close = async (): Promise<void> => {
    // The writer's connection is the last to close: it writes the log back into the file and
    // removes it.
    this.#reader?.close()
    await this.#writer.close()
    this.#lock.release()
  }
}
