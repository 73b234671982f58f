/** What no file of the repository may mention: paths and hosts of a machine that it was written on. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'

// Character classes keep this file from matching itself.
const FORBIDDEN = [
  /\/[w]ork\//,
  /shared\/[r]eference/,
  /shared\/[b]ench/,
  /\/home\/[a-z]+\/(?:src|git)\//,
]

/** One line for each file and pattern, of the files that are or would be under version control. */
export function treeProblems(root: string): string[] {
  const listing = spawnSync('git', ['ls-files', '-co', '--exclude-standard', '-z'], {
    cwd: root,
    encoding: 'utf8',
  })
  if (listing.status !== 0) return [`git ls-files: ${listing.error?.message ?? listing.stderr}`]
  return listing.stdout
    .split('\0')
    .filter((file) => file !== '')
    .flatMap((file) => fileProblems(root, file))
}

function fileProblems(root: string, file: string): string[] {
  let text: string
  try {
    text = readFileSync(path.join(root, file), 'latin1')
  } catch {
    // Deleted in the work tree and not yet in the index.
    return []
  }
  return FORBIDDEN.filter((pattern) => pattern.test(text)).map(
    (pattern) => `${file} contains ${pattern.exec(text)?.[0]}`,
  )
}
