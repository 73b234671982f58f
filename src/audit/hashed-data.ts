/** The `data` of audit lines (contract 10.3): every text at any depth is hashed, times and exempt names apart. */
import { holdsCredential, holdsToken, isDoubtfulName } from './hidden.ts'

type Hash = (text: string) => string

export type HashedData = Record<string, unknown>

/** RFC 3339. */
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/

interface RawJson {
  isRawJSON(value: unknown): value is { readonly rawJSON: string }
}

const { isRawJSON } = JSON as unknown as RawJson

/** Data of a request. A name that is not declared, and may be a secret, is hashed as well (protocols 2.4). */
export function hashRequestData(
  data: ReadonlyMap<string, unknown>,
  declared: ReadonlySet<string>,
  plainKeys: readonly string[],
  hash: Hash,
): HashedData {
  const shown: HashedData = Object.create(null)
  for (const [name, value] of data) {
    const isKnown = declared.has(name) || plainKeys.includes(name)
    const shownName = !isKnown && isDoubtfulName(name) ? hash(name) : name
    shown[shownName] = plainKeys.includes(name) ? value : hashValue(value, hash, holdsCredential)
  }
  return shown
}

/**
 * Data of a response. A name that looks like a token or a one-time password was stored under it by mistake; names
 * further down may well be UUIDs (issuers).
 */
export function hashResponseData(
  data: Readonly<Record<string, unknown>>,
  plainKeys: readonly string[],
  hash: Hash,
): HashedData {
  const shown: HashedData = Object.create(null)
  for (const name of Object.keys(data)) {
    const value = data[name]
    if (plainKeys.includes(name)) shown[name] = value
    else shown[holdsCredential(name) ? hash(name) : name] = hashValue(value, hash, holdsToken)
  }
  return shown
}

function hashValue(value: unknown, hash: Hash, isHidden: (name: string) => boolean): unknown {
  if (typeof value === 'string') return isTime(value) ? value : hash(value)
  if (typeof value === 'bigint') return hash(String(value))
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map((element) => hashValue(element, hash, isHidden))
  if (isRawJSON(value)) return value.rawJSON.startsWith('"') ? hash(value.rawJSON) : value
  const members = value instanceof Map ? value : Object.entries(value)
  const shown: HashedData = Object.create(null)
  for (const [name, member] of members) {
    shown[isHidden(name) ? hash(name) : name] = hashValue(member, hash, isHidden)
  }
  return shown
}

function isTime(text: string): boolean {
  return text.length >= 20 && text.length <= 35 && TIME.test(text)
}
