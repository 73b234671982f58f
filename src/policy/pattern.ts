/**
 * The path patterns of policies (contract 4.2): `*` at the end is any rest, slashes included; `+`
 * is exactly one whole segment; everything else is literal.
 */

export interface Pattern {
  /** Up to the first wildcard; all of it when there is none. */
  readonly head: string
  readonly isExact: boolean
  /** Ends in `*`. */
  readonly isOpen: boolean
  /** From the first `+` on; empty for exact and prefix patterns. */
  readonly segments: readonly string[]
  readonly plusCount: number
  /** Without the final `*`. */
  readonly text: string
}

export function parsePattern(path: string): Pattern {
  const isOpen = path.endsWith('*')
  const text = isOpen ? path.slice(0, -1) : path
  const all = text.split('/')
  const first = all.indexOf('+')
  if (first < 0) {
    return { head: text, isExact: !isOpen, isOpen, segments: [], plusCount: 0, text }
  }
  const segments = all.slice(first)
  const head = text.slice(0, text.length - segments.join('/').length)
  const plusCount = segments.filter((segment) => segment === '+').length
  return { head, isExact: false, isOpen, segments, plusCount, text }
}

/** Whether a path that begins with the pattern's head matches the rest of it too. */
export function matchesRest({ segments, isOpen, head }: Pattern, path: string): boolean {
  if (segments.length === 0) return isOpen || path.length === head.length
  const parts = path.slice(head.length).split('/')
  if (parts.length < segments.length) return false
  if (!isOpen && parts.length !== segments.length) return false
  return segmentsMatch(segments, parts, isOpen)
}

function segmentsMatch(
  segments: readonly string[],
  parts: readonly string[],
  isOpen: boolean,
): boolean {
  const last = segments.length - 1
  return segments.every((segment, index) => {
    const part = parts[index] ?? ''
    return (
      segment === '+' || segment === part || (isOpen && index === last && part.startsWith(segment))
    )
  })
}

/**
 * Orders patterns of one head, the one that decides first. Between heads the longer decides: the
 * first wildcard stands later in it.
 */
export function compareSpecificity(one: Pattern, other: Pattern): number {
  if (one.isOpen !== other.isOpen) return one.isOpen ? 1 : -1
  if (one.plusCount !== other.plusCount) return one.plusCount - other.plusCount
  if (one.text.length !== other.text.length) return other.text.length - one.text.length
  return one.text < other.text ? 1 : -1
}

/** Whether some path under a folder (`ssh/`) can match. */
export function reachesInto(pattern: Pattern, folder: string): boolean {
  const { head, segments, isExact, isOpen } = pattern
  if (head.startsWith(folder)) return true
  if (isExact || !folder.startsWith(head)) return false
  if (segments.length === 0) return isOpen
  const parts = folder.slice(head.length).split('/').slice(0, -1)
  if (parts.length >= segments.length && !isOpen) return false
  const common = Math.min(parts.length, segments.length)
  return segmentsMatch(segments.slice(0, common), parts, isOpen && common === segments.length)
}
