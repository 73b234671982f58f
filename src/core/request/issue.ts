/** Adds to an outcome what it grants: its lease, its token. The writes go into the request's one commit. */
import { leaseCreation, leaseRemoval } from '../../lease/lease.ts'
import type { Outcome, TokenGrant } from '../../mount/call.ts'
import type { Condition, Write } from '../../storage/store.ts'
import type { TokenRecord } from '../../token/token.ts'
import { newAccessor, newTokenText, tokenLeaseId } from '../../token/token.ts'
import { tokenCreation } from '../../token/token-store.ts'
import { activation } from '../lease/begun-leases.ts'
import { refuseLeaseOfLastUse, secretLease } from '../lease/secret-lease.ts'
import type { Parts } from '../parts.ts'
import type { ValidatedRequest } from './call.ts'

export interface IssuedToken {
  readonly text: string
  readonly id: string
  readonly record: TokenRecord
}

/** An outcome with all the writes of its request, and what they issue. */
export interface Issued {
  readonly outcome: Outcome
  readonly writes: readonly Write[]
  readonly conditions: readonly Condition[]
  /** Keys to delete when the answer can't be audited (protocols 2.1). */
  readonly issuedKeys: readonly string[]
  readonly token: IssuedToken | undefined
}

/** Stores the lease or token that the outcome grants, and removes the leases that it ends. */
export function registerLease(parts: Parts, request: ValidatedRequest, outcome: Outcome): Issued {
  const writes: Write[] = [...(outcome.writes ?? [])]
  const conditions: Condition[] = [...(outcome.conditions ?? [])]
  const issuedKeys: string[] = [...(outcome.issuedKeys ?? [])]
  const add = (creation: { writes: readonly Write[]; conditions: readonly Condition[] }) => {
    writes.push(...creation.writes)
    conditions.push(...creation.conditions)
    issuedKeys.push(...creation.writes.map(({ key }) => key))
  }
  for (const lease of outcome.endedLeases ?? []) writes.push(...leaseRemoval(lease))
  if (outcome.lease) {
    refuseLeaseOfLastUse(request.token)
    const record = secretLease(outcome.lease, request.mount, request.now)
    const creation = leaseCreation(outcome.lease.id, record)
    add({ writes: creation.writes, conditions: [creation.condition] })
  }
  if (outcome.activatedLease) {
    const active = activation(outcome.activatedLease)
    writes.push(...active.writes)
    conditions.push(active.condition)
  }
  const token = outcome.token && newToken(parts, outcome.token, request.now)
  if (token) add(tokenWrites(token))
  return { outcome, writes, conditions, issuedKeys, token }
}

/** A token as granted, not stored yet. */
export function newToken(parts: Pick<Parts, 'hmac'>, grant: TokenGrant, now: number): IssuedToken {
  const text = grant.id ?? newTokenText()
  const ttlSeconds = grant.periodSeconds || grant.ttlSeconds
  const record: TokenRecord = {
    accessor: newAccessor(),
    policies: grant.policies,
    path: grant.path,
    displayName: grant.displayName,
    ...(grant.metadata ? { metadata: Object.fromEntries(grant.metadata) } : {}),
    issuedAt: now,
    creationTtlSeconds: ttlSeconds,
    expiresAt: ttlSeconds === 0 ? 0 : now + ttlSeconds * 1000,
    maxTtlSeconds: grant.maxTtlSeconds,
    explicitMaxTtlSeconds: grant.explicitMaxTtlSeconds,
    periodSeconds: grant.periodSeconds,
    numUses: grant.numUses,
    renewable: grant.renewable && ttlSeconds !== 0,
    ...(grant.parentId === undefined ? {} : { parentId: grant.parentId }),
    entityId: grant.entityId,
    ...(grant.wrapping ? { wrapping: grant.wrapping } : {}),
  }
  return { text, id: parts.hmac(text), record }
}

/** The writes that store a token and, when it ends, its lease. */
export function tokenWrites({ id, record }: IssuedToken): {
  writes: Write[]
  conditions: Condition[]
} {
  const creation = tokenCreation(id, record)
  if (record.expiresAt === 0) return creation
  const lease = leaseCreation(tokenLeaseId(record.path, id), {
    kind: 'token',
    tokenId: id,
    mountUuid: '',
    issuedAt: record.issuedAt,
    expiresAt: record.expiresAt,
    maxExpiresAt: record.expiresAt,
    renewable: record.renewable,
  })
  return { writes: [...creation.writes, ...lease.writes], conditions: creation.conditions }
}
