/**
 * How often an address may miss at an unauthenticated door (protocols 3.4): a token bucket for each address (IPv6: each
 * /64) and mount. Only misses cost; right answers never do. The table is bounded.
 */
import type { Clock } from '../clock.ts'
import { networkOf } from '../mount/network.ts'

export interface MissLimitOptions {
  readonly clock: Clock
  readonly missesPerSecond?: number
  readonly burst?: number
  readonly maxBuckets?: number
  /** Called at most once a minute, and only when requests were refused. */
  readonly onSummary: (summary: MissSummary) => void
}

export interface MissSummary {
  readonly refusedRequests: number
  /** The address or IPv6 /64 and the mount that were refused last. */
  readonly lastAddress: string
  readonly lastMount: string
}

interface Bucket {
  tokens: number
  /** When `tokens` was right, in milliseconds. */
  at: number
}

const SUMMARY_MILLISECONDS = 60_000

/** Requests of one address that may be at one door at once: each could be a miss that is not charged yet. */
const MAX_AT_DOOR = 16

interface Door {
  inside: number
  readonly waiting: (() => void)[]
}

/** Counts misses; the caller asks `allows` before it does anything else for a request, its audit line included. */
export class MissLimit {
  readonly #clock: Clock
  readonly #perMillisecond: number
  readonly #burst: number
  readonly #maxBuckets: number
  readonly #onSummary: (summary: MissSummary) => void
  /** Least recently charged first. Absent means full. */
  readonly #buckets = new Map<string, Bucket>()
  /** Those with somebody inside. */
  readonly #doors = new Map<string, Door>()
  #refused = 0
  #lastRefused = { address: '', mount: '' }
  #summaryAt = Number.NEGATIVE_INFINITY

  constructor(options: MissLimitOptions) {
    this.#clock = options.clock
    this.#perMillisecond = (options.missesPerSecond ?? 10) / 1000
    this.#burst = options.burst ?? 50
    this.#maxBuckets = options.maxBuckets ?? 10_000
    this.#onSummary = options.onSummary
  }

  /**
   * Waits until few enough requests of the address are at this mount's door. Resolves to what ends the visit, to be called
   * once the request was charged or was right.
   */
  async enter(address: string, mount: string): Promise<() => void> {
    const key = keyOf(networkOf(address), mount)
    const door = this.#doors.get(key) ?? { inside: 0, waiting: [] }
    this.#doors.set(key, door)
    if (door.inside >= MAX_AT_DOOR) await new Promise<void>((resolve) => door.waiting.push(resolve))
    else door.inside++
    return () => {
      const next = door.waiting.shift()
      // The place passes on without being free in between.
      if (next) next()
      else if (--door.inside === 0) this.#doors.delete(key)
    }
  }

  /** False when the address has used up its misses at this mount: to be answered with 429. */
  allows(address: string, mount: string): boolean {
    if (this.#buckets.size === 0) return true
    const network = networkOf(address)
    const bucket = this.#buckets.get(keyOf(network, mount))
    const now = this.#clock.now()
    if (bucket === undefined || this.#level(bucket, now) >= 1) return true
    this.#refused++
    this.#lastRefused = { address: network, mount }
    this.summarize()
    return false
  }

  /** Takes one miss. Those who were inside together may bring the bucket below empty. */
  charge(address: string, mount: string): void {
    const key = keyOf(networkOf(address), mount)
    const now = this.#clock.now()
    const bucket = this.#buckets.get(key) ?? { tokens: this.#burst, at: now }
    bucket.tokens = Math.max(this.#level(bucket, now) - 1, -this.#burst)
    bucket.at = now
    this.#buckets.delete(key)
    if (this.#buckets.size >= this.#maxBuckets) this.#evict(now)
    this.#buckets.set(key, bucket)
  }

  /** Tells of refusals since the last summary, if that is a minute ago; for a timer, and at the end. */
  summarize(): void {
    const now = this.#clock.now()
    if (this.#refused === 0 || now - this.#summaryAt < SUMMARY_MILLISECONDS) return
    const { address, mount } = this.#lastRefused
    const summary = { refusedRequests: this.#refused, lastAddress: address, lastMount: mount }
    this.#refused = 0
    this.#summaryAt = now
    this.#onSummary(summary)
  }

  /** Number of buckets that are kept. */
  get size(): number {
    return this.#buckets.size
  }

  #level(bucket: Bucket, now: number): number {
    const gained = Math.max(now - bucket.at, 0) * this.#perMillisecond
    return Math.min(bucket.tokens + gained, this.#burst)
  }

  /** Drops full buckets from the old end, and in any case the oldest. */
  #evict(now: number): void {
    let dropped = 0
    for (const [key, bucket] of this.#buckets) {
      if (dropped > 0 && this.#level(bucket, now) < this.#burst) return
      this.#buckets.delete(key)
      // A few at a time: no charge pays for the whole table.
      if (++dropped === 16) return
    }
  }
}

function keyOf(network: string, mount: string): string {
  return `${network} ${mount}`
}
