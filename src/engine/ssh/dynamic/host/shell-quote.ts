/** The one way in which text gets into a program for a host (protocols 4.2). */

/**
 * One word of a POSIX shell (XCU 2.2.2): whatever the text holds, the shell takes it for nothing but itself. Throws
 * RangeError for a null character, which no shell can hold.
 */
export function shQuote(text: string): string {
  if (text.includes('\0')) throw new RangeError('a null character in a text for a shell')
  return `'${text.replaceAll("'", `'\\''`)}'`
}
