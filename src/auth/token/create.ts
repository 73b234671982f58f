/** auth/token/create and create-orphan: new tokens, within what their parent may (contract 3.2, 3.4). */
import { formatDuration, parseDuration } from '../../duration.ts'
import { badRequest } from '../../errors.ts'
import type { Call, Caller, Outcome, TokenGrant } from '../../mount/call.ts'
import type { Path } from '../../mount/path.ts'
import { declarePath } from '../../mount/path.ts'
import { normalizePolicyName } from '../../policy/name.ts'
import type { StoredToken } from '../../token/token.ts'
import type { TokenServices } from './services.ts'

const createFields = {
  policies: {
    type: 'string-list',
    description:
      'Policies of the token, which its parent must have too. Those of the parent when absent.',
  },
  ttl: {
    type: 'string',
    description: 'First life of the token, such as "1h"; the mount\'s default when absent.',
  },
  lease: { type: 'string', description: 'Old name of ttl.' },
  explicit_max_ttl: { type: 'string', description: 'Longest life, which no renewal can pass.' },
  period: {
    type: 'string',
    description: 'Every renewal gives the token this life again, without a limit. Needs sudo.',
  },
  num_uses: { type: 'int', description: 'Requests that the token can make; 0 = any number.' },
  renewable: { type: 'bool', default: true, description: 'Whether the token can be renewed.' },
  meta: { type: 'kv-pairs', description: 'Texts that are written to the audit log with each use.' },
  display_name: {
    type: 'string',
    default: 'token',
    description: 'Name of the token in logs and key ids.',
  },
  no_parent: {
    type: 'bool',
    description: 'Makes an orphan, which outlives its maker. Needs sudo.',
  },
  no_default_policy: { type: 'bool', description: 'Leaves out the policy "default".' },
  id: { type: 'string', description: 'Text of the token. Needs sudo.' },
  type: { type: 'string', description: '"service" (also when empty).' },
  entity_alias: { type: 'string', description: 'Only with a token role.' },
} as const

type CreateCall = Call<typeof createFields>

/** The paths that make tokens. */
export function createPaths(services: TokenServices): Path[] {
  const path = (pattern: string, orphan: boolean) =>
    declarePath({
      pattern,
      fields: createFields,
      operations: { update: (call) => createToken(services, call, orphan) },
      synopsis: orphan
        ? 'Makes a token without a parent.'
        : "Makes a token below the caller's own.",
      description:
        'The new token gets at most the policies of its maker. It ends with its maker unless it is an orphan.',
    })
  return [path('create', false), path('create-orphan', true)]
}

async function createToken(
  services: TokenServices,
  call: CreateCall,
  orphanPath: boolean,
): Promise<Outcome> {
  const caller = call.caller as Caller
  const parent = await services.tokenOf(caller)
  const { fields } = call
  const isPrivileged = caller.hasSudo
  refuseImpossible(call, parent)
  requirePrivileges(call, isPrivileged)
  const policies = await policiesOf(services, call, caller, isPrivileged)
  const isOrphan = orphanPath || fields.no_parent
  const warnings = [...policies.warnings]
  const ttl = ttlOf(call, parent, policies.names, warnings)
  if (fields.id !== '') warnings.push(CUSTOM_ID_WARNING)
  const grant: TokenGrant = {
    displayName: displayNameOf(fields.display_name, call.given),
    policies: policies.names,
    ...ttl,
    numUses: fields.num_uses,
    renewable: fields.renewable,
    metadata: fields.meta.size > 0 ? fields.meta : undefined,
    parentId: isOrphan ? undefined : caller.tokenId,
    ...(fields.id === '' ? {} : { id: fields.id }),
    path: `auth/token/${call.path}`,
    entityId: caller.entityId,
  }
  if (fields.id !== '' && (await services.exists(fields.id))) {
    throw badRequest('cannot create a token with a duplicate ID')
  }
  return { token: grant, warnings }
}

const CUSTOM_ID_WARNING =
  'A token with an ID of its own is only as hard to guess as that ID; leave "id" out to have a random one.'

function refuseImpossible({ fields }: CreateCall, parent: StoredToken): void {
  if (parent.numUses !== 0) throw badRequest('restricted use token cannot generate child tokens')
  if (fields.num_uses < 0) throw badRequest('number of uses cannot be negative')
  if (fields.type === 'batch') {
    if (fields.num_uses !== 0) throw badRequest('batch tokens cannot have "num_uses" set')
    throw badRequest('batch tokens are not offered; use "service"')
  }
  if (fields.type !== '' && fields.type !== 'service')
    throw badRequest("invalid 'token_type' value")
  if (fields.id.startsWith('s.')) throw badRequest("custom token ID cannot have the 's.' prefix")
  if (fields.id.includes('.')) throw badRequest("custom token ID cannot have a '.' in the value")
  if (fields.entity_alias !== '') {
    throw badRequest("'entity_alias' is only allowed in combination with token role")
  }
}

function requirePrivileges({ fields }: CreateCall, isPrivileged: boolean): void {
  if (isPrivileged) return
  if (fields.id !== '') throw badRequest('root or sudo privileges required to specify token id')
  if (fields.no_parent) throw badRequest('root or sudo privileges required to create orphan token')
  if (secondsOf(fields.period) !== 0) {
    throw badRequest('root or sudo privileges required to create periodic token')
  }
}

async function policiesOf(
  services: TokenServices,
  { fields, given }: CreateCall,
  caller: Caller,
  isPrivileged: boolean,
): Promise<{ names: string[]; warnings: string[] }> {
  const asked = new Set(fields.policies.map(normalizePolicyName).filter((name) => name !== ''))
  // Blank names ask for none: they must not come to mean all of the parent's.
  const inherited = fields.policies.length === 0
  const names = inherited ? new Set(caller.policies) : asked
  if (names.has('response-wrapping')) throw badRequest('cannot assign policy "response-wrapping"')
  const addsDefault = isPrivileged || caller.policies.includes('default')
  if (names.has('root')) {
    if (!caller.isRoot) {
      throw badRequest(
        isPrivileged
          ? 'root tokens may not be created without parent token being root'
          : 'child policies must be subset of parent',
      )
    }
    return { names: ['root'], warnings: [] }
  }
  if (addsDefault) names.add('default')
  if (fields.no_default_policy) names.delete('default')
  if (names.size === 0 && !given.has('policies'))
    throw badRequest('token must have at least one policy')
  if (!isPrivileged && [...names].some((name) => !caller.policies.includes(name))) {
    throw badRequest('child policies must be subset of parent')
  }
  const sorted = [...names].sort()
  const warnings: string[] = []
  for (const name of sorted) {
    if (!(await services.policyExists(name))) {
      warnings.push(`Policy ${JSON.stringify(name)} does not exist`)
    }
  }
  return { names: sorted, warnings }
}

/**
 * Seconds of a duration as Go writes it; its own text in the error, without the name of the field. A part of a second is a
 * whole one: 0 would stand for no limit.
 */
function secondsOf(text: string): number {
  try {
    const seconds = parseDuration(text)
    return seconds > 0 ? Math.max(1, Math.trunc(seconds)) : Math.trunc(seconds)
  } catch (error) {
    throw badRequest((error as Error).message)
  }
}

function ttlOf(
  { fields, mount, now }: CreateCall,
  parent: StoredToken,
  policies: readonly string[],
  warnings: string[],
): Pick<TokenGrant, 'ttlSeconds' | 'maxTtlSeconds' | 'explicitMaxTtlSeconds' | 'periodSeconds'> {
  const explicitMax = secondsOf(fields.explicit_max_ttl)
  const period = secondsOf(fields.period)
  const asked = secondsOf(fields.ttl || fields.lease)
  if (explicitMax < 0) throw badRequest('explicit_max_ttl must be positive')
  if (period < 0) throw badRequest('period must be positive')
  if (asked < 0) throw badRequest('ttl must be positive')
  if (policies.includes('root') && asked === 0 && period === 0 && explicitMax === 0) {
    if (parent.expiresAt !== 0 && parent.expiresAt > now) {
      throw badRequest('expiring root tokens cannot create non-expiring root tokens')
    }
    return { ttlSeconds: 0, maxTtlSeconds: 0, explicitMaxTtlSeconds: 0, periodSeconds: 0 }
  }
  const systemMax = mount.maxTtlSeconds
  const max = explicitMax === 0 ? systemMax : Math.min(explicitMax, systemMax)
  if (explicitMax > systemMax) {
    warnings.push(
      `Explicit max TTL of ${JSON.stringify(formatDuration(explicitMax, true))} is greater than system/mount allowed value; value is capped to ${JSON.stringify(formatDuration(systemMax, true))}`,
    )
  }
  const wanted = period || asked || mount.defaultTtlSeconds
  const limit = period !== 0 && explicitMax === 0 ? period : max
  const ttlSeconds = Math.min(wanted, limit)
  if (asked !== 0 && period === 0 && asked > limit) {
    warnings.push(
      `TTL of ${JSON.stringify(formatDuration(asked, true))} exceeded the effective max_ttl of ${JSON.stringify(formatDuration(limit, true))}; TTL value is capped accordingly`,
    )
  }
  return {
    ttlSeconds,
    maxTtlSeconds: systemMax,
    explicitMaxTtlSeconds: explicitMax === 0 ? 0 : max,
    periodSeconds: Math.min(period, explicitMax === 0 ? period : max),
  }
}

/** `dev box!` is `token-dev-box`. */
function displayNameOf(name: string, given: ReadonlySet<string>): string {
  if (!given.has('display_name') || name === '') return 'token'
  const clean = name
    .slice(0, 512)
    .replace(/[^A-Za-z0-9-]/g, '-')
    .replace(/-+$/, '')
  return clean === '' ? 'token' : `token-${clean}`
}
