/** Questions to the person at the terminal, where standard input and output may be something else. */
import { createInterface } from 'node:readline/promises'
import type { Session } from '../../session.ts'

/** One of several names; undefined when nobody can be asked, or nothing usable was typed. */
export async function choose(
  { terminal }: Session,
  title: string,
  names: readonly string[],
): Promise<string | undefined> {
  if (!terminal.isInteractive) return undefined
  const rows = names.map((name, index) => `  ${index + 1}  ${name}\n`)
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = (await lines.question(`${rows.join('')}${title} (1-${names.length}): `)).trim()
    return names.find((name, index) => answer === name || answer === String(index + 1))
  } finally {
    lines.close()
    // ssh is to read what is typed from here on.
    process.stdin.pause()
  }
}
