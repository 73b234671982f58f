/** Finds the name that was probably meant. */

const LONGEST_NAME = 64

/**
 * The nearest of the known names, or undefined when none is near: at most a third of the letters
 * may differ.
 */
export function nearestName(name: string, known: Iterable<string>): string | undefined {
  if (name.length > LONGEST_NAME) return undefined
  let nearest: string | undefined
  let least = Math.max(1, Math.floor(name.length / 3)) + 1
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate)
    if (distance < least) {
      least = distance
      nearest = candidate
    }
  }
  return nearest
}

/** Letters to insert, remove or replace (Levenshtein), row by row. */
function editDistance(one: string, other: string): number {
  let above = Array.from({ length: other.length + 1 }, (_, column) => column)
  for (let row = 1; row <= one.length; row++) {
    const current = [row]
    for (let column = 1; column <= other.length; column++) {
      const replace = (above[column - 1] ?? 0) + (one[row - 1] === other[column - 1] ? 0 : 1)
      const insert = (current[column - 1] ?? 0) + 1
      current.push(Math.min(replace, insert, (above[column] ?? 0) + 1))
    }
    above = current
  }
  return above[other.length] ?? 0
}
