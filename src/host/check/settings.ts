/** sshd's settings as they count, for every account and Match block (protocols 5.3; hosts.md, items 2, 7 and 10). */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { sshdConfig } from '../../ssh/host/drop-in.ts'
import { hostPaths } from '../paths.ts'
import { presentTopLines } from '../setup/placement.ts'
import { readAccounts } from '../sshd/account.ts'
import { overridden } from '../sshd/command-line.ts'
import { type Directive, readDirectives } from '../sshd/directive.ts'
import { connectionsToTry, deviations, generalSettings, matchConflicts } from '../sshd/effective.ts'
import { installedVersion } from '../sshd/version.ts'
import { type Finding, fault, note, warning } from './finding.ts'

/** What set-up has put on this host, read back. */
export interface Installed {
  readonly hostId: string
  /** Keywords and values of our lines. */
  readonly wanted: readonly (readonly [keyword: string, value: string])[]
  readonly file: string
}

/** Before 8.8, sshd keeps its own groups for the principals command (CVE-2021-41617). */
const SAFE_GROUPS = 808

/** Undefined where nothing of ours is in sshd's configuration. */
export function readInstalled(): Installed | undefined {
  const main = readFileSync(hostPaths.sshdConfig, 'utf8')
  const isFile = existsSync(hostPaths.dropIn)
  const text = isFile ? readFileSync(hostPaths.dropIn, 'utf8') : presentTopLines(main)
  const wanted = [...text.matchAll(/^(\w+) (.+)$/gm)].map(
    ([, keyword = '', value = '']) => [keyword, value] as const,
  )
  const hostId = /%u@h\.(\S+)/.exec(text)?.[1]
  if (hostId === undefined) return undefined
  return { hostId, wanted, file: isFile ? hostPaths.dropIn : hostPaths.sshdConfig }
}

/** Asks sshd itself. Its configuration has to be one that it takes. */
export async function checkSettings(installed: Installed): Promise<Finding[]> {
  const { wanted, file } = installed
  const directives = readDirectives(hostPaths.sshdConfig)
  const isOurs = ({ keyword, value }: Directive) =>
    wanted.some(([name, text]) => name.toLowerCase() === keyword && text === value)
  const first = directives.findIndex((directive) => directive.file === file && isOurs(directive))
  if (first < 0) {
    const change = `Include ${file}\n  as the first line of ${hostPaths.sshdConfig}`
    return [fault('settings', `sshd does not read ${file}`, change)]
  }
  const early = directives
    .slice(0, first)
    .filter(({ keyword }) => wanted.some(([name]) => name.toLowerCase() === keyword))
  const found = await deviations(
    hostPaths.sshdConfig,
    wanted,
    connectionsToTry(directives, readAccounts()),
  )
  const settings = await generalSettings(hostPaths.sshdConfig)
  const pidFile = settings.get('pidfile')?.[0] ?? hostPaths.sshdPid
  return [
    ...checkText(installed),
    ...overridden(pidFile, wanted).map((keyword) =>
      fault(
        'running',
        `the running sshd has ${keyword} by -o on its command line, and that wins`,
        `take -o ${keyword} out of sshd's unit, and restart it`,
      ),
    ),
    ...early.map((directive) =>
      fault(
        'order',
        `${placeOf(directive)} comes before the settings of Postern, and wins`,
        `remove ${placeOf(directive)}, or have postern host setup put its lines on top`,
      ),
    ),
    ...matchConflicts(directives, wanted).map((directive) =>
      fault(
        'match',
        `${placeOf(directive)} wins where "Match ${directive.match}" applies`,
        `remove ${placeOf(directive)}`,
      ),
    ),
    ...found.map((deviation) => {
      const some = deviation.users.slice(0, 5).join(', ')
      const who = deviation.users.length > 5 ? `${some}, …` : some
      return fault(
        'settings',
        `${deviation.keyword} is "${deviation.found}" for ${who}`,
        `${deviation.keyword} ${deviation.wanted}`,
      )
    }),
  ]
}

/** Somebody may have changed our own lines. */
function checkText({ hostId, wanted, file }: Installed): Finding[] {
  const values = new Map(wanted)
  const command = values.get('AuthorizedPrincipalsCommand') ?? ''
  const names = (kind: string) =>
    [...command.matchAll(new RegExp(`%u@${kind}\\.(\\S+)`, 'g'))].map(([, name = '']) => name)
  const expected = sshdConfig({
    hostId,
    groups: names('g'),
    tags: names('t').map((tag) => tag.split(/\.(.*)/s).slice(0, 2) as [string, string]),
    keepsAuthorizedKeys: !values.has('AuthorizedKeysFile'),
    hostCertificates: wanted.filter(([name]) => name === 'HostCertificate').map(([, at]) => at),
    sshVersion: installedVersion(),
  })
  const missing = [...expected.matchAll(/^\w+ .+$/gm)]
    .map(([line]) => line)
    .filter((line) => !wanted.some(([name, value]) => line === `${name} ${value}`))
  return missing.map((line) => fault('settings', `${file} has been changed`, line))
}

/** Facts that are true whatever set-up has done. */
export async function checkSshd(): Promise<Finding[]> {
  const version = installedVersion()
  const settings = await generalSettings(hostPaths.sshdConfig)
  const isOn = (keyword: string) => settings.get(keyword)?.[0] === 'yes'
  return [
    ...(version === undefined
      ? [warning('version', 'this sshd is not OpenSSH, or hides its version')]
      : []),
    ...(version !== undefined && version < SAFE_GROUPS
      ? [
          warning(
            'version',
            'OpenSSH before 8.8 runs commands with groups of its own (CVE-2021-41617)',
            'update openssh-server',
          ),
        ]
      : []),
    ...(isOn('hostbasedauthentication')
      ? [warning('logins', 'other hosts can vouch for their users', 'HostbasedAuthentication no')]
      : []),
    ...(isOn('permitemptypasswords')
      ? [fault('logins', 'accounts without a password are open', 'PermitEmptyPasswords no')]
      : []),
    ...(isOn('passwordauthentication')
      ? [note('logins', 'sshd takes passwords too', 'PasswordAuthentication no')]
      : []),
    ...checkLoaded(settings.get('pidfile')?.[0] ?? hostPaths.sshdPid),
  ]
}

/** sshd writes its pid file anew whenever it has read its configuration. */
function checkLoaded(pidFile: string): Finding[] {
  if (!existsSync(pidFile)) return [warning('running', 'no sshd is running here')]
  const read = statSync(pidFile).mtimeMs
  const files = new Set(readDirectives(hostPaths.sshdConfig).map(({ file }) => file))
  const newer = [...files].filter((file) => statSync(file).mtimeMs > read)
  return newer.map((file) =>
    fault('running', `${file} has changed since sshd read it`, `kill -HUP "$(cat ${pidFile})"`),
  )
}

function placeOf({ file, line, keyword, value }: Directive): string {
  return `${file}:${line}: ${keyword} ${value}`
}
