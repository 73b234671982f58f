/**
 * Leases that requests have begun: activated with the commit of their request, or made due when it fails, whatever
 * the reason (protocols 1.5 and 2.1).
 */
import { PosternError } from '../../errors.ts'
import { BegunLease } from '../../lease/external/begun.ts'
import type { LeaseRecord } from '../../lease/lease.ts'
import type { NewLease, PendingLease } from '../../mount/call.ts'
import type { Mount } from '../../mount/mount-table.ts'
import { GENERATION_KEY } from '../../storage/path.ts'
import type { Condition, Write } from '../../storage/store.ts'
import { tokenKey } from '../../token/token-store.ts'
import type { Parts } from '../parts.ts'
import type { AuthenticatedRequest } from '../request/authorize.ts'
import { Conflict } from '../request/conflict.ts'
import type { Request } from '../request/request.ts'
import { refuseLeaseOfLastUse, secretLease } from './secret-lease.ts'

/** By request: what fails has to find them, and nobody else pays for it. */
const begunBy = new WeakMap<Request, BegunLease[]>()
const begunLeases = new WeakMap<PendingLease, BegunLease>()

/** Stores a lease as pending. Throws Conflict when the ground changed under the request. */
export async function beginLease(
  parts: Parts,
  source: AuthenticatedRequest & { readonly mount: Mount },
  lease: NewLease,
  writes: (leaseId: string) => readonly Write[] = () => [],
): Promise<PendingLease> {
  const { request, token, config, now } = source
  refuseLeaseOfLastUse(token)
  const record: LeaseRecord = secretLease(lease, source.mount, now)
  const conditions: Condition[] = [{ key: tokenKey(lease.tokenId), is: 'present' }]
  if (config.version !== undefined) conditions.push({ key: GENERATION_KEY, is: config.version })
  const { id } = lease
  const begun = await BegunLease.begin(parts.store, {
    id,
    record,
    now: parts.clock.now(),
    writes: writes(id),
    conditions,
  })
  if (!(begun instanceof BegunLease)) throw new Conflict(begun)
  const others = begunBy.get(request)
  if (others) others.push(begun)
  else begunBy.set(request, [begun])
  const pending = { ...lease, abandon: () => begun.abandon(parts.leases.engineOf) }
  begunLeases.set(pending, begun)
  return pending
}

/** The writes that activate a begun lease with the commit of its request. */
export function activation(pending: PendingLease): ReturnType<BegunLease['activation']> {
  const begun = begunLeases.get(pending)
  if (!begun) throw new PosternError('internal')
  return begun.activation()
}

/** Makes every lease due that the failed request has begun; at a later time when the store fails too. */
export async function releaseBegun(parts: Parts, request: Request): Promise<void> {
  const begun = begunBy.get(request)
  if (!begun) return
  begunBy.delete(request)
  await Promise.all(begun.map((lease) => release(parts, lease)))
}

async function release(parts: Parts, lease: BegunLease): Promise<void> {
  const work = async () => {
    const isDue = await lease.release(parts.clock.now())
    if (!isDue) throw new PosternError('unavailable', 'the lease is just being ended')
    parts.leases.endDue([lease.id])
  }
  try {
    await work()
  } catch (error) {
    parts.log.error({ err: error, lease: lease.id }, 'a lease could not be made due; trying again')
    parts.retryLater(work)
  }
}
