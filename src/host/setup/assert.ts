/** What has to be true of sshd's configuration before and after set-up (protocols 5.3); the texts say what to change. */
import { spawnSync } from 'node:child_process'
import type { sshdSettings } from '../../ssh/host/drop-in.ts'
import { hostPaths } from '../paths.ts'
import { readAccounts } from '../sshd/account.ts'
import type { Directive } from '../sshd/directive.ts'
import { connectionsToTry, deviations } from '../sshd/effective.ts'

export function assertSyntax(config: string): void {
  const { status, stderr } = spawnSync(hostPaths.sshd, ['-t', '-f', config], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`sshd refuses its configuration: ${stderr.trim()}`)
}

/** sshd before 10.3 takes one file: what another one revokes must not come alive again. */
export function assertNoOtherKrl(settings: ReadonlyMap<string, readonly string[]>): void {
  const file = settings.get('revokedkeys')?.[0] ?? 'none'
  if (file === 'none' || file === hostPaths.revokedKeys) return
  throw new Error(`RevokedKeys ${file} is in use: remove that line, and revoke those keys anew`)
}

export function refuseConflicts(conflicts: readonly Directive[]): void {
  if (conflicts.length === 0) return
  const lines = conflicts.map(
    ({ file, line, keyword, value, match }) =>
      `  ${file}:${line}: ${keyword} ${value}  (Match ${match})`,
  )
  throw new Error(
    `Match blocks change settings that limit this host:\n${lines.join('\n')}\nRemove these lines, then run this again`,
  )
}

export function refuseOverrides(keywords: readonly string[]): void {
  if (keywords.length === 0) return
  throw new Error(
    `the running sshd has ${keywords.join(', ')} by -o on its command line, which wins over every file: take that out of its unit, restart it, then run this again`,
  )
}

export async function assertSettings(
  config: string,
  wanted: ReturnType<typeof sshdSettings>,
  directives: readonly Directive[],
): Promise<void> {
  const found = await deviations(config, wanted, connectionsToTry(directives, readAccounts()))
  if (found.length === 0) return
  const lines = found.map((deviation) => {
    const who = deviation.users.slice(0, 5).join(', ')
    const more = deviation.users.length > 5 ? ', …' : ''
    return `  ${deviation.keyword} is "${deviation.found}" for ${who}${more}, and has to be "${deviation.wanted}"`
  })
  throw new Error(
    `other lines of sshd's configuration win over those of Postern:\n${lines.join('\n')}`,
  )
}
