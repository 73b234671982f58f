/** One at a time, in the order of asking. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve()

  /** `leave` ends the turn before the work does: what is left of it needs no firm ground any more. */
  take<T>(work: (leave: () => void) => Promise<T>): Promise<T> {
    const { promise: left, resolve: leave } = Promise.withResolvers<void>()
    const done = this.#last.then(() => work(leave))
    this.#last = Promise.race([left, done.catch(() => {})])
    return done
  }

  /** Resolves when all turns that were asked for until now are over. */
  async settled(): Promise<void> {
    await this.#last
  }
}
