/** Work that goes on behind answers: asked for with `sync:false`, left by a crash, or an undo that failed at first. */
import type { Store } from '../storage/store.ts'
import type { ServerLog } from './parts.ts'

const PERIOD_MS = 1000

export class Background {
  readonly #store: Store
  readonly #log: ServerLog
  readonly #running = new Set<Promise<void>>()
  readonly #toDelete = new Set<string>()
  #timer: NodeJS.Timeout | undefined

  constructor(store: Store, log: ServerLog) {
    this.#store = store
    this.#log = log
  }

  /** `everySecond` is called beside the retries. */
  start(everySecond: () => void): void {
    this.stop()
    this.#timer = setInterval(() => {
      everySecond()
      this.run(() => this.#deleteWaiting())
    }, PERIOD_MS)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** Runs it without anybody waiting; a failure goes to the log. */
  run(work: () => Promise<void>): void {
    const one: Promise<void> = work()
      .catch((error: unknown) => this.#log.error({ err: error }, 'work in the background failed'))
      .finally(() => this.#running.delete(one))
    this.#running.add(one)
  }

  /** Deletes keys as soon as the store takes it. */
  deleteLater(keys: readonly string[]): void {
    for (const key of keys) this.#toDelete.add(key)
  }

  async settled(): Promise<void> {
    this.stop()
    this.run(() => this.#deleteWaiting())
    while (this.#running.size > 0) await Promise.all(this.#running)
  }

  async #deleteWaiting(): Promise<void> {
    if (this.#toDelete.size === 0) return
    const keys = [...this.#toDelete]
    await this.#store.commit(
      keys.map((key) => ({ key })),
      [],
    )
    for (const key of keys) this.#toDelete.delete(key)
  }
}
