/**
 * The hosts, groups and tags that a certificate is asked for, where the role allows them: the fields `host`, `group`,
 * `tag` and `login_host` of sign and issue (protocols 5.1, 5.2).
 */
import { badRequest } from '../../../errors.ts'
import type { Call } from '../../../mount/call.ts'
import type { CertificateType } from '../../../ssh/certificate/certificate.ts'
import { isAccount, isGroup } from '../../../ssh/scoped-name.ts'
import type { Condition } from '../../../storage/store.ts'
import { type HostRecord, resolveStored, type StoredHost } from '../host/registry.ts'
import type { CertificateScope } from '../inventory/record.ts'
import type { FieldOf } from '../role/role-fields.ts'
import type { RoleScope } from './role-scope.ts'
import { parseTag } from './tag.ts'

export type ScopeFields = Readonly<
  Record<'host' | 'group' | 'tag', FieldOf<'comma-list'>> & Record<'login_host', FieldOf<'string'>>
>

const list = (description: string): FieldOf<'comma-list'> => ({ type: 'comma-list', description })

export const scopeFields: ScopeFields = {
  host: list(
    'Hosts that the certificate is for, each by id, name or address; only where the role has host_scope.',
  ),
  group: list('Groups of hosts that the certificate is for; only where the role has host_scope.'),
  tag: list(
    'Tags `key=value` of hosts that the certificate is for; only where the role has host_scope.',
  ),
  login_host: {
    type: 'string',
    description:
      'As host, for clients that do not know the role: without effect where the role has no host_scope, and where it is optional and the host unknown. host, group and tag go before it.',
  },
}

/** No request has use for more: there are 256 principals at most. */
const MAX_TARGETS = 256

export interface RequestScope {
  /** Absent for a certificate that is for every host. */
  readonly scope?: CertificateScope
  readonly warnings: readonly string[]
  /** That its hosts are as they were: for the commit, so that one that is disabled meanwhile gets no certificate. */
  readonly conditions: readonly Condition[]
}

/** What the request is for; refuses what the role does not allow for these accounts. */
export async function scopeOf(
  call: Call<ScopeFields>,
  role: RoleScope,
  type: CertificateType,
  accounts: readonly string[],
): Promise<RequestScope> {
  const { fields } = call
  const groups = asked(fields.group)
  const tags = asked(fields.tag)
  const named = asked(fields.host)
  const isChosen = named.length + groups.length + tags.length > 0
  if (type === 'host') {
    if (isChosen) throw badRequest('only user certificates are for a host, group or tag')
    return unscoped([])
  }
  if (role.mode === 'off') {
    if (isChosen)
      throw badRequest('host, group and tag are not allowed by role: its host_scope is off')
    return unscoped(fields.login_host === '' ? [] : [ignored('the role has no host_scope')])
  }
  if (named.length + groups.length + tags.length > MAX_TARGETS) {
    throw badRequest(`host, group and tag name ${MAX_TARGETS} at most`)
  }
  for (const group of groups) checkGroup(role, group)
  for (const tag of tags) checkTag(role, tag)
  const hosts = await Promise.all(named.map((name) => knownHost(call, name)))
  const isGuessed = !isChosen && fields.login_host !== ''
  const loginHost = isGuessed ? await resolveStored(call.store, fields.login_host) : undefined
  if (loginHost) hosts.push(loginHost)
  if (hosts.length + groups.length + tags.length === 0)
    return withoutTarget(role, fields.login_host)
  for (const account of accounts) checkAccount(account)
  for (const { host } of hosts) checkHost(role, host, accounts)
  const ids = [...new Set(hosts.map(({ host }) => host.id))].sort()
  const conditions = hosts.map(({ condition }) => condition)
  return { scope: { hosts: ids, groups, tags }, warnings: [], conditions }
}

function asked(items: readonly string[]): readonly string[] {
  return [...new Set(items)].sort()
}

function unscoped(warnings: readonly string[]): RequestScope {
  return { warnings, conditions: [] }
}

function withoutTarget({ mode }: RoleScope, loginHost: string): RequestScope {
  if (mode === 'required') {
    throw badRequest(
      loginHost === ''
        ? 'the role needs a host, group or tag that the certificate is for'
        : `unknown host: ${loginHost}`,
    )
  }
  return unscoped(loginHost === '' ? [] : [ignored('no host has this id, name or address')])
}

const ignored = (reason: string): string => `login_host was ignored: ${reason}`

async function knownHost({ store }: Call, name: string): Promise<StoredHost> {
  const host = await resolveStored(store, name)
  if (host) return host
  throw badRequest(`unknown host: ${name}`)
}

function checkGroup({ groups }: RoleScope, group: string): void {
  if (!isGroup(group)) throw badRequest(`${JSON.stringify(group)} is not a valid value for group`)
  if (!holds(groups, group)) throw badRequest(`group ${group} is not allowed by role`)
}

function checkTag({ tags }: RoleScope, tag: string): void {
  if (!parseTag(tag)) {
    throw badRequest(`${JSON.stringify(tag)} is not a valid value for tag: a tag is key=value`)
  }
  if (!holds(tags, tag)) throw badRequest(`tag ${tag} is not allowed by role`)
}

/** Also keeps text that looks like a scoped name from becoming the front half of one. */
function checkAccount(account: string): void {
  if (isAccount(account)) return
  throw badRequest(
    `${JSON.stringify(account)} is not a valid value for valid_principals: not an account of a host`,
  )
}

/** Refuses a host that the role does not allow, that may not be used, or that lacks one of the accounts. */
export function checkHost(role: RoleScope, host: HostRecord, accounts: readonly string[]): void {
  const { id, state, groups, tags, accounts: known } = host
  const isAllowed =
    holds(role.hosts, id) ||
    groups.some((group) => holds(role.groups, group)) ||
    tags.some(([key, value]) => holds(role.tags, `${key}=${value}`))
  if (!isAllowed) throw badRequest(`host ${id} is not allowed by role`)
  if (state !== 'active') {
    throw badRequest(`host ${id} is ${state === 'pending' ? 'not approved yet' : state}`)
  }
  const missing = accounts.find((account) => known.length > 0 && !known.includes(account))
  if (missing !== undefined) throw badRequest(`host ${id} has no account ${missing}`)
}

function holds(allowed: ReadonlySet<string>, item: string): boolean {
  return allowed.has(item) || allowed.has('*')
}
