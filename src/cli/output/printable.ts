/** Text of others on its way to a terminal, which obeys the control characters in it. */

/** With control characters as escapes that are seen; line ends and tabs stay. */
export function printable(text: string): string {
  return text.replace(
    /(?!\n|\t|\r\n)\p{Cc}/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
