/**
 * Ends what is due. Leases lie in the store in the order of their end: nothing is kept in memory per lease, and
 * leases that ended while the server was down are simply due when it starts.
 */
import type { Clock } from '../clock.ts'
import type { Store } from '../storage/store.ts'
import { inBatches } from './batch.ts'
import { dueAt, EXPIRY_PREFIX, parseExpiryKey, readLease } from './lease.ts'

/** How often the store is asked for due leases. */
const PERIOD_MS = 1000
const PAGE = 500

export interface ExpirationOptions {
  readonly store: Store
  readonly clock: Clock
  /** Ends a lease that is due by this time, in milliseconds since the epoch. */
  readonly expire: (leaseId: string, dueBy: number) => Promise<void>
  /** Ends leases whose end needs work outside the store; nobody waits for it. */
  readonly external: {
    /** It will be ended, or is just being ended. */
    isQueued(leaseId: string): boolean
    endDue(leaseIds: readonly string[]): void
  }
  /** A lease that could not be ended: it stays due and is tried again after a pause. */
  readonly onFailure: (leaseId: string, error: unknown) => void
}

export class Expiration {
  readonly #options: ExpirationOptions
  /** Failed lately, with the time of the next try: bounded by what is due, not by what is stored. */
  readonly #retryAt = new Map<string, number>()
  #timer: NodeJS.Timeout | undefined
  #sweeping: Promise<void> = Promise.resolve()

  constructor(options: ExpirationOptions) {
    this.#options = options
  }

  start(): void {
    this.stop()
    this.#timer = setInterval(() => {
      this.#sweeping = this.#sweeping
        .then(() => this.sweep())
        .catch((error: unknown) => this.#options.onFailure('', error))
    }, PERIOD_MS)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#retryAt.clear()
  }

  /** Ends every lease that is due now. */
  async sweep(): Promise<void> {
    const { store, clock, external } = this.#options
    for (let after = ''; ; ) {
      const keys = await store.list(EXPIRY_PREFIX, after, PAGE)
      const due = keys.filter((key) => parseExpiryKey(key).expiresAt <= clock.now())
      const outside: string[] = []
      await inBatches(due, (key) => this.#end(key, outside))
      if (outside.length > 0) external.endDue(outside)
      if (due.length < PAGE) return
      after = due[due.length - 1] as string
    }
  }

  async #end(key: string, outside: string[]): Promise<void> {
    const { store, clock, expire, external, onFailure } = this.#options
    const { id, expiresAt } = parseExpiryKey(key)
    if (external.isQueued(id)) return
    if ((this.#retryAt.get(key) ?? 0) > clock.now()) return
    try {
      const lease = await readLease(store, id)
      // An index entry without its lease, or of another end, is left over from nothing we write: drop it.
      if (lease === undefined || dueAt(lease) !== expiresAt) await store.commit([{ key }], [])
      else if (lease.external) outside.push(id)
      else await expire(id, expiresAt)
      this.#retryAt.delete(key)
    } catch (error) {
      this.#retryAt.set(key, clock.now() + 10 * PERIOD_MS)
      onFailure(id, error)
    }
  }
}
