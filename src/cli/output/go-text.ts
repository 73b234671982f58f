/** Values as the family's tables show them (contract 8.1): Go's default text, durations under their names. */
import { type BigNumber, isBigNumber, type Json } from '../../client/json.ts'
import { formatDuration } from '../../duration.ts'

/** `map[a:1 b:[x y]]`, `[a b]`, `<nil>`, `true`; texts as they are. */
export function goText(value: Json | undefined): string {
  if (value === null || value === undefined) return '<nil>'
  if (isBigNumber(value)) return value.rawJSON
  if (Array.isArray(value)) return `[${value.map(goText).join(' ')}]`
  if (typeof value === 'object') {
    const members = value as Exclude<typeof value, BigNumber>
    const pairs = Object.keys(members)
      .sort(byteOrder)
      .map((key) => `${key}:${goText(members[key])}`)
    return `map[${pairs.join(' ')}]`
  }
  return String(value)
}

/** A member of `data` as a table's value: seconds as a duration where the name says so, `n/a` for no text. */
export function tableText(key: string, value: Json | undefined): string {
  if (value === '') return 'n/a'
  if (typeof value === 'number' && isDurationName(key)) return formatDuration(value, true)
  return goText(value)
}

function isDurationName(key: string): boolean {
  return /(^|_)(ttl|duration|period)$/.test(key) || /^(lease|ttl)_max$/.test(key)
}

/** The order of UTF-8 bytes, which Go sorts by. */
export function byteOrder(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other))
}
