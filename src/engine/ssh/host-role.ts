/** What roles for logins to hosts have in common, whatever they issue: users, networks, port and times (contract 6.5, Decision 2). */
import { badRequest, refused } from '../../errors.ts'
import type { FieldValues } from '../../mount/field.ts'
import { type Networks, parseNetworks } from './address.ts'
import type { RoleFields } from './role/role-fields.ts'

/** As it is stored: JSON, so names and texts only. */
export interface HostRoleRecord {
  readonly defaultUser: string
  readonly cidrList: string
  readonly excludeCidrList: string
  readonly port: number
  readonly allowedUsers: string
  readonly ttlSeconds: number
  readonly maxTtlSeconds: number
}

/** Its lists, parsed. */
export interface HostNetworks {
  readonly networks: Networks
  readonly excludedNetworks: Networks
}

export function parseHostNetworks(record: HostRoleRecord): HostNetworks {
  return {
    networks: parseNetworks(record.cidrList),
    excludedNetworks: parseNetworks(record.excludeCidrList),
  }
}

/** The common part of the role that a write asks for. Refuses lists that are no CIDR lists and a role without a default user. */
export function hostRoleOf(fields: FieldValues<RoleFields>): HostRoleRecord {
  checkNetworks('failed to validate cidr_list', fields.cidr_list)
  checkNetworks('failed to validate exclude_cidr_list entry', fields.exclude_cidr_list)
  if (fields.default_user === '') throw badRequest('missing default user')
  if (fields.port < 0 || fields.port > 65_535) throw badRequest('invalid port')
  return {
    defaultUser: fields.default_user,
    cidrList: fields.cidr_list,
    excludeCidrList: fields.exclude_cidr_list,
    port: fields.port === 0 ? 22 : fields.port,
    allowedUsers: fields.allowed_users,
    ttlSeconds: fields.ttl,
    maxTtlSeconds: fields.max_ttl,
  }
}

function checkNetworks(what: string, list: string): void {
  try {
    parseNetworks(list)
  } catch (error) {
    if (error instanceof RangeError) throw refused(`${what}: ${error.message}`)
    throw error
  }
}

/** The common part in wire names; `ttl` and `max_ttl` only when they were set. */
export function showHostRole(role: HostRoleRecord): Record<string, unknown> {
  return {
    allowed_users: role.allowedUsers,
    cidr_list: role.cidrList,
    default_user: role.defaultUser,
    exclude_cidr_list: role.excludeCidrList,
    ...(role.maxTtlSeconds > 0 && { max_ttl: role.maxTtlSeconds }),
    port: role.port,
    ...(role.ttlSeconds > 0 && { ttl: role.ttlSeconds }),
  }
}
