/**
 * Judges a request's parameters by a rule's allowed, denied and required ones (contract 4.2,
 * protocols 3.3).
 */
import type { Conditions, ParameterRules } from './policy.ts'

const ALL = '*'

type ParameterConditions = Pick<
  Conditions,
  'allowedParameters' | 'deniedParameters' | 'requiredParameters'
>

/** Names count in lower case on both sides, so that `TTL` is no way round a rule for `ttl`. */
export function parametersAllowed(
  conditions: ParameterConditions,
  parameters: ReadonlyMap<string, unknown>,
): boolean {
  const { allowedParameters, deniedParameters, requiredParameters } = conditions
  if (allowedParameters.size + deniedParameters.size + requiredParameters.size === 0) return true
  const pairs = Array.from(parameters, ([name, value]) => [name.toLowerCase(), value] as const)
  const names = new Set(pairs.map(([name]) => name))
  for (const required of requiredParameters) if (!names.has(required)) return false
  if (pairs.length > 0 && deniedParameters.has(ALL)) return false
  return pairs.every(
    ([name, value]) =>
      !isDenied(deniedParameters, name, value) && isAllowed(allowedParameters, name, value),
  )
}

function isDenied(rules: ParameterRules, name: string, value: unknown): boolean {
  const values = rules.get(name)
  if (values === undefined) return false
  return values.length === 0 || values.some((denied) => deniesValue(denied, value))
}

function isAllowed(rules: ParameterRules, name: string, value: unknown): boolean {
  if (rules.size === 0) return true
  const values = rules.get(name)
  if (values === undefined) return rules.has(ALL)
  return values.length === 0 || values.some((allowed) => allowsValue(allowed, value))
}

function allowsValue(allowed: unknown, value: unknown): boolean {
  if (typeof allowed === 'string') return typeof value === 'string' && globMatches(allowed, value)
  return sameValue(allowed, value)
}

/**
 * Each element of a list counts, and of a text that a field may split at commas. Numbers and bools
 * count as their text too: a form sends `3600` as text where JSON has a number.
 */
function deniesValue(denied: unknown, value: unknown): boolean {
  if (sameValue(denied, value)) return true
  if (Array.isArray(value)) return value.some((element) => deniesValue(denied, element))
  const pattern = scalarText(denied)
  const text = scalarText(value)
  if (pattern === undefined || text === undefined) return false
  if (globMatches(pattern, text)) return true
  return text.split(',').some((element) => globMatches(pattern, element.trim()))
}

function scalarText(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined
}

/** `*` at the start, the end or both stands for any text; alone for every text. */
function globMatches(pattern: string, text: string): boolean {
  if (pattern === ALL) return true
  const open = pattern.endsWith('*')
  if (!pattern.startsWith('*')) {
    return open ? text.startsWith(pattern.slice(0, -1)) : text === pattern
  }
  return open ? text.includes(pattern.slice(1, -1)) : text.endsWith(pattern.slice(1))
}

/**
 * Deep equality of a policy's value (objects are Maps) with a request's (objects are Maps or
 * plain).
 */
function sameValue(one: unknown, other: unknown): boolean {
  if (one === other) return true
  if (Array.isArray(one)) {
    return (
      Array.isArray(other) &&
      one.length === other.length &&
      one.every((item, index) => sameValue(item, other[index]))
    )
  }
  if (!(one instanceof Map) || typeof other !== 'object' || other === null) return false
  const members = other instanceof Map ? other : new Map(Object.entries(other))
  if (Array.isArray(other) || members.size !== one.size) return false
  for (const [name, value] of one) {
    if (!members.has(name) || !sameValue(value, members.get(name))) return false
  }
  return true
}
