/** What the running sshd was told when it was started: that comes before every file, and `sshd -T` does not show it. */
import { readFileSync } from 'node:fs'
import { runningSshd } from './reload.ts'

/** Of our settings, those that decide who gets in. */
const DECIDING = /^(?:Trusted|Revoked|Authorized)/

/** Keywords of ours that it has by `-o`, as EC2 Instance Connect has the unit say; none where no sshd runs. */
export function overridden(
  pidFile: string,
  wanted: readonly (readonly [keyword: string, value: string])[],
): string[] {
  const pid = runningSshd(pidFile)
  if (pid === undefined) return []
  // sshd shows its arguments in one piece, with blanks between them.
  const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
  const given = new Set(
    [...line.matchAll(/ -o *(\w+)/g)].map(([, keyword = '']) => keyword.toLowerCase()),
  )
  return wanted
    .map(([keyword]) => keyword)
    .filter((keyword) => DECIDING.test(keyword) && given.has(keyword.toLowerCase()))
}
