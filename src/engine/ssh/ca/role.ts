/**
 * Roles that sign certificates: for whom, for how long, with which options (contract 6.5, Decisions 6, 7 and 9).
 */
import { badRequest, refused } from '../../../errors.ts'
import type { FieldValues } from '../../../mount/field.ts'
import { type AllowedNames, parseAllowedNames, splitNames } from '../principals.ts'
import type { RoleFields } from '../role/role-fields.ts'
import {
  compileRoleScope,
  type RoleScope,
  type RoleScopeRecord,
  roleScopeOf,
  showRoleScope,
} from '../scope/role-scope.ts'

type Options = ReadonlyMap<string, string>
type Pairs<V> = readonly (readonly [string, V])[]

interface CaRoleBase {
  readonly keyType: 'ca'
  readonly defaultUser: string
  readonly defaultUserTemplate: boolean
  readonly allowedUsers: string
  readonly allowedUsersTemplate: boolean
  readonly allowedDomains: string
  readonly allowedDomainsTemplate: boolean
  readonly allowBareDomains: boolean
  readonly allowSubdomains: boolean
  readonly allowUserCertificates: boolean
  readonly allowHostCertificates: boolean
  readonly allowEmptyPrincipals: boolean
  readonly allowCommasInIdentityTemplates: boolean
  readonly allowUserKeyIds: boolean
  /** Absent in roles of before there was an inventory. */
  readonly noStore?: boolean
  readonly keyIdFormat: string
  readonly allowedCriticalOptions: string
  readonly allowedExtensions: string
  readonly defaultExtensionsTemplate: boolean
  /** `default` or one of `algorithmSigners`. */
  readonly algorithmSigner: string
  readonly issuerRef: string
  readonly ttlSeconds: number
  readonly maxTtlSeconds: number
  readonly notBeforeSeconds: number
}

/** As it is stored: JSON, so maps as pairs. */
export interface CaRoleRecord extends CaRoleBase, RoleScopeRecord {
  readonly defaultCriticalOptions: Pairs<string>
  readonly defaultExtensions: Pairs<string>
  readonly requiredCriticalOptions: Pairs<string>
  readonly requiredExtensions: Pairs<string>
  readonly allowedUserKeyLengths: Pairs<readonly number[]>
}

/** With its lists split. */
export interface CaRole extends CaRoleBase {
  readonly defaultCriticalOptions: Options
  readonly defaultExtensions: Options
  readonly requiredCriticalOptions: Options
  readonly requiredExtensions: Options
  readonly allowedUserKeyLengths: ReadonlyMap<string, readonly number[]>
  readonly userNames: AllowedNames
  readonly domainNames: AllowedNames
  readonly criticalOptionNames: ReadonlySet<string>
  readonly extensionNames: ReadonlySet<string>
  readonly scope: RoleScope
}

export function compileCaRole(record: CaRoleRecord): CaRole {
  return {
    ...record,
    defaultCriticalOptions: new Map(record.defaultCriticalOptions),
    defaultExtensions: new Map(record.defaultExtensions),
    requiredCriticalOptions: new Map(record.requiredCriticalOptions),
    requiredExtensions: new Map(record.requiredExtensions),
    allowedUserKeyLengths: new Map(record.allowedUserKeyLengths),
    userNames: parseAllowedNames(record.allowedUsers, record.allowedUsersTemplate),
    domainNames: parseAllowedNames(record.allowedDomains, record.allowedDomainsTemplate),
    criticalOptionNames: new Set(splitNames(record.allowedCriticalOptions)),
    extensionNames: new Set(splitNames(record.allowedExtensions)),
    scope: compileRoleScope(record),
  }
}

const algorithmSigners = new Set(['default', 'ssh-rsa', 'rsa-sha2-256', 'rsa-sha2-512'])

/** The role that a write asks for. Refuses one that could sign nothing, or with what no signer knows. */
export function caRoleOf(fields: FieldValues<RoleFields>): CaRoleRecord {
  const algorithmSigner = fields.algorithm_signer === '' ? 'default' : fields.algorithm_signer
  if (!algorithmSigners.has(algorithmSigner)) {
    throw refused(`unknown algorithm signer ${JSON.stringify(algorithmSigner)}`)
  }
  if (!fields.allow_user_certificates && !fields.allow_host_certificates) {
    throw badRequest(
      "Either 'allow_user_certificates' or 'allow_host_certificates' must be set to 'true'",
    )
  }
  return {
    keyType: 'ca',
    defaultUser: fields.default_user,
    defaultUserTemplate: fields.default_user_template,
    allowedUsers: fields.allowed_users,
    allowedUsersTemplate: fields.allowed_users_template,
    allowedDomains: fields.allowed_domains,
    allowedDomainsTemplate: fields.allowed_domains_template,
    allowBareDomains: fields.allow_bare_domains,
    allowSubdomains: fields.allow_subdomains,
    allowUserCertificates: fields.allow_user_certificates,
    allowHostCertificates: fields.allow_host_certificates,
    allowEmptyPrincipals: fields.allow_empty_principals,
    allowCommasInIdentityTemplates: fields.allow_commas_in_identity_templates,
    allowUserKeyIds: fields.allow_user_key_ids,
    ...(fields.no_store && { noStore: true }),
    keyIdFormat: fields.key_id_format,
    allowedCriticalOptions: fields.allowed_critical_options,
    allowedExtensions: fields.allowed_extensions,
    defaultCriticalOptions: sorted(fields.default_critical_options),
    defaultExtensions: sorted(fields.default_extensions),
    defaultExtensionsTemplate: fields.default_extensions_template,
    requiredCriticalOptions: sorted(fields.required_critical_options),
    requiredExtensions: sorted(fields.required_extensions),
    allowedUserKeyLengths: keyLengths(fields.allowed_user_key_lengths),
    algorithmSigner,
    issuerRef: fields.issuer_ref === '' ? 'default' : fields.issuer_ref,
    ttlSeconds: fields.ttl,
    maxTtlSeconds: fields.max_ttl,
    notBeforeSeconds: fields.not_before_duration,
    ...roleScopeOf(fields),
  }
}

function sorted(options: Options): Pairs<string> {
  return [...options].sort(([one], [other]) => (one < other ? -1 : 1))
}

/** Each value is a number, a text of numbers split at commas, or a list of either. */
function keyLengths(map: ReadonlyMap<string, unknown>): Pairs<readonly number[]> {
  return [...map].map(([type, value]) => {
    const parts = (Array.isArray(value) ? value : [value]).flatMap((part) =>
      String(part).split(','),
    )
    return [type, parts.map((part) => keyLength(part.trim()))] as const
  })
}

function keyLength(text: string): number {
  if (/^[0-9]{1,6}$/.test(text)) return Number(text)
  const quoted = JSON.stringify(text.slice(0, 64))
  throw badRequest(
    `error processing allowed_user_key_lengths: strconv.ParseInt: parsing ${quoted}: invalid syntax`,
  )
}

/** The role in wire names; Postern's own fields only when they were set. */
export function showCaRole(role: CaRole): Record<string, unknown> {
  return {
    algorithm_signer: role.algorithmSigner,
    allow_bare_domains: role.allowBareDomains,
    allow_commas_in_identity_templates: role.allowCommasInIdentityTemplates,
    allow_empty_principals: role.allowEmptyPrincipals,
    allow_host_certificates: role.allowHostCertificates,
    allow_subdomains: role.allowSubdomains,
    allow_user_certificates: role.allowUserCertificates,
    allow_user_key_ids: role.allowUserKeyIds,
    allowed_critical_options: role.allowedCriticalOptions,
    allowed_domains: role.allowedDomains,
    allowed_domains_template: role.allowedDomainsTemplate,
    allowed_extensions: role.allowedExtensions,
    allowed_user_key_lengths: Object.fromEntries(role.allowedUserKeyLengths),
    allowed_users: role.allowedUsers,
    allowed_users_template: role.allowedUsersTemplate,
    default_critical_options: Object.fromEntries(role.defaultCriticalOptions),
    default_extensions: Object.fromEntries(role.defaultExtensions),
    default_extensions_template: role.defaultExtensionsTemplate,
    default_user: role.defaultUser,
    default_user_template: role.defaultUserTemplate,
    issuer_ref: role.issuerRef,
    key_id_format: role.keyIdFormat,
    key_type: role.keyType,
    max_ttl: role.maxTtlSeconds,
    not_before_duration: role.notBeforeSeconds,
    ...(role.noStore && { no_store: true }),
    ...(role.requiredCriticalOptions.size > 0 && {
      required_critical_options: Object.fromEntries(role.requiredCriticalOptions),
    }),
    ...(role.requiredExtensions.size > 0 && {
      required_extensions: Object.fromEntries(role.requiredExtensions),
    }),
    ttl: role.ttlSeconds,
    ...showRoleScope(role.scope),
  }
}
