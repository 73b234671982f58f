/** The compiled policies of a token, kept as long as the configuration stays the same. */
import type { Acl } from '../../policy/acl.ts'
import { compileAcl } from '../../policy/acl.ts'
import { rootPolicy } from '../../policy/builtin.ts'
import { isPolicyName } from '../../policy/name.ts'
import type { Policy } from '../../policy/policy.ts'
import { decodePolicy, policyKey } from '../../policy/stored-policy.ts'
import type { ConfigSnapshot } from './config-cache.ts'

const rootAcl = compileAcl([rootPolicy], { now: 0 })

/** Policies that are named but do not exist, or have expired, grant nothing. */
export async function aclOf(
  config: ConfigSnapshot,
  names: readonly string[],
  now: number,
): Promise<Acl> {
  if (names.includes('root')) return rootAcl
  const memo = `acl ${JSON.stringify(names)}`
  const known = await config.memo(memo, () => compile(config, names, now))
  if (known.validUntil > now) return known.acl
  config.forget(memo)
  return (await config.memo(memo, () => compile(config, names, now))).acl
}

interface TimedAcl {
  readonly acl: Acl
  /** Milliseconds since the epoch, when a policy or a rule of one expires; infinite for none. */
  readonly validUntil: number
}

async function compile(
  config: ConfigSnapshot,
  names: readonly string[],
  now: number,
): Promise<TimedAcl> {
  const policies: Policy[] = []
  let validUntil = Number.POSITIVE_INFINITY
  for (const name of names) {
    const stored = isPolicyName(name) && (await config.get(policyKey(name), decodePolicy))
    if (!stored) continue
    const end = stored.expiration === undefined ? validUntil : Date.parse(stored.expiration)
    if (end <= now) continue
    validUntil = Math.min(validUntil, end)
    policies.push(stored.parsed)
  }
  const acl = compileAcl(policies, { now })
  return { acl, validUntil: Math.min(validUntil, acl.validUntil ?? validUntil) }
}
