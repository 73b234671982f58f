/**
 * Standard base64 (RFC 4648 section 4), decoded strictly. Line ends inside are skipped; errors name the
 * byte as the Vault API does, because clients show that text.
 */
import { SshFormatError } from '../errors.ts'

const QUANTUM = 4
const PADDING = '='
const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const values = new Map([...DIGITS].map((digit, value) => [digit, value]))

/** The bytes that `text` encodes. Throws SshFormatError `illegal base64 data at input byte N`. */
export function decodeBase64(text: string): Buffer {
  // Most inputs are right: the slow scan is only for those that do not encode back to themselves.
  const compact = text.replace(/[\r\n]/g, '')
  const bytes = Buffer.from(compact, 'base64')
  if (bytes.toString('base64') === compact) return bytes
  throw new SshFormatError(`illegal base64 data at input byte ${firstIllegalByte(text)}`)
}

/**
 * Where the first fault is: an illegal character, its index; a last group that is too short, the
 * group's first index; missing padding, the length.
 */
function firstIllegalByte(text: string): number {
  let inGroup = 0
  let last = 0
  let at = 0
  for (; at < text.length; at += 1) {
    const character = text.charAt(at)
    if (isLineEnd(character)) continue
    const value = values.get(character)
    if (value === undefined) break
    last = at
    inGroup = (inGroup + 1) % QUANTUM
  }
  if (at === text.length) return at - inGroup
  if (text.charAt(at) !== PADDING || inGroup < 2) return at
  let next = skipLineEnds(text, at + 1)
  if (inGroup === 2) {
    if (next === text.length) return text.length
    if (text.charAt(next) !== PADDING) return next - 1
    next = skipLineEnds(text, next + 1)
  }
  // Only bits that no byte uses are left to be wrong: they sit in the last digit.
  return next < text.length ? next : last
}

function skipLineEnds(text: string, start: number): number {
  let at = start
  while (isLineEnd(text.charAt(at))) at += 1
  return at
}

function isLineEnd(character: string): boolean {
  return character === '\n' || character === '\r'
}
