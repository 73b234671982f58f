/** Query strings and form bodies (contract 1.2 and 1.3), in the percent-encoding of HTML forms. Pure. */
import { badRequest } from '../../errors.ts'

/** Names and values together, as for JSON bodies. */
const MAX_STRINGS = 1000

export type Pairs = Map<string, string[]>

/** Splits `a=1&b=2`; a name may come more than once. Bad encoding and more than 1,000 strings are a 400. */
export function parsePairs(text: string): Pairs {
  const pairs: Pairs = new Map()
  let strings = 0
  for (let start = 0; start < text.length; ) {
    const next = text.indexOf('&', start)
    const end = next === -1 ? text.length : next
    if (end > start) {
      strings += 2
      if (strings > MAX_STRINGS) {
        throw badRequest('refused input due to high complexity: exceeded maximum number of strings')
      }
      add(pairs, text.slice(start, end))
    }
    start = end + 1
  }
  return pairs
}

/** Query parameters as request data: a text, or the list of texts of a repeated name. */
export function queryFields(pairs: Pairs): Map<string, string | string[]> {
  const fields = new Map<string, string | string[]>()
  for (const [name, values] of pairs) {
    fields.set(name, values.length === 1 ? (values[0] as string) : values)
  }
  return fields
}

/** Form fields as request data: texts, those of a repeated name joined with `,`. */
export function formFields(pairs: Pairs): Map<string, string> {
  const fields = new Map<string, string>()
  for (const [name, values] of pairs) fields.set(name, values.join(','))
  return fields
}

function add(pairs: Pairs, pair: string): void {
  const equals = pair.indexOf('=')
  const name = decode(equals === -1 ? pair : pair.slice(0, equals))
  const value = equals === -1 ? '' : decode(pair.slice(equals + 1))
  const values = pairs.get(name)
  if (values) values.push(value)
  else pairs.set(name, [value])
}

function decode(text: string): string {
  if (!/[%+]/.test(text)) return text
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw badRequest('the parameters are not valid UTF-8 in percent-encoding')
  }
}
