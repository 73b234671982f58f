/** Revoked serials as ranges of 64-bit numbers: 16 bytes for each, whatever its length. */

const FIRST_CAPACITY = 64

export class SerialSet {
  #firsts = new BigUint64Array(FIRST_CAPACITY)
  #lasts = new BigUint64Array(FIRST_CAPACITY)
  #length = 0
  #isOrdered = true

  /** Adds the serials from `first` to `last`, in any order of calls. */
  add(first: bigint, last: bigint): void {
    const before = this.#length - 1
    const end = this.#lasts[before]
    if (end !== undefined && before >= 0 && first === end + 1n && this.#isOrdered) {
      this.#lasts[before] = last
      return
    }
    if (end !== undefined && before >= 0 && first <= end) this.#isOrdered = false
    if (this.#length === this.#firsts.length) this.#grow()
    this.#firsts[this.#length] = first
    this.#lasts[this.#length] = last
    this.#length += 1
  }

  has(serial: bigint): boolean {
    this.#order()
    let [low, high] = [0, this.#length - 1]
    while (low <= high) {
      const middle = (low + high) >> 1
      if (serial < (this.#firsts[middle] as bigint)) high = middle - 1
      else if (serial > (this.#lasts[middle] as bigint)) low = middle + 1
      else return true
    }
    return false
  }

  /** The ranges in order, none touching another. */
  ranges(): [first: bigint, last: bigint][] {
    this.#order()
    const pairs = this.#firsts.subarray(0, this.#length)
    return Array.from(pairs, (first, at) => [first, this.#lasts[at] as bigint])
  }

  #grow(): void {
    const [firsts, lasts] = [this.#firsts, this.#lasts]
    this.#firsts = new BigUint64Array(2 * firsts.length)
    this.#lasts = new BigUint64Array(2 * lasts.length)
    this.#firsts.set(firsts)
    this.#lasts.set(lasts)
  }

  #order(): void {
    if (this.#isOrdered) return
    const pairs = Array.from(
      this.#firsts.subarray(0, this.#length),
      (first, at) => [first, this.#lasts[at] as bigint] as const,
    )
    pairs.sort(([one], [other]) => (one < other ? -1 : 1))
    this.#length = 0
    this.#isOrdered = true
    for (const [first, last] of pairs) this.#merge(first, last)
  }

  #merge(first: bigint, last: bigint): void {
    const before = this.#length - 1
    const end = this.#lasts[before]
    if (before >= 0 && end !== undefined && first <= end) {
      if (last > end) this.#lasts[before] = last
    } else this.add(first, last)
  }
}
