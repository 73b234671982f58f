/** auth/token/renew*: a longer life within the limits of the token and its mount (contract 3.3, 3.4). */
import { formatDuration } from '../../duration.ts'
import { badRequest } from '../../errors.ts'
import { leaseRenewal, readLease } from '../../lease/lease.ts'
import type { Caller, Outcome } from '../../mount/call.ts'
import type { Path } from '../../mount/path.ts'
import { declarePath } from '../../mount/path.ts'
import type { Write } from '../../storage/store.ts'
import { authResponse } from '../../token/auth-response.ts'
import type { StoredToken } from '../../token/token.ts'
import { isExpired, tokenLeaseId } from '../../token/token.ts'
import { readToken, tokenKey, tokenUpdate } from '../../token/token-store.ts'
import { accessorField, requireAccessor, tokenField } from './lookup.ts'
import type { TokenServices } from './services.ts'

const incrementField = {
  increment: {
    type: 'duration',
    description: 'Wanted life from now; the first one again when absent.',
  },
} as const

export function renewPaths(services: TokenServices): Path[] {
  return [
    declarePath({
      pattern: 'renew-self',
      fields: { ...incrementField, ...tokenField },
      operations: {
        update: async (call) => {
          const caller = call.caller as Caller
          const token = await services.tokenOf(caller)
          return renew(services, token, caller.token.reveal(), call.fields.increment, call.now)
        },
      },
      synopsis: "Renews the caller's own token.",
      description: 'Moves the end of the token; a periodic token gets its period again.',
    }),
    declarePath({
      pattern: 'renew',
      fields: { ...tokenField, ...incrementField },
      operations: {
        update: async (call) => {
          const { token: text, increment } = call.fields
          if (text === '') throw badRequest('missing token ID')
          const token = await readToken(services.store, services.hmac(text))
          if (!token || isExpired(token, call.now)) throw badRequest('token not found')
          return renew(services, token, text, increment, call.now)
        },
      },
      synopsis: 'Renews a token.',
      description: 'Moves the end of the token that is named.',
    }),
    declarePath({
      pattern: 'renew-accessor',
      fields: { ...accessorField, ...incrementField },
      operations: {
        update: async (call) => {
          const token = await requireAccessor(services, call.fields.accessor, call.now)
          return renew(services, token, '', call.fields.increment, call.now)
        },
      },
      synopsis: 'Renews the token of an accessor.',
      description:
        'As renew, for somebody who has only the accessor: the token itself is not shown.',
    }),
  ]
}

async function renew(
  services: TokenServices,
  token: StoredToken,
  text: string,
  incrementSeconds: number,
  now: number,
): Promise<Outcome> {
  if (!token.renewable || token.expiresAt === 0) throw badRequest('lease is not renewable')
  const warnings: string[] = []
  const expiresAt = renewedEnd(token, incrementSeconds, now, warnings)
  const lease = await readLease(services.store, tokenLeaseId(token.path, token.id))
  const writes: Write[] = [tokenUpdate(token, { expiresAt, lastRenewedAt: now })]
  if (lease) writes.push(...leaseRenewal(lease, expiresAt, now))
  const left = Math.round((expiresAt - now) / 1000)
  return {
    auth: authResponse(token, text, left),
    warnings,
    writes,
    conditions: [{ key: tokenKey(token.id), is: token.version }],
  }
}

/** Milliseconds since the epoch: min(now + wanted, issue + max, issue + explicit max); a period has no max but the explicit. */
function renewedEnd(
  token: StoredToken,
  incrementSeconds: number,
  now: number,
  warnings: string[],
): number {
  const wanted = token.periodSeconds || incrementSeconds || token.creationTtlSeconds
  const explicit = token.explicitMaxTtlSeconds || Number.POSITIVE_INFINITY
  const byMount =
    token.periodSeconds === 0
      ? token.maxTtlSeconds || Number.POSITIVE_INFINITY
      : Number.POSITIVE_INFINITY
  const lastEnd = token.issuedAt + Math.min(explicit, byMount) * 1000
  const end = now + wanted * 1000
  if (end <= lastEnd) return end
  const limit = formatDuration(Math.max(0, Math.floor((lastEnd - now) / 1000)), true)
  warnings.push(
    `TTL of ${JSON.stringify(formatDuration(wanted, true))} exceeded the effective max_ttl of ${JSON.stringify(limit)}; TTL value is capped accordingly`,
  )
  return lastEnd
}
