/**
 * What a role says about the hosts that its certificates are for: `host_scope`, `allowed_hosts`, `allowed_groups` and
 * `allowed_tags` (protocols 5.1, 5.2).
 */
import { badRequest } from '../../../errors.ts'
import type { FieldValues } from '../../../mount/field.ts'
import { isGroup, isHostId } from '../../../ssh/scoped-name.ts'
import type { FieldOf } from '../role/role-fields.ts'
import { parseTag } from './tag.ts'

const modes = ['off', 'optional', 'required'] as const

/** Whether certificates name the hosts that they are for: never, where the request does, or always. */
export type HostScope = (typeof modes)[number]

/** As it is stored, and absent in roles of before. A list is `*` alone for all. */
export interface RoleScopeRecord {
  readonly hostScope?: HostScope
  readonly allowedHosts?: readonly string[]
  readonly allowedGroups?: readonly string[]
  readonly allowedTags?: readonly string[]
}

export interface RoleScope {
  readonly mode: HostScope
  readonly hosts: ReadonlySet<string>
  readonly groups: ReadonlySet<string>
  /** As `key=value`. */
  readonly tags: ReadonlySet<string>
}

export type RoleScopeFields = Readonly<
  Record<'host_scope', FieldOf<'lowercase'>> &
    Record<'allowed_hosts' | 'allowed_groups' | 'allowed_tags', FieldOf<'comma-list'>>
>

const list = (description: string): FieldOf<'comma-list'> => ({ type: 'comma-list', description })

export const roleScopeFields: RoleScopeFields = {
  host_scope: {
    type: 'lowercase',
    description:
      'For `ca`: `required` where every user certificate is for chosen hosts alone, `optional` where the request decides, `off` (the default) where it is for every host that trusts the issuer.',
  },
  allowed_hosts: list(
    'For `ca` and `otp`: ids of the hosts that certificates and passwords may be for. `*`: all.',
  ),
  allowed_groups: list(
    'For `ca` and `otp`: groups that certificates may be for, and whose hosts certificates and passwords may be for. `*`: all.',
  ),
  allowed_tags: list(
    'For `ca` and `otp`: tags as `key=value` that certificates may be for, and whose hosts certificates and passwords may be for. `*`: all.',
  ),
}

/** The part of a role's record that a write asks for; empty where it says nothing of hosts. */
export function roleScopeOf(fields: FieldValues<RoleScopeFields>): RoleScopeRecord {
  const hostScope = modes.find((mode) => mode === (fields.host_scope || 'off'))
  if (!hostScope) throw badRequest(`host_scope is one of ${modes.join(', ')}`)
  const allowedHosts = checked('allowed_hosts', fields.allowed_hosts, isHostId)
  const allowedGroups = checked('allowed_groups', fields.allowed_groups, isGroup)
  const allowedTags = checked(
    'allowed_tags',
    fields.allowed_tags,
    (tag) => parseTag(tag) !== undefined,
  )
  return {
    ...(hostScope !== 'off' && { hostScope }),
    ...(allowedHosts.length > 0 && { allowedHosts }),
    ...(allowedGroups.length > 0 && { allowedGroups }),
    ...(allowedTags.length > 0 && { allowedTags }),
  }
}

function checked(name: string, items: readonly string[], isGood: (item: string) => boolean) {
  if (items.includes('*') && items.length > 1) throw badRequest(`${name}: '*' stands alone`)
  for (const item of items) {
    if (item !== '*' && !isGood(item)) {
      throw badRequest(`${name}: ${JSON.stringify(item.slice(0, 128))} is not a valid name`)
    }
  }
  return [...new Set(items)].sort()
}

export function compileRoleScope(record: RoleScopeRecord): RoleScope {
  return {
    mode: record.hostScope ?? 'off',
    hosts: new Set(record.allowedHosts),
    groups: new Set(record.allowedGroups),
    tags: new Set(record.allowedTags),
  }
}

/** True for a role that is for hosts and allows none. */
export function allowsNoHost({
  hostScope,
  allowedHosts,
  allowedGroups,
  allowedTags,
}: RoleScopeRecord): boolean {
  return hostScope !== undefined && !allowedHosts && !allowedGroups && !allowedTags
}

/** The fields in wire names, each only when it was set. */
export function showRoleScope({ mode, hosts, groups, tags }: RoleScope): Record<string, unknown> {
  return {
    ...(hosts.size > 0 && { allowed_hosts: [...hosts] }),
    ...(groups.size > 0 && { allowed_groups: [...groups] }),
    ...(tags.size > 0 && { allowed_tags: [...tags] }),
    ...(mode !== 'off' && { host_scope: mode }),
  }
}
