/**
 * Which principals an issuer signs (protocols 5.1): a scoped one those composed here and nothing else, a bare one
 * anything that could not be taken for them.
 */
import { badRequest } from '../../../errors.ts'
import {
  groupPrincipal,
  hostPrincipal,
  isScopedLooking,
  tagPrincipal,
} from '../../../ssh/scoped-name.ts'
import type { CertificateScope } from '../inventory/record.ts'
import { parseTag } from './tag.ts'

/** OpenSSH refuses certificates with more. */
const MAX_PRINCIPALS = 256

/**
 * The principals of a certificate for these names, with a scope for a scoped issuer and without one for a bare one.
 * This is where every certificate's principals come from.
 */
export function principalsOf(
  names: readonly string[],
  scope: CertificateScope | undefined,
): readonly string[] {
  if (scope) return composed(names, scope)
  const wrong = names.find(isScopedLooking)
  if (wrong === undefined) return names
  throw badRequest(
    `${wrong} is not a valid value for valid_principals: names with @h., @g., @t., @u. or @bg. are made by the server alone`,
  )
}

function composed(
  accounts: readonly string[],
  { hosts, groups, tags }: CertificateScope,
): readonly string[] {
  const count = accounts.length * (hosts.length + groups.length + tags.length)
  if (count === 0) throw badRequest('a certificate for chosen hosts needs at least one account')
  if (count > MAX_PRINCIPALS) {
    throw badRequest(
      `a certificate holds ${MAX_PRINCIPALS} principals at most, and ${count} are asked for: accounts times hosts, groups and tags`,
    )
  }
  return accounts.flatMap((account) => [
    ...hosts.map((id) => hostPrincipal(account, id)),
    ...groups.map((group) => groupPrincipal(account, group)),
    ...tags.map((tag) => tagPrincipal(account, ...tagOf(tag))),
  ])
}

function tagOf(text: string): readonly [key: string, value: string] {
  const tag = parseTag(text)
  if (!tag) throw new TypeError('internal error: a scope holds what is no tag')
  return tag
}
