/**
 * A lease while what it stands for is being made: stored first, as a claimed intent (protocols 1.5). Whatever
 * becomes of its maker, what was made is ended again unless the lease was activated.
 */
import type { Condition, Store, Write } from '../../storage/store.ts'
import {
  type LeaseRecord,
  leaseChange,
  leaseCreation,
  leaseKey,
  leaseRemoval,
  readLease,
  type StoredLease,
} from '../lease.ts'
import { changeLease, newClaim, retired, storeAgain } from './claim.ts'
import type { EngineOf } from './engine.ts'

export class BegunLease {
  readonly #store: Store
  readonly #lease: StoredLease
  readonly #claimId: string
  #isAbandoned = false

  private constructor(store: Store, lease: StoredLease, claimId: string) {
    this.#store = store
    this.#lease = lease
    this.#claimId = claimId
  }

  /** Stores the intent. Gives the condition that failed, or the lease. */
  static async begin(
    store: Store,
    intent: {
      readonly id: string
      readonly record: LeaseRecord
      readonly now: number
      readonly writes: readonly Write[]
      readonly conditions: readonly Condition[]
    },
  ): Promise<BegunLease | Condition> {
    const { id, now } = intent
    const claim = newClaim(now)
    const external = { state: 'pending', dueAt: claim.until, claim } as const
    const { writes, condition } = leaseCreation(id, { ...intent.record, external })
    const result = await store.commit(
      [...writes, ...intent.writes],
      [condition, ...intent.conditions],
    )
    if (!result.committed) return result.failed
    const lease = await readLease(store, id)
    if (lease?.external?.claim?.id !== claim.id) return condition
    return new BegunLease(store, lease, claim.id)
  }

  get id(): string {
    return this.#lease.id
  }

  /** The writes that make it active, unless anybody has touched it. */
  activation(): { readonly writes: readonly Write[]; readonly condition: Condition } {
    const { version, expiresAt } = this.#lease
    return {
      writes: leaseChange(this.#lease, { external: { state: 'active', dueAt: expiresAt } }),
      condition: { key: leaseKey(this.id), is: version },
    }
  }

  /** Removes it with what the engine stored beside it: nothing has happened outside. */
  async abandon(engineOf: EngineOf): Promise<void> {
    const engine = await engineOf(this.#lease.mountUuid)
    const beside = (await engine?.removalOf(this.#lease)) ?? []
    await changeLease(this.#store, this.id, (lease, { claim }) =>
      claim?.id === this.#claimId ? [...beside, ...leaseRemoval(lease)] : undefined,
    )
    this.#isAbandoned = true
  }

  /**
   * Makes it due, active or not: nobody will use it. Where others have ended it already it is ended once more. False
   * while somebody ends it: they may have been too early.
   */
  async release(now: number): Promise<boolean> {
    if (this.#isAbandoned) return true
    const isDue = await changeLease(this.#store, this.id, (lease, { claim, ...external }) =>
      claim === undefined || claim.id === this.#claimId ? retired(lease, external, now) : undefined,
    )
    return isDue || storeAgain(this.#store, this.#lease, now)
  }
}
