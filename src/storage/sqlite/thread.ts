/**
 * The server's side of the writer's thread: starts it, hands it a group at a time and notices its
 * end.
 */
import { Worker } from 'node:worker_threads'
import type { Batch } from '../group-commit.ts'
import {
  PreparedGroup,
  packGroup,
  ROOM_BYTES,
  type WriterFailure,
  type WriterReply,
  type WriterStart,
} from './message.ts'

/** What a group that had reached its commit would have given. */
export interface Prepared {
  readonly outcomes: readonly number[]
  readonly version: number
}

/**
 * The writer's thread ended during a group: whether it was committed has to be read from the store.
 */
export class WriterLost extends Error {
  override readonly name = 'WriterLost'
  readonly prepared: Prepared | undefined

  constructor(prepared: Prepared | undefined, cause: unknown) {
    super('the thread that writes the store has ended', { cause })
    this.prepared = prepared
  }
}

type OwnStart = Omit<WriterStart, 'prepared' | 'room'>

interface Waiting {
  readonly resolve: (outcomes: readonly number[]) => void
  readonly reject: (error: Error) => void
}

export class WriterThread {
  readonly #worker: Worker
  #waiting: Waiting | undefined
  readonly #prepared = new PreparedGroup()
  readonly #room = new SharedArrayBuffer(ROOM_BYTES)
  #cause: unknown
  #hasEnded = false

  private constructor(start: OwnStart) {
    this.#worker = new Worker(new URL('./sqlite-worker.ts', import.meta.url), {
      name: 'store',
      workerData: {
        ...start,
        prepared: this.#prepared.memory,
        room: this.#room,
      } satisfies WriterStart,
      // The environment may hold secrets, and the thread needs none of it.
      env: {},
      // What it reads and answers is garbage at once: the usual room for it would be 24 MB of memory.
      resourceLimits: { maxYoungGenerationSizeMb: 3 },
    })
    this.#worker.on('message', (reply: WriterReply) => this.#onReply(reply))
    this.#worker.on('error', (error) => {
      this.#cause = error
    })
    this.#worker.on('exit', () => {
      this.#hasEnded = true
      this.#settle()?.reject(new WriterLost(this.#prepared.get(), this.#cause))
    })
  }

  /** Opens the store in a new thread; rejects with the reason when that fails. */
  static async start(start: OwnStart): Promise<WriterThread> {
    const thread = new WriterThread(start)
    await thread.#answer()
    return thread
  }

  get hasEnded(): boolean {
    return this.#hasEnded
  }

  /** The outcomes of a group that is durable. One group at a time. */
  apply(batches: readonly Batch[]): Promise<readonly number[]> {
    this.#prepared.clear()
    const message = packGroup(batches, this.#room)
    const answer = this.#answer()
    const { buffer } = message.bytes
    this.#worker.postMessage(message, buffer instanceof ArrayBuffer ? [buffer] : [])
    return answer
  }

  /** Resolves when the thread has closed its connection and ended. */
  close(): Promise<void> {
    if (this.#hasEnded) return Promise.resolve()
    return new Promise((resolve) => {
      this.#worker.ref()
      this.#worker.once('exit', () => resolve())
      this.#worker.postMessage('close')
    })
  }

  #answer(): Promise<readonly number[]> {
    // Only work keeps the process alive.
    this.#worker.ref()
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
    })
  }

  #settle(): Waiting | undefined {
    const waiting = this.#waiting
    this.#waiting = undefined
    this.#worker.unref()
    return waiting
  }

  #onReply(reply: WriterReply): void {
    if (reply.is === 'failed') this.#settle()?.reject(errorOf(reply.failure))
    else this.#settle()?.resolve(this.#prepared.get()?.outcomes ?? [])
  }
}

function errorOf({ message, errcode }: WriterFailure): Error {
  return Object.assign(new Error(message), { errcode })
}
