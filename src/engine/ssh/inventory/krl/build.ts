/**
 * Builds KRLs without holding up the event loop: a short list in place, a long one in a thread that is started when it is
 * wanted and ends when it has been idle.
 */
import { Worker } from 'node:worker_threads'
import { type BuiltKrl, krlBytes } from './bytes.ts'
import { ENTRY_BYTES, type KrlContent } from './store.ts'

/** Entries that take a millisecond or two. A thread takes 90 ms and 25 MB when it starts, then 15 ms for 100,000 entries. */
const FEW_ENTRIES = 4096
const IDLE_MILLISECONDS = 10_000

/** What the thread is sent, and what it answers. */
export interface KrlOrder {
  readonly id: number
  readonly content: KrlContent
}
export type KrlDelivery =
  | { readonly id: number; readonly krl: BuiltKrl }
  | { readonly id: number; readonly failure: string }

/** The KRL of this content. Rejects when the content is none that can be stored, or no thread can be had. */
export async function buildKrl(content: KrlContent): Promise<BuiltKrl> {
  return sizeOf(content) <= FEW_ENTRIES * ENTRY_BYTES ? krlBytes(content) : buildInThread(content)
}

function sizeOf({ issuers, keyHashes }: KrlContent): number {
  const sizes = issuers.map(({ chunks }) => chunks.reduce((sum, { length }) => sum + length, 0))
  return sizes.reduce((sum, size) => sum + size, keyHashes.length * ENTRY_BYTES)
}

class KrlThread {
  readonly #worker: Worker
  readonly #waiting = new Map<number, PromiseWithResolvers<BuiltKrl>>()
  readonly #onEnd: () => void
  #idle: NodeJS.Timeout | undefined
  #lastId = 0

  constructor(onEnd: () => void) {
    this.#onEnd = onEnd
    this.#worker = new Worker(new URL('./krl-worker.ts', import.meta.url), {
      name: 'krl',
      // The environment may hold secrets, and the thread needs none of it.
      env: {},
    })
    this.#worker.on('message', (delivery: KrlDelivery) => this.#deliver(delivery))
    this.#worker.on('error', (error) => this.#end(error))
    this.#worker.on('exit', () => this.#end(new Error('the thread that builds KRLs has ended')))
  }

  build(content: KrlContent): Promise<BuiltKrl> {
    clearTimeout(this.#idle)
    this.#worker.ref()
    const id = ++this.#lastId
    const wanted = Promise.withResolvers<BuiltKrl>()
    this.#waiting.set(id, wanted)
    const order: KrlOrder = { id, content: detached(content) }
    const buffers = order.content.issuers.flatMap(({ chunks }) =>
      chunks.map(({ buffer }) => buffer),
    )
    this.#worker.postMessage(order, buffers as ArrayBuffer[])
    return wanted.promise
  }

  #deliver(delivery: KrlDelivery): void {
    const wanted = this.#waiting.get(delivery.id)
    this.#waiting.delete(delivery.id)
    if ('krl' in delivery) wanted?.resolve(delivery.krl)
    else wanted?.reject(new Error(delivery.failure))
    if (this.#waiting.size > 0) return
    this.#worker.unref()
    this.#idle = setTimeout(() => this.#end(new Error('idle')), IDLE_MILLISECONDS).unref()
  }

  /** Nobody gives work to a thread after this. */
  #end(cause: Error): void {
    this.#onEnd()
    void this.#worker.terminate()
    for (const { reject } of this.#waiting.values()) reject(cause)
    this.#waiting.clear()
  }
}

let thread: KrlThread | undefined

function buildInThread(content: KrlContent): Promise<BuiltKrl> {
  if (!thread) {
    const started = new KrlThread(() => {
      if (thread === started) thread = undefined
    })
    thread = started
  }
  return thread.build(content)
}

/** With memory of its own, that can be handed over: each list of serials in one piece. */
function detached(content: KrlContent): KrlContent {
  const issuers = content.issuers.map(({ caKey, chunks }) => {
    const whole = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0))
    let at = 0
    for (const chunk of chunks) {
      whole.set(chunk, at)
      at += chunk.length
    }
    return { caKey: Uint8Array.from(caKey), chunks: [whole] }
  })
  return {
    ...content,
    issuers,
    keyHashes: content.keyHashes.map((digest) => Uint8Array.from(digest)),
  }
}
