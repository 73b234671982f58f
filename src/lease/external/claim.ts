/**
 * Every step of a lease with an end outside the store is one write on the version that was read (protocols 1.6):
 * of two that want the same lease, one gets the claim, and only its id finishes what was begun.
 */
import { base62 } from '../../random.ts'
import type { Store, Write } from '../../storage/store.ts'
import {
  type Claim,
  type ExternalState,
  type LeaseRecord,
  leaseChange,
  leaseCreation,
  leaseKey,
  readLease,
  type StoredLease,
} from '../lease.ts'

/** How long a claim holds when whoever has it says nothing more: longer than any work on a host. */
export const CLAIM_MS = 60_000

const ID_CHARACTERS = 16

/** Names this process in its claims. */
const OWNER = base62(ID_CHARACTERS)

export function newClaim(now: number): Claim {
  return { id: base62(ID_CHARACTERS), owner: OWNER, until: now + CLAIM_MS }
}

/** Somebody works at the lease, or did until a moment ago. */
export function isClaimed({ claim }: ExternalState, now: number): boolean {
  return claim !== undefined && claim.until > now
}

/** The lease with another state outside; what is undefined is left out. */
export function movedTo(
  lease: StoredLease,
  { claim, ...state }: Omit<ExternalState, 'claim'> & { readonly claim?: Claim | undefined },
  changes: Partial<Omit<LeaseRecord, 'external'>> = {},
): Write[] {
  return leaseChange(lease, { ...changes, external: { ...state, ...(claim && { claim }) } })
}

/** The lease as one that will only be ended: as soon as nobody works at it. */
export function retired(lease: StoredLease, external: ExternalState, now: number): Write[] {
  const { claim } = external
  const holder = isClaimed(external, now) ? claim : undefined
  return movedTo(lease, { ...external, claim: holder, ending: true, dueAt: holder?.until ?? now })
}

/**
 * Commits what `decide` makes of the lease as it is, and asks it again when the lease has changed meanwhile. False
 * when the lease is gone, ends in the store alone, or `decide` leaves it as it is.
 */
export async function changeLease(
  store: Store,
  id: string,
  decide: (lease: StoredLease, external: ExternalState) => readonly Write[] | undefined,
): Promise<boolean> {
  for (;;) {
    const lease = await readLease(store, id)
    const writes = lease?.external && decide(lease, lease.external)
    if (!lease || !writes) return false
    const result = await store.commit(writes, [{ key: leaseKey(id), is: lease.version }])
    if (result.committed) return true
  }
}

/**
 * Stores again a lease that others have ended meanwhile, to be ended once more: whoever was late may have made anew
 * what was gone already. False when the lease is there.
 */
export async function storeAgain(store: Store, lease: StoredLease, now: number): Promise<boolean> {
  const { id, version: _version, ...record } = lease
  const external = { state: 'active', ending: true, dueAt: now } as const
  const { writes, condition } = leaseCreation(id, { ...record, external })
  const result = await store.commit(writes, [condition])
  return result.committed
}
