/** The lines of sshd's configuration with their places, includes and Match blocks (sshd_config(5)). */
import { globSync, readFileSync } from 'node:fs'
import path from 'node:path'

export interface Directive {
  readonly file: string
  readonly line: number
  /** In lower case. */
  readonly keyword: string
  readonly value: string
  /** Criteria of the Match blocks around it. */
  readonly match?: string
}

/** sshd's own limit. */
const MAX_DEPTH = 16

/** All lines in the order in which sshd reads them. Throws when the file itself can't be read. */
export function readDirectives(file: string): Directive[] {
  const found: Directive[] = []
  readInto(found, file, undefined, 0)
  return found
}

function readInto(found: Directive[], file: string, scope: string | undefined, depth: number) {
  let match = scope
  const lines = readFileSync(file, 'utf8').split('\n')
  for (const [index, text] of lines.entries()) {
    const [, name = '', value = ''] = /^\s*"?(\w+)"?(?:\s*=\s*|\s+)(.*?)\s*$/.exec(text) ?? []
    if (name === '') continue
    const keyword = name.toLowerCase()
    // A block ends with its file, and one in an included file is inside the block that includes it.
    if (keyword === 'match') match = [scope, value].filter(Boolean).join(' ')
    found.push({ file, line: index + 1, keyword, value, ...(match === undefined ? {} : { match }) })
    if (keyword !== 'include' || depth >= MAX_DEPTH) continue
    for (const pattern of includePatterns(value)) {
      for (const included of globSync(pattern).sort()) readInto(found, included, match, depth + 1)
    }
  }
}

/** The files that an Include names, as absolute patterns. */
export function includePatterns(value: string): string[] {
  const words = [...value.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain)
  return words.map((word = '') => path.resolve('/etc/ssh', word))
}
