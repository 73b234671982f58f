/** Roles that issue one-time passwords (contract 6.5). */
import { badRequest } from '../../../errors.ts'
import type { FieldValues } from '../../../mount/field.ts'
import {
  type HostNetworks,
  type HostRoleRecord,
  hostRoleOf,
  parseHostNetworks,
  showHostRole,
} from '../host-role.ts'
import type { RoleFields } from '../role/role-fields.ts'
import {
  compileRoleScope,
  type RoleScope,
  type RoleScopeRecord,
  roleScopeOf,
  showRoleScope,
} from '../scope/role-scope.ts'

export interface OtpRoleRecord extends HostRoleRecord, Omit<RoleScopeRecord, 'hostScope'> {
  readonly keyType: 'otp'
  /** Its passwords are for enrolled hosts, which prove who they are. */
  readonly requireHostIdentity?: boolean
}

export interface OtpRole extends OtpRoleRecord, HostNetworks {
  /** Its passwords are for one enrolled host each, whatever the request says. */
  readonly isForHosts: boolean
  /** The hosts that there may be passwords for: all where the role names none. */
  readonly scope: RoleScope
}

export function compileOtpRole(record: OtpRoleRecord): OtpRole {
  const { requireHostIdentity = false, allowedHosts, allowedGroups, allowedTags } = record
  const namesSome = Boolean(allowedHosts ?? allowedGroups ?? allowedTags)
  return {
    ...record,
    ...parseHostNetworks(record),
    isForHosts: requireHostIdentity || namesSome,
    scope: compileRoleScope(namesSome ? record : { allowedHosts: ['*'] }),
  }
}

/** The role that a write asks for; refused where it is none. */
export function otpRoleOf(fields: FieldValues<RoleFields>): OtpRoleRecord {
  if (fields.admin_user !== '') throw badRequest('admin user not required for OTP type')
  const requireHostIdentity = fields.require_host_identity
  const { hostScope: _, ...scope } = roleScopeOf(fields)
  return {
    keyType: 'otp',
    ...hostRoleOf(fields),
    ...scope,
    ...(requireHostIdentity && { requireHostIdentity }),
  }
}

/** The role in wire names. */
export function showOtpRole(role: OtpRole): Record<string, unknown> {
  return {
    ...showHostRole(role),
    ...showRoleScope(compileRoleScope(role)),
    key_type: role.keyType,
    ...(role.requireHostIdentity && { require_host_identity: true }),
  }
}
