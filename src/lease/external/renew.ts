/** Renewing a lease that stands for something outside the store: claimed first, so that it is not ended meanwhile (protocols 1.6). */
import { PosternError } from '../../errors.ts'
import type { Store } from '../../storage/store.ts'
import { leasePeriodMs, type StoredLease } from '../lease.ts'
import { changeLease, isClaimed, movedTo, newClaim, storeAgain } from './claim.ts'
import type { EngineOf } from './engine.ts'

interface Renewal {
  readonly expiresAt: number
  readonly now: number
}

/**
 * False when the lease is not active, is at its end, or somebody works at it. Rejects when the engine refuses. Where the
 * engine can't tell whether its work goes on, the claim holds until it lapses: an end before that could be overtaken by the
 * renewal.
 */
export async function renewOutside(
  engineOf: EngineOf,
  store: Store,
  id: string,
  { expiresAt, now }: Renewal,
): Promise<boolean> {
  const claim = newClaim(now)
  let lease: StoredLease | undefined
  const isOurs = await changeLease(store, id, (read, external) => {
    if (external.state !== 'active' || external.ending || isClaimed(external, now)) return undefined
    if (read.expiresAt <= now) return undefined
    lease = read
    return movedTo(read, { ...external, claim })
  })
  if (!isOurs || !lease) return false
  let renewed: { readonly data: unknown } | undefined
  try {
    const engine = await engineOf(lease.mountUuid)
    renewed = await engine?.renew?.(lease, expiresAt)
  } catch (error) {
    const mayGoOn = error instanceof PosternError && error.mayGoOn
    if (!mayGoOn) await giveBack(store, id, claim.id, now)
    throw error
  }
  const isRenewed = await changeLease(store, id, (read, external) => {
    if (external.claim?.id !== claim.id || external.ending) return undefined
    const life = { expiresAt, lastRenewedAt: now, periodMs: leasePeriodMs(read) }
    return movedTo(read, { state: 'active', dueAt: expiresAt }, { ...life, ...renewed })
  })
  if (!isRenewed && !(await giveBack(store, id, claim.id, now))) await storeAgain(store, lease, now)
  return isRenewed
}

/** The lease is as it was; one that was revoked meanwhile is due. */
function giveBack(store: Store, id: string, claimId: string, now: number): Promise<boolean> {
  return changeLease(store, id, (lease, { claim, ...external }) =>
    claim?.id === claimId
      ? movedTo(lease, { ...external, dueAt: external.ending ? now : lease.expiresAt })
      : undefined,
  )
}
