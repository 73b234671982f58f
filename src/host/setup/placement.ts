/** Where the drop-in has to go for sshd to read it before everything else (hosts.md, item 7; protocols 5.3). */
import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import type { SshVersion } from '../../ssh/host/drop-in.ts'
import { hostPaths } from '../paths.ts'
import { type Directive, includePatterns } from '../sshd/directive.ts'

/** sshd has Include from here on. */
const INCLUDE: SshVersion = 802

const BEGIN = '# BEGIN Postern: has to stand before all other settings'
const END = '# END Postern'

/** What goes on top of sshd_config: nothing where its own first line includes our file first. */
export function topLines(
  dropIn: string,
  directives: readonly Directive[],
  sshVersion: SshVersion | undefined,
): string {
  if (sshVersion !== undefined && sshVersion < INCLUDE) return dropIn
  const first = directives.find(({ file }) => file === hostPaths.sshdConfig)
  const folder = path.join(hostPaths.dropInFolder, '*.conf')
  const includesFolder =
    first?.keyword === 'include' && includePatterns(first.value)[0] === folder && isFirstOfFolder()
  return includesFolder ? '' : `Include ${hostPaths.dropIn}\n`
}

function isFirstOfFolder(): boolean {
  if (!existsSync(hostPaths.dropInFolder)) return true
  const others = readdirSync(hostPaths.dropInFolder).filter((name) => name.endsWith('.conf'))
  return others.every((name) => name >= path.basename(hostPaths.dropIn))
}

/** The configuration with these lines on top, in the place of those of an earlier set-up. */
export function withTopLines(config: string, lines: string): string {
  const without = withoutTopLines(config)
  return lines === '' ? without : `${BEGIN}\n${lines}${END}\n${without}`
}

/** The configuration as it was before. */
export function withoutTopLines(config: string): string {
  const start = config.indexOf(BEGIN)
  const end = config.indexOf(`${END}\n`, start)
  return start < 0 || end < 0 ? config : config.slice(0, start) + config.slice(end + END.length + 1)
}

/** The lines of an earlier set-up; empty where there was none. */
export function presentTopLines(config: string): string {
  return config.slice(0, config.length - withoutTopLines(config).length)
}
