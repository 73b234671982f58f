/** A lease that a request grants, as it is stored. */
import { badRequest } from '../../errors.ts'
import type { LeaseRecord } from '../../lease/lease.ts'
import type { NewLease } from '../../mount/call.ts'
import type { Mount } from '../../mount/mount-table.ts'
import type { StoredToken } from '../../token/token.ts'
import { USED_UP } from '../../token/token.ts'

/** The token ends with this request, and what it leases with it. */
export function refuseLeaseOfLastUse(token: StoredToken | undefined): void {
  if (token?.numUses !== USED_UP) return
  throw badRequest(
    'Secret cannot be returned; token had one use left, so leased credentials were immediately revoked.',
  )
}

export function secretLease(lease: NewLease, mount: Mount, now: number): LeaseRecord {
  const { tokenId, expiresAt, terms } = lease
  return {
    kind: 'secret',
    tokenId,
    mountUuid: mount.uuid,
    issuedAt: now,
    expiresAt,
    maxExpiresAt: now + terms.maxTtlSeconds * 1000,
    renewable: terms.renewable,
    data: terms.data,
  }
}
