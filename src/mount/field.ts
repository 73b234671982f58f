/**
 * Fields of a path: their types, and how loosely written values become them (contract 1.5). The error texts
 * are those of the API's first implementation, since scripts match on them.
 */
import { parseDuration } from '../duration.ts'
import { PosternError } from '../errors.ts'

/** What each type of field holds after coercion. Durations are whole seconds. */
export interface FieldTypes {
  string: string
  lowercase: string
  int: number
  bool: boolean
  duration: number
  /** Any JSON object, or an array of them merged from left to right. */
  map: Map<string, unknown>
  /** The same with every value turned to text. */
  'string-map': Map<string, string>
  /** An object, or an array of `key=value`. */
  'kv-pairs': Map<string, string>
  /** A list from an array, or from text split at commas. */
  'comma-list': string[]
  /** A list from an array; a text is its one element. */
  'string-list': string[]
  /** Unix seconds from RFC 3339 or a number. */
  time: number
  any: unknown
}

export type FieldType = keyof FieldTypes

export interface Field {
  readonly type: FieldType
  readonly description: string
  readonly default?: unknown
  /**
   * For a part of the path: whether its text is written as an HMAC wherever the path would be shown. Without it, where
   * it is shaped like a one-time password; `false` is for what has ids of that shape.
   */
  readonly secret?: boolean
}

export type Fields = Readonly<Record<string, Field>>

/** The declared fields of one request: absent ones have their default, or their type's zero value. */
export type FieldValues<F extends Fields> = {
  readonly [N in keyof F]: FieldTypes[F[N]['type']]
}

export interface CoercedFields<F extends Fields> {
  readonly values: FieldValues<F>
  /** Names that the request held, null included. */
  readonly given: ReadonlySet<string>
}

/** Coerces request data by declaration. Throws `invalid_field` naming the first field that does not fit. */
export function coerceFields<F extends Fields>(
  fields: F,
  data: ReadonlyMap<string, unknown>,
): CoercedFields<F> {
  const values: Record<string, unknown> = Object.create(null)
  const given = new Set<string>()
  for (const name in fields) {
    const field = fields[name] as Field
    const raw = data.get(name)
    if (data.has(name)) given.add(name)
    values[name] =
      raw === undefined || raw === null ? defaultOf(field) : coerceField(name, field, raw)
  }
  return { values: values as FieldValues<F>, given }
}

function defaultOf(field: Field): unknown {
  return field.default ?? zeroOf(field.type)
}

function zeroOf(type: FieldType): unknown {
  switch (type) {
    case 'string':
    case 'lowercase':
      return ''
    case 'int':
    case 'duration':
    case 'time':
      return 0
    case 'bool':
      return false
    case 'comma-list':
    case 'string-list':
      return []
    case 'any':
      return undefined
    default:
      return new Map()
  }
}

function coerceField(name: string, field: Field, raw: unknown): unknown {
  try {
    return coercions[field.type](raw)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new PosternError(
      'invalid_field',
      `Field validation failed: error converting input for field ${JSON.stringify(name)}: ${error.message}`,
    )
  }
}

const coercions: Record<FieldType, (raw: unknown) => unknown> = {
  string: toText,
  lowercase: (raw) => toText(raw).toLowerCase(),
  int: toInt,
  bool: toBool,
  duration: toSeconds,
  map: toMap,
  'string-map': (raw) => textValues(toMap(raw)),
  'kv-pairs': toPairs,
  'comma-list': toCommaList,
  'string-list': (raw) => (Array.isArray(raw) ? raw.map(toText) : [toText(raw)]),
  time: toTime,
  any: (raw) => raw,
}

function goType(raw: unknown): string {
  if (Array.isArray(raw)) return '[]interface {}'
  if (raw === null) return 'nil'
  if (typeof raw === 'object') return 'map[string]interface {}'
  if (typeof raw === 'string') return 'string'
  return typeof raw === 'boolean' ? 'bool' : 'json.Number'
}

function toText(raw: unknown): string {
  if (typeof raw === 'string') return raw
  if (typeof raw === 'number') return String(raw)
  if (typeof raw === 'boolean') return raw ? '1' : '0'
  throw new RangeError(`'' expected type 'string', got unconvertible type '${goType(raw)}'`)
}

function toInt(raw: unknown): number {
  const refusal = () =>
    new RangeError("'' cannot parse value as 'int': strconv.ParseInt: invalid syntax")
  if (typeof raw === 'boolean') return raw ? 1 : 0
  if (raw === '') return 0
  const text = typeof raw === 'number' || typeof raw === 'string' ? String(raw) : undefined
  if (text === undefined) {
    throw new RangeError(`'' expected type 'int', got unconvertible type '${goType(raw)}'`)
  }
  if (!/^[+-]?(?:0[xX][0-9a-fA-F]{1,13}|0[bB][01]{1,52}|0[oO]?[0-7]{1,17}|[0-9]{1,16})$/.test(text))
    throw refusal()
  const digits = text.replace(/^[+-]/, '')
  const number = /^0[0-7]/.test(digits) ? Number.parseInt(digits, 8) : Number(digits)
  if (!Number.isSafeInteger(number)) throw refusal()
  return text.startsWith('-') ? -number : number
}

const BOOLEANS = new Map<unknown, boolean>([
  ...['1', 't', 'T', 'TRUE', 'true', 'True'].map((text) => [text, true] as const),
  ...['', '0', 'f', 'F', 'FALSE', 'false', 'False'].map((text) => [text, false] as const),
])

function toBool(raw: unknown): boolean {
  if (typeof raw === 'boolean') return raw
  const known = BOOLEANS.get(typeof raw === 'number' ? String(raw) : raw)
  if (known !== undefined) return known
  if (typeof raw === 'string' || typeof raw === 'number') {
    throw new RangeError("'' cannot parse value as 'bool': strconv.ParseBool: invalid syntax")
  }
  throw new RangeError(`'' expected type 'bool', got unconvertible type '${goType(raw)}'`)
}

function toSeconds(raw: unknown): number {
  if (typeof raw !== 'string' && typeof raw !== 'number') {
    throw new RangeError(`could not parse duration from input`)
  }
  const seconds = parseDuration(String(raw))
  if (seconds < 0) throw new RangeError(`cannot provide negative value '${Math.trunc(seconds)}'`)
  return Math.trunc(seconds)
}

/** An object's own entries: names such as `__proto__` are entries like others. */
function toMap(raw: unknown): Map<string, unknown> {
  if (Array.isArray(raw) && raw.every((part) => isObject(part))) {
    return new Map(raw.flatMap((part) => Object.entries(part)))
  }
  if (isObject(raw)) return new Map(Object.entries(raw))
  throw new RangeError(
    `'' expected type 'map[string]interface {}', got unconvertible type '${goType(raw)}'`,
  )
}

function isObject(raw: unknown): raw is Record<string, unknown> {
  return typeof raw === 'object' && raw !== null && !Array.isArray(raw)
}

function textValues(map: Map<string, unknown>): Map<string, string> {
  return new Map([...map].map(([name, value]) => [name, valueText(value)]))
}

function valueText(value: unknown): string {
  if (value === null) return ''
  return typeof value === 'boolean' ? String(value) : toText(value)
}

function toPairs(raw: unknown): Map<string, string> {
  if (isObject(raw)) return textValues(toMap(raw))
  const parts = Array.isArray(raw) ? raw : [raw]
  return new Map(
    parts.map((part) => {
      if (isObject(part) && parts.length === 1) throw new RangeError('invalid key pairs')
      const text = toText(part)
      const split = text.indexOf('=')
      if (split < 1) throw new RangeError(`invalid key pair ${JSON.stringify(text)}`)
      return [text.slice(0, split), text.slice(split + 1)]
    }),
  )
}

/** As many as a JSON body may have values: a text of commas must not keep everybody waiting. */
const MAX_ELEMENTS = 100_000

function toCommaList(raw: unknown): string[] {
  const parts = Array.isArray(raw) ? raw.map(toText) : toText(raw).split(',', MAX_ELEMENTS + 1)
  if (parts.length > MAX_ELEMENTS) throw new RangeError('exceeded maximum number of elements')
  return parts.map((part) => part.trim()).filter((part) => part !== '')
}

/** Always with its zone: without one it would be the server's. */
export const RFC_3339: RegExp =
  /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})$/i

function toTime(raw: unknown): number {
  const text = toText(raw)
  // JSON has numbers beyond every time: 1e999 is read as infinite.
  if (typeof raw === 'number' && Number.isSafeInteger(Math.trunc(raw))) return Math.trunc(raw)
  if (/^[0-9]{1,12}$/.test(text)) return Number(text)
  const time = RFC_3339.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(time)) throw new RangeError(`could not parse time from ${JSON.stringify(text)}`)
  return Math.floor(time / 1000)
}
