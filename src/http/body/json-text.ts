/**
 * JSON bodies (contract 1.1 and 1.4, protocols 3.1): one linear scan bounds what `JSON.parse` is given, and its
 * errors are told in the words that clients of this API know. Pure.
 */
import { badRequest, PosternError } from '../../errors.ts'

const MAX_DEPTH = 64
/** Keys and values together. */
const MAX_STRINGS = 1000
/** Members and elements of all kinds: a body of numbers costs 16 times its size in memory. */
const MAX_VALUES = 100_000

const QUOTE = 0x22
const BACKSLASH = 0x5c

/** The members of the top-level object of a JSON body; none for `null`. */
export type JsonFields = ReadonlyMap<string, unknown>

const NO_FIELDS: JsonFields = new Map()

/** Refuses, before anything is built from it, text that is deep or has very many parts. The text may still be no JSON. */
function checkComplexity(text: Uint8Array): void {
  let depth = 0
  let strings = 0
  let values = 0
  for (let i = 0; i < text.length; i++) {
    const byte = text[i] as number
    if (byte === QUOTE) {
      if (++strings > MAX_STRINGS) throw tooComplex('strings')
      i = endOfString(text, i + 1)
    } else if (byte === 0x5b || byte === 0x7b) {
      if (++depth > MAX_DEPTH) throw tooComplex('nested levels')
    } else if (byte === 0x5d || byte === 0x7d) depth--
    else if (byte === 0x2c && ++values > MAX_VALUES) throw tooComplex('values')
  }
}

/** Reads a body: an object, or `null` for no fields; of a name given twice the last counts. */
export function parseJsonFields(body: Buffer): {
  readonly fields: JsonFields
  readonly text: string
} {
  checkComplexity(body)
  const text = body.toString('utf8')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw notJson(text, cause)
  }
  if (value === null) return { fields: NO_FIELDS, text }
  if (typeof value !== 'object' || Array.isArray(value)) {
    const type = Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value
    throw invalidJson(
      `json: cannot unmarshal ${type} into Go value of type map[string]interface {}`,
    )
  }
  // Half a surrogate pair has no UTF-8 form: left alone, two different names would be stored as one.
  const sound = /\\u[dD][89a-fA-F]/.test(text) ? (wellFormed(value) as object) : value
  return { fields: new Map(Object.entries(sound)), text }
}

function endOfString(text: Uint8Array, start: number): number {
  let i = start
  while (i < text.length && text[i] !== QUOTE) i += text[i] === BACKSLASH ? 2 : 1
  return i
}

function wellFormed(value: unknown): unknown {
  if (typeof value === 'string') return value.toWellFormed()
  if (Array.isArray(value)) return value.map(wellFormed)
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(value).map(([name, member]) => [
    name.toWellFormed(),
    wellFormed(member),
  ])
  return Object.fromEntries(members)
}

/** V8's own message quotes a piece of the body, which may be a secret: only the offending character is kept. */
function notJson(text: string, cause: unknown): PosternError {
  const message = cause instanceof Error ? cause.message : ''
  const trailing = /after JSON at position (\d+)/.exec(message)?.[1]
  if (trailing !== undefined) {
    return invalidJson(
      `invalid character '${text[Number(trailing)]}' looking for beginning of value`,
    )
  }
  const position = /at position (\d+)/.exec(message)?.[1]
  const character =
    position === undefined ? /^Unexpected token '(.)'/su.exec(message)?.[1] : text[Number(position)]
  return invalidJson(
    character === undefined ? 'unexpected EOF' : `invalid character '${character}'`,
  )
}

function invalidJson(detail: string): PosternError {
  return new PosternError('invalid_json', `failed to decode JSON input: ${detail}`)
}

function tooComplex(what: string): PosternError {
  return badRequest(`refused JSON input due to high complexity: exceeded maximum number of ${what}`)
}
