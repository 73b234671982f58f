/**
 * Roles of the SSH engine: a union on `key_type`, stored as JSON under `roles/` and kept compiled in memory
 * while the configuration's generation lasts.
 */
import type { ConfigView } from '../../../mount/call.ts'
import { decodeRecord } from '../../../storage/view.ts'
import { type CaRole, type CaRoleRecord, compileCaRole, showCaRole } from '../ca/role.ts'
import {
  compileDynamicRole,
  type DynamicRole,
  type DynamicRoleRecord,
  showDynamicRole,
} from '../dynamic/role.ts'
import { compileOtpRole, type OtpRole, type OtpRoleRecord, showOtpRole } from '../otp/role.ts'

/** Roles for logins to hosts: creds serves them. */
export type HostRole = OtpRole | DynamicRole
export type Role = HostRole | CaRole
export type RoleRecord = OtpRoleRecord | DynamicRoleRecord | CaRoleRecord

export const ROLES = 'roles/'

/** The role of this name, or undefined. Compiled once a generation. */
export function findRole(config: ConfigView, name: string): Promise<Role | undefined> {
  return config.get(ROLES + name, decodeRole)
}

function decodeRole(value: Uint8Array): Role {
  const record = decodeRecord<RoleRecord>(value)
  switch (record.keyType) {
    case 'otp':
      return compileOtpRole(record)
    case 'dynamic':
      return compileDynamicRole(record)
    case 'ca':
      return compileCaRole(record)
  }
}

/** The role as a read shows it, in wire names. */
export function showRole(role: Role): Record<string, unknown> {
  switch (role.keyType) {
    case 'otp':
      return showOtpRole(role)
    case 'dynamic':
      return showDynamicRole(role)
    case 'ca':
      return showCaRole(role)
  }
}
