/** One after the other: changes of the seal's state await the store and must not interleave. */

export class Serial {
  #last: Promise<unknown> = Promise.resolve()

  /** Runs `work` when everything handed in before has settled. */
  run<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work)
    this.#last = result.catch(() => undefined)
    return result
  }
}
