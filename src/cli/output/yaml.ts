/** JSON values as YAML 1.2 in block style; only what `-format=yaml` needs. */
import { isBigNumber, isObject, type Json } from '../../client/json.ts'

/** Ends with a line end. */
export function encodeYaml(value: Json): string {
  return isNested(value) ? `${lines(value, '').join('\n')}\n` : `${scalar(value, '')}\n`
}

function lines(value: Json, indent: string): string[] {
  if (Array.isArray(value)) {
    return value.flatMap((item) => {
      if (!isNested(item)) return [`${indent}- ${scalar(item, indent)}`]
      const [first = '', ...rest] = lines(item, `${indent}  `)
      return [`${indent}- ${first.trimStart()}`, ...rest]
    })
  }
  if (!isObject(value)) return []
  return Object.keys(value).flatMap((key) => {
    const member = value[key] as Json
    const name = `${indent}${scalar(key, indent)}:`
    if (!isNested(member)) return [`${name} ${scalar(member, indent)}`]
    return [name, ...lines(member, Array.isArray(member) ? indent : `${indent}  `)]
  })
}

function isNested(value: Json): boolean {
  if (Array.isArray(value)) return value.length > 0
  return isObject(value) && Object.keys(value).length > 0
}

function scalar(value: Json, indent: string): string {
  if (typeof value === 'string') return text(value, indent)
  if (isBigNumber(value)) return value.rawJSON
  if (Array.isArray(value)) return '[]'
  return isObject(value) ? '{}' : String(value)
}

const PLAIN = /^[A-Za-z/_][\w./@+=-]*( [\w./@+=-]+)*$/
const NOT_TEXT = /^(true|false|null|yes|no|on|off|y|n)$/i

function text(value: string, indent: string): string {
  if (PLAIN.test(value) && !NOT_TEXT.test(value)) return value
  const isBlock = /^[^\s].*\n/.test(value) && !/[^\n\x20-\x7e]| \n|\n\n$/.test(value)
  // JSON's strings are YAML's double-quoted ones.
  if (!isBlock) return JSON.stringify(value)
  const ending = value.endsWith('\n') ? '' : '-'
  const rows = value.replace(/\n$/, '').split('\n')
  return `|${ending}\n${rows.map((row) => (row === '' ? '' : `${indent}  ${row}`)).join('\n')}`
}
