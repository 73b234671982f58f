/** auth/token/lookup*, accessors and tidy: what a token is (contract 3.3). */
import { rfc3339 } from '../../clock.ts'
import { asErrorList, badRequest, PosternError } from '../../errors.ts'
import type { Call, Caller, Outcome } from '../../mount/call.ts'
import type { Path } from '../../mount/path.ts'
import { declarePath } from '../../mount/path.ts'
import { keysUnder } from '../../storage/view.ts'
import type { StoredToken } from '../../token/token.ts'
import { isExpired, secondsLeft, USED_UP } from '../../token/token.ts'
import { ACCESSOR_PREFIX, readByAccessor, readToken } from '../../token/token-store.ts'
import type { TokenServices } from './services.ts'

export const tokenField = {
  token: { type: 'string', description: 'The token.' },
} as const

export const accessorField = {
  accessor: { type: 'string', description: 'The accessor of the token.' },
} as const

export function lookupPaths(services: TokenServices): Path[] {
  return [
    declarePath({
      pattern: 'lookup-self',
      fields: {},
      operations: {
        read: (call) => lookUpSelf(services, call),
        update: (call) => lookUpSelf(services, call),
      },
      synopsis: "Shows the caller's own token.",
      description:
        'Lists policies, times, uses and origin of the token that the request was made with.',
    }),
    declarePath({
      pattern: 'lookup',
      fields: tokenField,
      operations: {
        read: (call) => lookUpText(services, call, call.fields.token),
        update: (call) => lookUpText(services, call, call.fields.token),
      },
      synopsis: 'Shows a token.',
      description: 'Shows the token that is named, or the own one when none is.',
    }),
    declarePath({
      pattern: 'lookup-accessor',
      fields: accessorField,
      operations: {
        update: async (call) => {
          const token = await requireAccessor(services, call.fields.accessor, call.now)
          return { data: tokenData(token, '', call.now) }
        },
      },
      synopsis: 'Shows the token of an accessor.',
      description:
        'As lookup, for somebody who has only the accessor: the token itself is not shown.',
    }),
    declarePath({
      pattern: 'accessors',
      fields: {},
      operations: { list: () => listAccessors(services) },
      sudo: 'all',
      synopsis: 'Lists the accessors of all tokens.',
      description: 'An accessor can look up and revoke its token, so that listing them needs sudo.',
    }),
    declarePath({
      pattern: 'tidy',
      fields: {},
      operations: { update: () => ({ status: 202, warnings: [TIDY_WARNING] }) },
      synopsis: 'Does nothing: there is nothing to tidy.',
      description:
        'Tokens and their indexes are written and removed together, so that nothing can be left over.',
    }),
  ]
}

const TIDY_WARNING =
  'Nothing to do: tokens and their indexes are written and removed together, so nothing is left over.'

function lookUpSelf(services: TokenServices, call: Call): Promise<Outcome> {
  return lookUpText(services, call, '')
}

async function lookUpText(services: TokenServices, call: Call, text: string): Promise<Outcome> {
  const shown = text === '' ? (call.caller as Caller).token.reveal() : text
  const token = await readToken(services.store, services.hmac(shown))
  if (!token || isExpired(token, call.now) || token.wrapping) {
    throw new PosternError('permission_denied', 'bad token')
  }
  return { data: tokenData(token, shown, call.now) }
}

async function listAccessors(services: TokenServices): Promise<Outcome> {
  const keys: string[] = []
  for await (const key of keysUnder(services.store, ACCESSOR_PREFIX)) {
    keys.push(key.slice(ACCESSOR_PREFIX.length))
  }
  return { data: { keys } }
}

/** The live token of an accessor. Throws with the texts of this API. */
export async function requireAccessor(
  services: TokenServices,
  accessor: string,
  now: number,
): Promise<StoredToken> {
  if (accessor === '') throw badRequest(asErrorList('missing accessor'))
  const token = await readByAccessor(services.store, accessor, now)
  if (!token) throw badRequest(asErrorList('invalid accessor'))
  return token
}

function tokenData(token: StoredToken, id: string, now: number): Record<string, unknown> {
  const renewed =
    token.lastRenewedAt === undefined
      ? {}
      : {
          last_renewal: rfc3339(token.lastRenewedAt),
          last_renewal_time: Math.floor(token.lastRenewedAt / 1000),
        }
  return {
    accessor: token.accessor,
    creation_time: Math.floor(token.issuedAt / 1000),
    creation_ttl: token.creationTtlSeconds,
    display_name: token.displayName,
    entity_id: token.entityId,
    expire_time: token.expiresAt === 0 ? null : rfc3339(token.expiresAt),
    explicit_max_ttl: token.explicitMaxTtlSeconds,
    id,
    issue_time: rfc3339(token.issuedAt),
    ...renewed,
    meta: token.metadata ?? null,
    num_uses: token.numUses === USED_UP ? USED_UP : token.numUses,
    orphan: token.parentId === undefined,
    path: token.path,
    ...(token.periodSeconds === 0 ? {} : { period: token.periodSeconds }),
    policies: token.policies,
    renewable: token.renewable,
    ttl: secondsLeft(token, now),
    type: 'service',
  }
}
