/**
 * The one canonical form of policy names, for every door (CVE-2025-5999: two spellings of one name
 * gave root).
 */

const MAX_NAME_CHARACTERS = 512

/** Trimmed and in lower case. Names are ASCII: the Kelvin sign, whose small letter is a plain k, stays what it is. */
export function normalizePolicyName(name: string): string {
  return name.trim().replace(/[A-Z]+/g, (capitals) => capitals.toLowerCase())
}

/**
 * Canonical, sorted, each once, without empty names. `root` stands alone: it makes the others void.
 */
export function normalizePolicyNames(names: Iterable<string>): string[] {
  const unique = new Set([...names].map(normalizePolicyName))
  unique.delete('')
  return unique.has('root') ? ['root'] : [...unique].sort()
}

/** Whether a policy can have this name; tokens may name others, which grant nothing. */
export function isPolicyName(name: string): boolean {
  return name.length <= MAX_NAME_CHARACTERS && /^[\x21-\x7e]+$/.test(name)
}
