/** The values of HCL1 literals: escapes in strings, and numbers with their three bases. */

const SIMPLE_ESCAPES: ReadonlyMap<string, string> = new Map([
  ['a', '\x07'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['v', '\v'],
  ['\\', '\\'],
  ['"', '"'],
])

const ESCAPE = /\\(?:([0-7]{3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))/gs

/** The text between the quotes with its escapes replaced; undefined when one of them is none. */
export function unescapeString(text: string): string | undefined {
  if (!text.includes('\\')) return text
  let valid = true
  const value = text.replace(ESCAPE, (_all, octal, hex, short, long, simple) => {
    const replacement =
      simple === undefined ? codePoint(octal, hex ?? short ?? long) : SIMPLE_ESCAPES.get(simple)
    if (replacement === undefined) valid = false
    return replacement ?? ''
  })
  return valid ? value : undefined
}

function codePoint(octal: string | undefined, hex: string | undefined): string | undefined {
  const code = octal === undefined ? Number.parseInt(hex ?? '', 16) : Number.parseInt(octal, 8)
  const isSurrogate = code >= 0xd800 && code <= 0xdfff
  return code > 0x10ffff || isSurrogate ? undefined : String.fromCodePoint(code)
}

/**
 * Decimal, `0x` hexadecimal, octal by a leading zero, fraction, exponent. Undefined for `09` and
 * for what no double holds.
 */
export function parseNumber(text: string): number | undefined {
  const isNegative = text.startsWith('-')
  const digits = isNegative ? text.slice(1) : text
  const value = magnitude(digits)
  if (value === undefined || !Number.isFinite(value)) return undefined
  return isNegative ? -value : value
}

function magnitude(digits: string): number | undefined {
  if (!/^0[0-9]+$/.test(digits)) return Number(digits)
  return /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : undefined
}
