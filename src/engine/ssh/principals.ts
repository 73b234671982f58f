/**
 * Which principals a certificate gets: those asked for, if the role allows each (contract 6.8, Decision 7).
 * Answers CVE-2024-7594 (no certificate for every user) and CVE-2026-35414 (no name that sshd reads as two).
 */
import { badRequest, SshFormatError } from '../../errors.ts'
import { assertPrincipal } from '../../ssh/certificate/certificate.ts'
import { fillTemplate, type IdentityValues, isTemplate } from './template.ts'

/** A role's list of names or domains, split once. */
export interface AllowedNames {
  /** The list is exactly `*`. */
  readonly any: boolean
  readonly names: ReadonlySet<string>
  /** Entries to be filled with the caller's identity. */
  readonly templates: readonly string[]
}

/** The names of a comma list: trimmed, without empty ones, each once, sorted. */
export function splitNames(list: string): string[] {
  const names = list.split(',').map((name) => name.trim())
  return [...new Set(names.filter((name) => name !== ''))].sort()
}

/** Splits a role's list; entries are templates only where the role says that its list holds them. */
export function parseAllowedNames(list: string, hasTemplates: boolean): AllowedNames {
  // `*` among other names is no wildcard here, but it would be one in a host certificate.
  const entries = splitNames(list).filter((entry) => entry !== '*')
  const isTemplated = (entry: string) => hasTemplates && isTemplate(entry)
  return {
    any: list.trim() === '*',
    names: new Set(entries.filter((entry) => !isTemplated(entry))),
    templates: entries.filter(isTemplated),
  }
}

export interface PrincipalRules {
  readonly allowed: AllowedNames
  readonly allowEmpty: boolean
  readonly allowCommas: boolean
  /** How host certificates match domains; absent for user certificates, which need an equal name. */
  readonly hosts?: { readonly bareDomains: boolean; readonly subdomains: boolean } | undefined
}

/** The sorted principals for a request that asked for these; throws where the role does not allow one, or none. */
export function decidePrincipals(
  requested: readonly string[],
  rules: PrincipalRules,
  identity: IdentityValues | undefined,
): readonly string[] {
  if (requested.length === 0) {
    if (rules.allowEmpty) return []
    throw badRequest(
      'refusing to issue unsafe, globally-valid certificate with no principals specified; set valid_principals or default_user',
    )
  }
  const { any, names, templates } = rules.allowed
  if (!any && names.size === 0 && templates.length === 0) {
    throw badRequest('role is not configured to allow any principals')
  }
  const allowed = templates.length === 0 ? names : withTemplates(rules, identity)
  for (const name of requested) {
    if (!any && !isAllowed(name, allowed, rules.hosts)) {
      throw badRequest(`${name} is not a valid value for valid_principals`)
    }
    if (!isSafeName(name)) {
      throw badRequest(
        `${JSON.stringify(name)} is not a valid value for valid_principals: names hold no blanks, quotes, commas, control characters or unfilled templates`,
      )
    }
  }
  return requested
}

/** Whether sshd reads the name as one name, wherever it may be written. */
function isSafeName(name: string): boolean {
  try {
    assertPrincipal(name)
    return !isTemplate(name)
  } catch (error) {
    if (error instanceof SshFormatError) return false
    throw error
  }
}

/** A template that can't be filled allows nothing: the entry is left out. */
function withTemplates(
  { allowed, allowCommas }: PrincipalRules,
  identity: IdentityValues | undefined,
): ReadonlySet<string> {
  const filled = allowed.templates.flatMap((template) =>
    splitNames(fillTemplate(template, identity, allowCommas) ?? ''),
  )
  return new Set([...allowed.names, ...filled])
}

function isAllowed(
  name: string,
  allowed: ReadonlySet<string>,
  hosts: PrincipalRules['hosts'],
): boolean {
  if (hosts === undefined) return allowed.has(name)
  if (hosts.bareDomains && allowed.has(name)) return true
  return hosts.subdomains && [...allowed].some((domain) => isBelow(name, domain))
}

function isBelow(name: string, domain: string): boolean {
  return name.length > domain.length + 1 && name.endsWith(`.${domain}`)
}
