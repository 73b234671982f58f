/**
 * What a certificate will say, from the role and the fields that sign and issue share: the checks of contract 6.8
 * from the key ID on, in their order, and nothing signed yet.
 */
import { badRequest } from '../../../errors.ts'
import type { Call, MountPoint } from '../../../mount/call.ts'
import type { CertificateFields, CertificateType } from '../../../ssh/certificate/certificate.ts'
import type { Condition } from '../../../storage/store.ts'
import type { CertificateScope } from '../inventory/record.ts'
import { decidePrincipals, splitNames } from '../principals.ts'
import type { Role } from '../role/role.ts'
import { type FieldOf, roleField } from '../role/role-fields.ts'
import { type ScopeFields, scopeFields, scopeOf } from '../scope/request-scope.ts'
import { isSent } from '../sent.ts'
import { fillTemplate, type IdentityValues } from '../template.ts'
import { criticalOptionsFor, extensionsFor } from './options.ts'
import type { CaRole } from './role.ts'

export type TermFields = ScopeFields &
  Readonly<
    Record<'role' | 'valid_principals' | 'cert_type' | 'key_id', FieldOf<'string'>> &
      Record<'ttl', FieldOf<'duration'>> &
      Record<'critical_options' | 'extensions', FieldOf<'string-map'>>
  >

export const termFields: TermFields = {
  role: roleField,
  valid_principals: {
    type: 'string',
    description:
      "Users or hosts that the certificate is for, split at commas. Absent: the role's default_user, for user certificates.",
  },
  cert_type: { type: 'string', default: 'user', description: '`user` or `host`.' },
  key_id: {
    type: 'string',
    description: 'Key ID, which sshd logs at each login; only where the role allows it.',
  },
  ttl: { type: 'duration', description: "Life of the certificate; the role's ttl if absent." },
  critical_options: {
    type: 'string-map',
    description: "Critical options by name, in place of the role's default ones.",
  },
  extensions: {
    type: 'string-map',
    description: "Extensions by name, in place of the role's default ones.",
  },
  ...scopeFields,
}

export interface Terms
  extends Pick<
    CertificateFields,
    'type' | 'validAfter' | 'validBefore' | 'criticalOptions' | 'extensions'
  > {
  /** All of a role that the signature depends on: what is no role's, a host's own certificate, brings this much. */
  readonly role: Pick<
    CaRole,
    'issuerRef' | 'algorithmSigner' | 'keyIdFormat' | 'allowEmptyPrincipals' | 'noStore'
  >
  readonly roleName: string
  /** Names that the role allows: the principals where there is no scope, else what goes before the `@` of each. */
  readonly accounts: readonly string[]
  /** For a certificate that is for these hosts alone: a scoped issuer signs it, and composes its principals. */
  readonly scope?: CertificateScope
  /** Id of the host whose own key this is for. */
  readonly ownHost?: string
  /** That what the terms rest on has not changed; for the commit. */
  readonly conditions: readonly Condition[]
  /** As asked for; empty where the role's format decides. */
  readonly keyId: string
  readonly warnings: readonly string[]
}

/** Reads the caller's identity, where a role's templates need it. */
export type IdentityOf = (entityId: string) => Promise<IdentityValues | undefined>

/** The terms that the role allows this request, or the first reason why it does not. */
export async function termsFor(
  call: Call<TermFields>,
  role: Role,
  identityOf: IdentityOf,
): Promise<Terms> {
  const { fields } = call
  const isCa = role.keyType === 'ca'
  if (fields.key_id !== '' && !(isCa && role.allowUserKeyIds)) {
    throw badRequest('setting key_id is not allowed by role')
  }
  const type = certificateType(fields.cert_type)
  if (!isCa || !(type === 'user' ? role.allowUserCertificates : role.allowHostCertificates)) {
    throw badRequest(`cert_type '${type}' is not allowed by role`)
  }
  const entityId = call.caller?.entityId ?? ''
  const identity = entityId === '' ? undefined : await identityOf(entityId)
  const accounts = principalsFor(call, role, type, identity)
  const ttlSeconds = ttlFor(call, role, call.mount)
  const criticalOptions = criticalOptionsFor(role, fields.critical_options)
  const { extensions, warnings } = extensionsFor(role, fields.extensions, identity)
  const target = await scopeOf(call, role.scope, type, accounts)
  const now = Math.floor(call.now / 1000)
  return {
    role,
    roleName: fields.role,
    type,
    keyId: fields.key_id,
    accounts,
    ...(target.scope && { scope: target.scope }),
    conditions: target.conditions,
    validAfter: BigInt(Math.max(0, now - role.notBeforeSeconds)),
    validBefore: BigInt(now + ttlSeconds),
    criticalOptions,
    extensions,
    warnings: [...warnings, ...target.warnings],
  }
}

function certificateType(text: string): CertificateType {
  if (text === 'user' || text === 'host') return text
  if (text === '') return 'user'
  throw badRequest("cert_type must be either 'user' or 'host'")
}

function principalsFor(
  call: Call<TermFields>,
  role: CaRole,
  type: CertificateType,
  identity: IdentityValues | undefined,
): readonly string[] {
  const isUser = type === 'user'
  const byDefault = () => (isUser ? defaultUser(role, identity) : '')
  const text = isSent(call, 'valid_principals') ? call.fields.valid_principals : byDefault()
  const { allowBareDomains: bareDomains, allowSubdomains: subdomains } = role
  const rules = {
    allowed: isUser ? role.userNames : role.domainNames,
    allowEmpty: role.allowEmptyPrincipals,
    allowCommas: role.allowCommasInIdentityTemplates,
    hosts: isUser ? undefined : { bareDomains, subdomains },
  }
  return decidePrincipals(splitNames(text), rules, identity)
}

function defaultUser(role: CaRole, identity: IdentityValues | undefined): string {
  if (!role.defaultUserTemplate) return role.defaultUser
  const user = fillTemplate(role.defaultUser, identity, role.allowCommasInIdentityTemplates)
  if (user !== undefined) return user
  throw badRequest(
    `template '${role.defaultUser}' could not be rendered -> the token has no identity entity that fills it`,
  )
}

/** Requested, else the role's, else the mount's; only what was not requested is cut to the limit. */
function ttlFor(call: Call<TermFields>, role: CaRole, mount: MountPoint): number {
  const isRequested = isSent(call, 'ttl')
  const wanted = (isRequested ? call.fields.ttl : role.ttlSeconds) || mount.defaultTtlSeconds
  const limit = role.maxTtlSeconds || mount.maxTtlSeconds
  if (wanted <= limit) return wanted
  if (isRequested) throw badRequest(`ttl is larger than maximum allowed ${limit}`)
  return limit
}
