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

export interface OtpRoleRecord extends HostRoleRecord {
  readonly keyType: 'otp'
  /** Its passwords are for enrolled hosts, which prove who they are. */
  readonly requireHostIdentity?: boolean
}

export interface OtpRole extends OtpRoleRecord, HostNetworks {}

export function compileOtpRole(record: OtpRoleRecord): OtpRole {
  return { ...record, ...parseHostNetworks(record) }
}

/** The role that a write asks for; refused where it is none. */
export function otpRoleOf(fields: FieldValues<RoleFields>): OtpRoleRecord {
  if (fields.admin_user !== '') throw badRequest('admin user not required for OTP type')
  const requireHostIdentity = fields.require_host_identity
  return {
    keyType: 'otp',
    ...hostRoleOf(fields),
    ...(requireHostIdentity && { requireHostIdentity }),
  }
}

/** The role in wire names. */
export function showOtpRole(role: OtpRoleRecord): Record<string, unknown> {
  return {
    ...showHostRole(role),
    key_type: role.keyType,
    ...(role.requireHostIdentity && { require_host_identity: true }),
  }
}
