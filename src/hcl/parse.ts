/**
 * HCL1 or JSON text to values (contract 4.1, 7): pure, in linear time, bounded in size and depth
 * (protocols 3.2).
 */
import { HclError } from './error.ts'
import { parseJson } from './json.ts'
import { parseNative } from './native.ts'
import type { HclObject } from './value.ts'

/** Largest text, in bytes of UTF-8. */
export const MAX_TEXT_BYTES: number = 1024 * 1024

const MAX_DEPTH = 32

/**
 * The top-level object of a text. A text whose first character is `{` is JSON, as HCL1 decides it.
 * Throws HclError, and nothing else, for any text that is not valid.
 */
export function parseHcl(text: string): HclObject {
  if (text.length > MAX_TEXT_BYTES || Buffer.byteLength(text) > MAX_TEXT_BYTES) {
    throw new HclError({ line: 1, column: 1 }, `text is larger than ${MAX_TEXT_BYTES} bytes`)
  }
  return /^\uFEFF?[ \t\r\n]*\{/.test(text)
    ? parseJson(text, MAX_DEPTH)
    : parseNative(text, MAX_DEPTH)
}
