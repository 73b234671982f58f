/** sys/leases/* and the older sys/renew, sys/revoke*: leases by id and by prefix (contract 2.5, Decision 11). */
import { rfc3339 } from '../../clock.ts'
import { badRequest, PosternError } from '../../errors.ts'
import {
  LEASE_PREFIX,
  leaseKey,
  leasePeriodMs,
  leaseRenewal,
  readLease,
  type StoredLease,
} from '../../lease/lease.ts'
import type { Call, Outcome } from '../../mount/call.ts'
import type { Path } from '../../mount/path.ts'
import { declarePath } from '../../mount/path.ts'
import { childrenOf } from '../../storage/view.ts'
import type { SysServices } from '../services.ts'
import { leaseCountPaths } from './lease-counts.ts'

const leaseFields = {
  lease_id: { type: 'string', description: 'Id of the lease.' },
  url_lease_id: { type: 'string', description: 'Id of the lease, in the path.' },
  increment: {
    type: 'duration',
    description: 'Wanted life from now, in seconds; the first one again when absent.',
  },
  sync: {
    type: 'bool',
    default: true,
    description: 'Answers when all is done; false answers 202 at once.',
  },
} as const

const prefixFields = {
  prefix: { type: 'string', description: 'Beginning of the lease ids.', secret: false },
  sync: leaseFields.sync,
} as const

type LeaseCall = Call<typeof leaseFields>

export function leasePaths(services: SysServices): Path[] {
  return [
    declarePath({
      pattern: 'leases/lookup',
      fields: { lease_id: leaseFields.lease_id },
      operations: { update: (call) => lookUp(services, call.fields.lease_id, call.now) },
      synopsis: 'Shows a lease.',
      description: 'Times of a lease, and whether it can be renewed.',
    }),
    declarePath({
      pattern: 'leases/lookup(/:prefix*)',
      fields: { prefix: prefixFields.prefix },
      operations: { list: (call) => list(services, call.fields.prefix) },
      sudo: ['list'],
      synopsis: 'Lists the leases below a prefix.',
      description: 'One level; what ends in a slash has leases below it.',
    }),
    ...['leases/renew(/:url_lease_id*)', 'renew(/:url_lease_id*)'].map((pattern) =>
      renewPath(services, pattern),
    ),
    ...['leases/revoke(/:url_lease_id*)', 'revoke(/:url_lease_id*)'].map((pattern) =>
      revokePath(services, pattern),
    ),
    ...['leases/revoke-prefix/:prefix*', 'revoke-prefix/:prefix*'].map((pattern) =>
      prefixPath(services, pattern, false),
    ),
    ...['leases/revoke-force/:prefix*', 'revoke-force/:prefix*'].map((pattern) =>
      prefixPath(services, pattern, true),
    ),
    ...leaseCountPaths(services),
  ]
}

async function lookUp(services: SysServices, id: string, now: number): Promise<Outcome> {
  if (id === '') throw badRequest('lease_id must be specified')
  const lease = await readLease(services.store, id)
  if (!lease) throw badRequest('invalid lease')
  return {
    data: {
      expire_time: rfc3339(lease.expiresAt),
      id,
      issue_time: rfc3339(lease.issuedAt),
      last_renewal: lease.lastRenewedAt === undefined ? null : rfc3339(lease.lastRenewedAt),
      path: id.slice(0, id.lastIndexOf('/')),
      renewable: lease.renewable,
      ttl: Math.max(0, Math.floor((lease.expiresAt - now) / 1000)),
    },
  }
}

async function list(services: SysServices, prefix: string): Promise<Outcome> {
  const folder = prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`
  const keys = await childrenOf(services.store, LEASE_PREFIX + folder)
  if (keys.length === 0) throw new PosternError('not_found', undefined, { messages: [] })
  return { data: { keys } }
}

function idOf({ fields }: LeaseCall): string {
  const id = fields.url_lease_id || fields.lease_id
  if (id === '') throw badRequest('lease_id must be specified')
  return id
}

function renewPath(services: SysServices, pattern: string): Path {
  return declarePath({
    pattern,
    fields: leaseFields,
    operations: { update: (call) => renew(services, call) },
    actsItself: true,
    synopsis: 'Renews a lease.',
    description:
      'Moves the end of a renewable lease, at most to the longest life of its mount. For the token that it was issued to; others need sudo.',
  })
}

async function renew(services: SysServices, call: LeaseCall): Promise<Outcome> {
  const lease = await readLease(services.store, idOf(call))
  if (!lease || lease.expiresAt <= call.now) throw badRequest('lease not found')
  if (!lease.renewable || lease.kind === 'token') throw badRequest('lease is not renewable')
  // Who merely knows an id keeps nobody else's credential alive: docs/decisions/0015.
  if (call.caller?.tokenId !== lease.tokenId && !call.caller?.hasSudo) {
    throw new PosternError(
      'permission_denied',
      'a lease is renewed by the token that it was issued to, or with sudo',
    )
  }
  const wanted = call.fields.increment || Math.round(leasePeriodMs(lease) / 1000)
  const expiresAt = Math.min(call.now + wanted * 1000, lease.maxExpiresAt)
  if (lease.external) return renewOutside(services, lease, expiresAt, call.now)
  return {
    writes: leaseRenewal(lease, expiresAt, call.now),
    conditions: [{ key: leaseKey(lease.id), is: lease.version }],
    renewedLease: {
      id: lease.id,
      ttlSeconds: Math.floor((expiresAt - call.now) / 1000),
      renewable: true,
    },
  }
}

/** Not by the outcome: the other side is told first, and what it answers is stored at once (protocols 1.6). */
async function renewOutside(
  services: SysServices,
  { id }: StoredLease,
  expiresAt: number,
  now: number,
): Promise<Outcome> {
  const isRenewed = await services.leases.renewOutside(id, expiresAt, now)
  if (!isRenewed) throw badRequest('lease not found')
  const ttlSeconds = Math.floor((expiresAt - now) / 1000)
  return { renewedLease: { id, ttlSeconds, renewable: true } }
}

function revokePath(services: SysServices, pattern: string): Path {
  return declarePath({
    pattern,
    fields: leaseFields,
    operations: {
      update: (call) => {
        const id = idOf(call)
        if (!call.fields.sync) return queued(services.leases.revokeSoon(id))
        return finished(services.leases.revoke(id))
      },
    },
    actsItself: true,
    synopsis: 'Ends a lease.',
    description: 'What it stands for works no more. An unknown id is a success.',
  })
}

function prefixPath(services: SysServices, pattern: string, force: boolean): Path {
  return declarePath({
    pattern,
    fields: prefixFields,
    operations: {
      update: (call) => {
        const { prefix, sync } = call.fields
        const { leases } = services
        if (sync) return finished(leases.revokePrefix(prefix, force))
        if (!force) return queued(leases.revokePrefixSoon(prefix))
        // To drop a lease is the last of its end, which takes as long as its host does.
        const work = () => leases.revokePrefix(prefix, true)
        return { status: 202, afterwards: () => Promise.resolve(leases.inBackground(work)) }
      },
    },
    sudo: 'all',
    actsItself: true,
    synopsis: force
      ? 'Ends all leases below a prefix, whatever their engine says.'
      : 'Ends all leases below a prefix.',
    description: force
      ? 'A lease whose engine fails is dropped all the same: what it stands for may go on working.'
      : 'Ends every lease whose id begins so.',
  })
}

async function finished(work: Promise<void>): Promise<Outcome> {
  await work
  return {}
}

/** What is queued is stored: a server that ends now does the rest when it is back. */
async function queued(work: Promise<void>): Promise<Outcome> {
  await work
  return { status: 202 }
}
