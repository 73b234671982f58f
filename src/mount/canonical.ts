/**
 * The one canonical form of a request's path (protocols 3.2): policies, router, audit and lease ids see nothing
 * else. Percent-decoding happens here, once. Pure.
 */

export type CanonicalTarget =
  /** Decoded, without `/v1/`; `query` is raw, without `?`. */
  | { readonly kind: 'path'; readonly path: string; readonly query: string }
  /** Decoded, with its leading slash: anything that is not below `/v1/`. */
  | { readonly kind: 'outside'; readonly path: string }
  /** The cleaned target, still encoded, with its query: it begins with exactly one `/`. */
  | { readonly kind: 'redirect'; readonly location: string }
  | { readonly kind: 'invalid'; readonly message: string }

const API_ROOT = '/v1/'
const SLASH = 0x2f
const DOT = 0x2e
const PERCENT = 0x25
const QUESTION = 0x3f

/** Everything but letters, marks, numbers, punctuation, symbols and the plain space: invisible names invite confusion. */
const UNPRINTABLE = /[\p{C}\p{Z}]/u
const DOT_SEGMENT = /(?:^|\/)\.\.?(?:\/|$)/

/** Makes the canonical form of a request target as it stood on the request line. Throws nothing. */
export function canonicalPath(rawTarget: string): CanonicalTarget {
  const target = rawTarget.charCodeAt(0) === SLASH ? rawTarget : withoutAuthority(rawTarget)
  if (target === undefined) return invalid('the request target is not a path')
  const { end, encoded, unclean, bad } = survey(target)
  if (bad) return invalid('the path holds a character that is not allowed')
  const raw = end === target.length ? target : target.slice(0, end)
  const path = encoded ? decode(raw) : raw
  if (typeof path !== 'string') return path
  if (unclean) return { kind: 'redirect', location: clean(raw) + target.slice(end) }
  if (encoded && DOT_SEGMENT.test(path)) return invalid('relative paths not supported')
  if (!path.startsWith(API_ROOT)) return { kind: 'outside', path }
  return { kind: 'path', path: path.slice(API_ROOT.length), query: target.slice(end + 1) }
}

/** Spells a canonical path as a request target's path: `canonicalPath` of it gives the path back. */
export function encodePath(path: string): string {
  return API_ROOT + path.split('/').map(encodeURIComponent).join('/')
}

/** RFC 9112 3.2.2: servers accept the form that proxies are sent. */
function withoutAuthority(target: string): string | undefined {
  const authority = /^https?:\/\/[^/?#\\]*/i.exec(target)?.[0]
  if (authority === undefined) return undefined
  const rest = target.slice(authority.length)
  return rest.startsWith('/') ? rest : `/${rest}`
}

interface Survey {
  /** Where the path ends and the query begins. */
  readonly end: number
  readonly encoded: boolean
  /** Holds `//`, `/./` or `/../`. */
  readonly unclean: boolean
  readonly bad: boolean
}

/** One pass over the target: nearly all need neither decoding nor cleaning. */
function survey(target: string): Survey {
  let encoded = false
  let unclean = false
  let end = target.length
  let inQuery = false
  for (let i = 0; i < target.length; i++) {
    const code = target.charCodeAt(i)
    // Raw bytes beyond ASCII are no URL (RFC 3986), and a fragment never travels.
    if (code <= 0x20 || code > 0x7e || code === 0x23) return { end, encoded, unclean, bad: true }
    if (inQuery) continue
    if (code === QUESTION) {
      end = i
      inQuery = true
    } else if (code === 0x5c) return { end, encoded, unclean, bad: true }
    else if (code === PERCENT) encoded = true
    else if (code === SLASH && !unclean) unclean = beginsEmptyOrDots(target, i + 1)
  }
  return { end, encoded, unclean, bad: false }
}

/** Whether the segment at `start` is empty (and not the last), `.` or `..`. */
function beginsEmptyOrDots(target: string, start: number): boolean {
  const first = target.charCodeAt(start)
  if (first === SLASH) return true
  if (first !== DOT) return false
  const after = target.charCodeAt(start + 1) === DOT ? start + 2 : start + 1
  const code = target.charCodeAt(after)
  return code === SLASH || code === QUESTION || Number.isNaN(code)
}

function decode(raw: string): string | CanonicalTarget {
  // An encoded slash would make two segments of one, an encoded percent sign a second decoding.
  if (/%(?:2f|5c|00|25)/i.test(raw)) {
    return invalid('the path holds an encoded character that is not allowed')
  }
  let path: string
  try {
    path = decodeURIComponent(raw)
  } catch {
    return invalid('the path is not valid UTF-8 in percent-encoding')
  }
  if (UNPRINTABLE.test(path.replaceAll(' ', ''))) {
    return invalid('the path holds unprintable characters')
  }
  return path
}

/** Removes `.`, `..` and empty segments; a slash at the end stays. */
function clean(raw: string): string {
  const kept: string[] = []
  for (const segment of raw.split('/')) {
    if (segment === '..') kept.pop()
    else if (segment !== '' && segment !== '.') kept.push(segment)
  }
  const path = `/${kept.join('/')}`
  return raw.endsWith('/') && kept.length > 0 ? `${path}/` : path
}

function invalid(message: string): CanonicalTarget {
  return { kind: 'invalid', message }
}
