/** The compiled policies of a token, kept as long as the configuration stays the same. */
import type { Acl } from '../policy/acl.ts'
import { compileAcl } from '../policy/acl.ts'
import { rootPolicy } from '../policy/builtin.ts'
import type { Policy } from '../policy/policy.ts'
import { decodePolicy, policyKey } from '../policy/stored-policy.ts'
import type { ConfigSnapshot } from './config-cache.ts'

/** Policies that are named but do not exist, or have expired, grant nothing. */
export async function aclOf(
  config: ConfigSnapshot,
  names: readonly string[],
  now: number,
): Promise<Acl> {
  if (names.includes('root')) return compileAcl([rootPolicy], { now })
  const memo = `acl ${JSON.stringify(names)}`
  const acl = await config.memo(memo, () => compile(config, names, now))
  if (acl.validUntil === undefined || acl.validUntil > now) return acl
  config.forget(memo)
  return config.memo(memo, () => compile(config, names, now))
}

async function compile(
  config: ConfigSnapshot,
  names: readonly string[],
  now: number,
): Promise<Acl> {
  const policies: Policy[] = []
  for (const name of names) {
    const stored = await config.get(policyKey(name), decodePolicy)
    const hasExpired = stored?.expiration !== undefined && Date.parse(stored.expiration) <= now
    if (stored && !hasExpired) policies.push(stored.parsed)
  }
  return compileAcl(policies, { now })
}
