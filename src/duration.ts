/**
 * Durations as this API reads and writes them: Go's text form (`1h30m`, `1.5h`, `100ms`), whole days
 * (`1d`), bare seconds.
 */

const UNIT_SECONDS = new Map([
  ['ns', 1e-9],
  ['us', 1e-6],
  ['µs', 1e-6],
  ['μs', 1e-6],
  ['ms', 1e-3],
  ['s', 1],
  ['m', 60],
  ['h', 3600],
])

/** The most seconds a duration can have: Go's int64 of nanoseconds. */
const MAX_SECONDS = 9_223_372_036

/** Longer text is no duration, and would take its time. */
const MAX_CHARACTERS = 256

/** Text to seconds (fractions kept). Throws a RangeError with Go's words for text of another form. */
export function parseDuration(text: string): number {
  if (text.length > MAX_CHARACTERS) {
    const start = JSON.stringify(text.slice(0, MAX_CHARACTERS))
    throw new RangeError(`time: invalid duration, which begins with ${start}`)
  }
  const trimmed = text.trim()
  if (trimmed === '') return 0
  if (/^[+-]?[0-9]{1,12}$/.test(trimmed)) return limited(Number(trimmed), text)
  const days = /^([+-]?[0-9]{1,6})d$/.exec(trimmed)
  if (days) return limited(Number(days[1]) * 86_400, text)
  return parseGoDuration(trimmed)
}

function parseGoDuration(text: string): number {
  const quoted = JSON.stringify(text)
  let rest = text.replace(/^[+-]/, '')
  const sign = text.startsWith('-') ? -1 : 1
  if (rest === '') throw new RangeError(`time: invalid duration ${quoted}`)
  let seconds = 0
  while (rest !== '') {
    const number = /^(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)/.exec(rest.slice(0, 40))?.[0]
    if (number === undefined) throw new RangeError(`time: invalid duration ${quoted}`)
    rest = rest.slice(number.length)
    const unit = /^[^0-9.]*/.exec(rest)?.[0] ?? ''
    if (unit === '') throw new RangeError(`time: missing unit in duration ${quoted}`)
    const factor = UNIT_SECONDS.get(unit)
    if (factor === undefined) {
      throw new RangeError(`time: unknown unit ${JSON.stringify(unit)} in duration ${quoted}`)
    }
    seconds += Number(number) * factor
    rest = rest.slice(unit.length)
  }
  return limited(sign * seconds, text)
}

function limited(seconds: number, text: string): number {
  if (Math.abs(seconds) <= MAX_SECONDS) return seconds
  throw new RangeError(`time: invalid duration ${JSON.stringify(text)}`)
}

/** Seconds as Go prints a duration (`768h0m0s`), with trailing zero parts cut (`768h`) when `short`. */
export function formatDuration(seconds: number, short = false): string {
  if (seconds === 0) return '0s'
  const whole = Math.trunc(Math.abs(seconds))
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60]
  let text = `${rest}s`
  if (hours > 0) text = `${hours}h${minutes}m${text}`
  else if (minutes > 0) text = `${minutes}m${text}`
  if (short) text = text.replace(/(?<=[hm])0s$/, '').replace(/(?<=h)0m$/, '')
  return seconds < 0 ? `-${text}` : text
}
