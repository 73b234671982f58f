/** Work that goes on behind answers: asked for with `sync:false`, left by a crash, or an undo that failed at first. */
import type { ServerLog } from './parts.ts'

const PERIOD_MS = 1000

export class Background {
  readonly #log: ServerLog
  readonly #running = new Set<Promise<void>>()
  /** Has failed, and is done again until it succeeds. */
  readonly #unfinished = new Set<() => Promise<void>>()
  #timer: NodeJS.Timeout | undefined

  constructor(log: ServerLog) {
    this.#log = log
  }

  /** `everySecond` is called beside the retries. */
  start(everySecond: () => void): void {
    this.stop()
    this.#timer = setInterval(() => {
      everySecond()
      this.#finish()
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

  /** Does it each second until it succeeds. */
  retryLater(work: () => Promise<void>): void {
    this.#unfinished.add(work)
  }

  async settled(): Promise<void> {
    this.stop()
    this.#finish()
    while (this.#running.size > 0) await Promise.all(this.#running)
  }

  #finish(): void {
    for (const work of this.#unfinished) {
      this.#unfinished.delete(work)
      this.run(() =>
        work().catch((error: unknown) => {
          this.#unfinished.add(work)
          throw error
        }),
      )
    }
  }
}
