/** How another program starts this one, through a shell. */
import { existsSync } from 'node:fs'
import { isSea } from 'node:sea'

/** Words in front of a command's name. */
export function selfCommand(): string[] {
  const [program, script = ''] = process.argv
  if (isSea() || !existsSync(script)) return [process.execPath]
  return [program ?? process.execPath, ...process.execArgv, script]
}

/** One word for sh. */
export function quoteForShell(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`
}
