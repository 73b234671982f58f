/**
 * Roles of the SSH engine: a union on `key_type`, stored as JSON under `roles/` and kept compiled in memory
 * while the configuration's generation lasts.
 */
import type { ConfigView } from '../../mount/call.ts'
import { decodeRecord } from '../../storage/view.ts'
import { type CaRole, type CaRoleRecord, compileCaRole, showCaRole } from './ca/role.ts'
import { compileOtpRole, type OtpRole, type OtpRoleRecord, showOtpRole } from './otp/role.ts'

export type Role = OtpRole | CaRole
export type RoleRecord = OtpRoleRecord | CaRoleRecord

export const ROLES = 'roles/'

/** The role of this name, or undefined. Compiled once a generation. */
export function findRole(config: ConfigView, name: string): Promise<Role | undefined> {
  return config.get(ROLES + name, decodeRole)
}

function decodeRole(value: Uint8Array): Role {
  const record = decodeRecord<RoleRecord>(value)
  return record.keyType === 'otp' ? compileOtpRole(record) : compileCaRole(record)
}

/** The role as a read shows it, in wire names. */
export function showRole(role: Role): Record<string, unknown> {
  return role.keyType === 'otp' ? showOtpRole(role) : showCaRole(role)
}
