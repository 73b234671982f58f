/**
 * Identity templates in roles: `{{identity.entity.name}}` and the like (contract 6.8, Decision 6). What a template
 * yields is a value: it never becomes several names unless the role says so, and is never signed unfilled.
 */
import { badRequest } from '../../errors.ts'

/** Values of the caller's entity by their template path: `identity.entity.name`. Undefined for an unknown path. */
export type IdentityValues = (path: string) => string | undefined

export function isTemplate(text: string): boolean {
  return text.includes('{{') || text.includes('}}')
}

/**
 * The text with every template replaced by its value; undefined when one can't be filled: no entity, a path that it
 * does not have, braces that do not match. A value that holds a comma is refused unless `allowCommas`.
 */
export function fillTemplate(
  text: string,
  identity: IdentityValues | undefined,
  allowCommas: boolean,
): string | undefined {
  if (!isTemplate(text)) return text
  if (identity === undefined) return undefined
  let filled = ''
  let rest = text
  while (rest !== '') {
    const opens = rest.indexOf('{{')
    const closes = rest.indexOf('}}', opens + 2)
    if (opens < 0 || closes < 0) return isTemplate(rest) ? undefined : filled + rest
    const value = identity(rest.slice(opens + 2, closes).trim())
    if (value === undefined || value === '') return undefined
    if (value.includes(',') && !allowCommas) {
      throw badRequest(
        `template '${text}' could not be rendered -> template substitution contains forbidden value ","`,
      )
    }
    filled += rest.slice(0, opens) + value
    rest = rest.slice(closes + 2)
  }
  return filled
}
