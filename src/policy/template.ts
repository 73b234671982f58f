/** Identity templates in policy paths: `secret/{{identity.entity.id}}/*` (contract 4.2). */

/**
 * Finds the value of an expression (`identity.entity.id`, blanks trimmed) for whoever asks;
 * undefined when there is none.
 */
export type ResolveTemplate = (expression: string) => string | undefined

// A value stands for one name: what would add wildcards, segments or lists to the rule is refused
// (GHSA-59w7-v8rr-pr4p).
const VALUE = /^[^*+/,{}]+$/

type Piece = { readonly text: string } | { readonly expression: string }

/** A path's plain and templated pieces; undefined when its braces are not balanced. */
function splitTemplate(path: string): Piece[] | undefined {
  const [first = '', ...rest] = path.split('{{')
  if (first.includes('}}')) return undefined
  const pieces: Piece[] = [{ text: first }]
  for (const part of rest) {
    const [expression = '', text, extra] = part.split('}}')
    if (text === undefined || extra !== undefined) return undefined
    pieces.push({ expression: expression.trim() }, { text })
  }
  return pieces
}

/** Whether a path has templates. Throws a RangeError when its braces are not balanced. */
export function hasTemplate(path: string): boolean {
  const pieces = splitTemplate(path)
  if (pieces === undefined) throw new RangeError('unbalanced templating characters')
  return pieces.length > 1
}

/** The path with its templates filled; undefined when one of them has no usable value. */
export function fillTemplate(path: string, resolve: ResolveTemplate): string | undefined {
  let filled = ''
  for (const piece of splitTemplate(path) ?? []) {
    const text = 'text' in piece ? piece.text : resolve(piece.expression)
    if (text === undefined || ('expression' in piece && !VALUE.test(text))) return undefined
    filled += text
  }
  return filled
}
