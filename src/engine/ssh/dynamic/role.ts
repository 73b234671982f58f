/**
 * Roles that install keys on hosts: with which admin key, what kind of pair, how the host is known (contract 9,
 * Decisions 2, 3 and 12; protocols 4.2 to 4.6).
 */
import { badRequest, SshFormatError } from '../../../errors.ts'
import type { FieldValues } from '../../../mount/field.ts'
import { type KnownHost, parseKnownHosts } from '../../../ssh/key/known-hosts.ts'
import {
  type HostNetworks,
  type HostRoleRecord,
  hostRoleOf,
  parseHostNetworks,
  showHostRole,
} from '../host-role.ts'
import { splitNames } from '../principals.ts'
import type { RoleFields } from '../role/role-fields.ts'
import { parseKeyOptions } from './host/key-options.ts'
import { isLoginName } from './host/login-name.ts'
import type { HostKeyPolicy } from './host-identity.ts'

export interface DynamicRoleRecord extends HostRoleRecord {
  readonly keyType: 'dynamic'
  /** Its name. */
  readonly key: string
  readonly adminUser: string
  readonly keyAlgorithm: 'rsa' | 'ed25519'
  /** 0 for Ed25519. */
  readonly keyBits: number
  /** Empty: the built-in one. */
  readonly installScript: string
  readonly keyOptionSpecs: string
  readonly authorizedKeys: 'user' | 'system'
  /** Lines of known_hosts. */
  readonly hostKeys: string
  readonly hostKeyPolicy: HostKeyPolicy
  readonly renewRewritesExpiry: boolean
}

export interface DynamicRole extends DynamicRoleRecord, HostNetworks {
  readonly knownHosts: readonly KnownHost[]
}

export interface DynamicRoleRules {
  readonly isCompat2015: boolean
  readonly allowInstallScripts: boolean
}

type RoleValues = FieldValues<RoleFields>

const DEFAULT_RSA_BITS = 2048
const MAX_RSA_BITS = 4096
const MIN_RSA_BITS_2015 = 1024
const MAX_SCRIPT_LENGTH = 65_536

export function compileDynamicRole(record: DynamicRoleRecord): DynamicRole {
  return { ...record, ...parseHostNetworks(record), knownHosts: parseKnownHosts(record.hostKeys) }
}

/** The role that a write asks for; refused where it is none. Whether the key is there is for the caller to see. */
export function dynamicRoleOf(fields: RoleValues, rules: DynamicRoleRules): DynamicRoleRecord {
  if (fields.key === '') throw badRequest('missing key name')
  if (fields.admin_user === '') throw badRequest('missing admin username')
  const common = hostRoleOf(fields)
  checkNames(fields)
  checkScript(fields, rules)
  checkOptions(fields.key_option_specs)
  checkHostKeys(fields.host_keys)
  return {
    keyType: 'dynamic',
    ...common,
    key: fields.key,
    adminUser: fields.admin_user,
    ...keyChoice(fields, rules),
    installScript: fields.install_script,
    keyOptionSpecs: fields.key_option_specs,
    authorizedKeys: oneOf('authorized_keys', fields.authorized_keys, ['user', 'system']),
    hostKeys: fields.host_keys,
    hostKeyPolicy: policyOf(fields),
    renewRewritesExpiry: fields.renew_rewrites_expiry,
  }
}

function checkNames({ admin_user, default_user, allowed_users }: RoleValues): void {
  const allowed = splitNames(allowed_users).filter((name) => name !== '*')
  for (const name of [admin_user, default_user, ...allowed]) {
    if (!isLoginName(name)) {
      throw badRequest(
        `${JSON.stringify(name)} is no user name: small letters, digits, _ . and -, at most 32, not beginning with a digit`,
      )
    }
  }
}

function keyChoice(
  { key_algorithm: wanted, key_bits: bits }: RoleValues,
  { isCompat2015 }: DynamicRoleRules,
): Pick<DynamicRoleRecord, 'keyAlgorithm' | 'keyBits'> {
  const usual = bits !== 0 || isCompat2015 ? 'rsa' : 'ed25519'
  const keyAlgorithm = oneOf('key_algorithm', wanted === '' ? usual : wanted, ['rsa', 'ed25519'])
  if (keyAlgorithm === 'ed25519') {
    if (bits !== 0) throw badRequest('invalid key_bits field: ed25519 keys have one size')
    return { keyAlgorithm, keyBits: 0 }
  }
  const keyBits = bits === 0 ? DEFAULT_RSA_BITS : bits
  const isAllowed = keyBits >= DEFAULT_RSA_BITS && keyBits <= MAX_RSA_BITS && keyBits % 8 === 0
  if (isAllowed || (isCompat2015 && keyBits === MIN_RSA_BITS_2015)) return { keyAlgorithm, keyBits }
  throw badRequest(`invalid key_bits field: ${DEFAULT_RSA_BITS} to ${MAX_RSA_BITS}`)
}

function checkScript(
  { install_script: script }: RoleValues,
  { allowInstallScripts }: DynamicRoleRules,
): void {
  if (script === '') return
  if (!allowInstallScripts) {
    throw badRequest(
      'install_script is not allowed here: set allow_install_scripts = true in the server config',
    )
  }
  if (script.length > MAX_SCRIPT_LENGTH || script.includes('\0')) {
    throw badRequest('invalid install_script: too long, or not text')
  }
}

function checkOptions(specs: string): void {
  try {
    parseKeyOptions(specs)
  } catch (error) {
    if (!(error instanceof SshFormatError)) throw error
    throw badRequest(`invalid key_option_specs: ${error.message}`)
  }
}

function checkHostKeys(lines: string): void {
  try {
    parseKnownHosts(lines)
  } catch (error) {
    if (!(error instanceof SshFormatError)) throw error
    throw badRequest(`invalid host_keys: ${error.message}`)
  }
}

function policyOf({ host_key_policy: policy, host_keys: keys }: RoleValues): HostKeyPolicy {
  const usual = keys.trim() === '' ? 'tofu' : 'strict'
  return oneOf('host_key_policy', policy === '' ? usual : policy, ['strict', 'tofu'])
}

/** The first choice where the text is empty. */
function oneOf<T extends string>(name: string, text: string, choices: readonly T[]): T {
  const choice = text === '' ? choices[0] : choices.find((one) => one === text)
  if (choice === undefined) throw badRequest(`invalid ${name}: one of ${choices.join(', ')}`)
  return choice
}

/** The role in wire names. */
export function showDynamicRole(role: DynamicRoleRecord): Record<string, unknown> {
  return {
    admin_user: role.adminUser,
    authorized_keys: role.authorizedKeys,
    ...showHostRole(role),
    host_key_policy: role.hostKeyPolicy,
    host_keys: role.hostKeys,
    install_script: role.installScript,
    key: role.key,
    key_algorithm: role.keyAlgorithm,
    key_bits: role.keyBits,
    key_option_specs: role.keyOptionSpecs,
    key_type: role.keyType,
    renew_rewrites_expiry: role.renewRewritesExpiry,
  }
}
