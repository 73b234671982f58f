/**
 * How many sessions are open at a time on one connection; the others wait in order. A host may open fewer than thought
 * (sshd_config MaxSessions, or one that it has not cleared away yet): who is refused waits for the end of another.
 */

export class Slots {
  readonly #waiting: (() => void)[] = []
  readonly #limit: number
  #taken = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Waits for one; when refused before, at least until another is given back. Rejects with the signal's reason. */
  async take(signal: AbortSignal, wasRefused = false): Promise<void> {
    for (let mustWait = wasRefused; mustWait || this.#taken >= this.#limit; mustWait = false) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#waiting.push(resolve)
      try {
        await untilAborted(promise, signal)
      } catch (reason) {
        const at = this.#waiting.indexOf(resolve)
        // Woken and aborted at once: the turn is the next one's.
        if (at < 0) this.#wakeNext()
        else this.#waiting.splice(at, 1)
        throw reason
      }
    }
    signal.throwIfAborted()
    this.#taken += 1
  }

  /** The host opened it: there may be room for one more. */
  opened(): void {
    if (this.#taken < this.#limit) this.#wakeNext()
  }

  giveBack(): void {
    this.#taken -= 1
    this.#wakeNext()
  }

  /** The host did not open it. True when others are in use, so that waiting helps. */
  refuse(): boolean {
    this.#taken -= 1
    if (this.#taken === 0) this.#wakeNext()
    return this.#taken > 0
  }

  #wakeNext(): void {
    this.#waiting.shift()?.()
  }
}

/** Settles as the work does, or rejects with the signal's reason when that comes first. */
export function untilAborted<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) reject(signal.reason)
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    work.then(resolve, reject)
  })
}
