/** Critical options and extensions of a certificate: asked for, default, required (contract 6.8, Decision 9). */
import { badRequest } from '../../../errors.ts'
import { fillTemplate, type IdentityValues, isTemplate } from '../template.ts'
import type { CaRole } from './role.ts'

type Options = ReadonlyMap<string, string>

const SKIPPED =
  'default_extension templating enabled with at least one extension requiring identity templating. However, this request lacked identity entity information, causing one or more extensions to be skipped from the generated certificate.'

/** The request's options replace the role's default ones; the required ones can't be dropped or changed. */
export function criticalOptionsFor(role: CaRole, requested: Options): Options {
  const isAnyAllowed = role.allowedCriticalOptions === ''
  const wrong = [...requested.keys()].filter((name) => !role.criticalOptionNames.has(name))
  if (!isAnyAllowed && wrong.length > 0) {
    throw badRequest(`critical options not on allowed list: [${wrong.join(' ')}]`)
  }
  const chosen = requested.size > 0 ? requested : role.defaultCriticalOptions
  return new Map([...chosen, ...role.requiredCriticalOptions])
}

/** The same for extensions, with a warning when default ones could not be filled with the caller's identity. */
export function extensionsFor(
  role: CaRole,
  requested: Options,
  identity: IdentityValues | undefined,
): { readonly extensions: Options; readonly warnings: readonly string[] } {
  const isAnyAllowed = role.allowedExtensions === '*'
  const wrong = [...requested.keys()].filter((name) => !role.extensionNames.has(name))
  if (!isAnyAllowed && wrong.length > 0) {
    throw badRequest(`extensions [${wrong.join(' ')}] are not on allowed list`)
  }
  if (requested.size > 0) {
    return { extensions: new Map([...requested, ...role.requiredExtensions]), warnings: [] }
  }
  const filled = new Map<string, string>()
  for (const [name, value] of role.defaultExtensions) {
    const isTemplated = role.defaultExtensionsTemplate && isTemplate(value)
    const result = isTemplated
      ? fillTemplate(value, identity, role.allowCommasInIdentityTemplates)
      : value
    if (result !== undefined) filled.set(name, result)
  }
  const warnings = filled.size < role.defaultExtensions.size ? [SKIPPED] : []
  return { extensions: new Map([...filled, ...role.requiredExtensions]), warnings }
}
