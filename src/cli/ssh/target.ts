/** Where ssh would go: its own configuration decides, by `ssh -G` (ssh(1)), so that aliases and jump hosts work. */
import { execFile } from 'node:child_process'
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { userInfo } from 'node:os'
import { Failure } from '../failure.ts'
import type { Session } from '../session.ts'
import type { SshWords } from './words.ts'

/** Tells `postern ssh-cert`, run by ssh for a `Match exec`, for which host there is a certificate already; `*`: all. */
export const SERVED_HOST = 'POSTERN_SSH_SERVED_HOST'

export interface Target {
  readonly user: string
  readonly host: string
  readonly port: number
  /** A jump host or proxy command leads there. */
  readonly hasProxy: boolean
  /** Under which its host key is known, and which ssh shows in questions. */
  readonly shownHost: string
  /** The user's and those of the machine. */
  readonly knownHostsFiles: readonly string[]
  readonly hasKnownHostsCommand: boolean
  /** Path of the agent's socket; undefined when ssh uses none. */
  readonly agentSocket: string | undefined
  /** Extensions without which the session can't do what was asked (PROTOCOL.certkeys). */
  readonly needs: readonly string[]
}

/** Throws a Failure when ssh does not understand its words, or names a user or host that no shell should see. */
export async function resolveTarget(session: Session, words: SshWords): Promise<Target> {
  const settings = await readSettings(session, words.words)
  const one = (key: string) => settings.get(key)?.[0]
  const [host, user, port] = [one('hostname'), one('user'), Number(one('port'))]
  if (host === undefined || user === undefined || !(port > 0)) {
    throw new Failure('postern: ssh -G did not say where it would go')
  }
  assertPlain('host', host)
  assertPlain('user', user)
  const given = (key: string) => ![undefined, 'none'].includes(one(key))
  return {
    user,
    host,
    port,
    hasProxy: given('proxyjump') || given('proxycommand'),
    shownHost: one('hostkeyalias') ?? host,
    knownHostsFiles: ['userknownhostsfile', 'globalknownhostsfile'].flatMap((key) =>
      (one(key) ?? '').split(' ').map(withHome),
    ),
    hasKnownHostsCommand: given('knownhostscommand'),
    agentSocket: agentSocketOf(session, one('identityagent')),
    needs: neededExtensions(words, settings),
  }
}

/** The first address of a host, which the server compares with its roles. Throws a Failure with the family's words. */
export async function addressOf(host: string): Promise<string> {
  // An address of a link names its interface, which is of no interest elsewhere.
  const bare = host.replace(/%.*$/, '')
  if (isIP(bare) !== 0) return bare
  try {
    return (await lookup(host)).address
  } catch (error) {
    throw new Failure(`Error resolving the ssh hostname: ${(error as Error).message}`)
  }
}

/** Refuses names that begin with a dash or hold what a shell reads: the rule of newer versions of ssh. */
export function assertPlain(what: 'host' | 'user', name: string): void {
  const isPlain = what === 'host' ? /^[\w.:%[\]-]+$/ : /^[^\s'"`$\\;&<>|(){}\p{C}]+$/u
  if (name.startsWith('-') || !isPlain.test(name)) {
    throw new Failure(`postern: not a ${what} name: ${JSON.stringify(name)}`)
  }
}

async function readSettings(
  session: Session,
  words: readonly string[],
): Promise<Map<string, string[]>> {
  const program = session.input.text('ssh-executable') ?? 'ssh'
  const env = { ...session.terminal.environment, [SERVED_HOST]: '*' }
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const child = execFile(program, ['-G', ...words], { env }, (error, output, errors) => {
    if (!error) resolve(output)
    else reject(new Failure(errors.trim() || `postern: ${program}: ${error.message}`))
  })
  child.stdin?.end()
  const settings = new Map<string, string[]>()
  for (const line of (await promise).split('\n')) {
    const [, key, value] = /^(\S+) (.*)$/.exec(line) ?? []
    if (key === undefined || value === undefined) continue
    settings.set(key, [...(settings.get(key) ?? []), value])
  }
  return settings
}

function agentSocketOf({ terminal }: Session, configured: string | undefined): string | undefined {
  const { environment } = terminal
  if (configured === undefined || configured === 'SSH_AUTH_SOCK') {
    return environment['SSH_AUTH_SOCK'] || undefined
  }
  if (configured === 'none') return undefined
  if (configured.startsWith('$')) return environment[configured.slice(1)] || undefined
  return withHome(configured)
}

/** ssh looks into the user database for what a tilde means, and not into the environment. */
function withHome(file: string): string {
  return file.replace(/^(~|%d)(?=\/)/, () => userInfo().homedir)
}

function neededExtensions(words: SshWords, settings: Map<string, string[]>): string[] {
  const one = (key: string) => settings.get(key)?.[0]
  const asked = one('requesttty')
  const isShell = (one('sessiontype') ?? 'default') === 'default' && !words.isPipe
  const wantsPty = asked === 'true' || asked === 'force' || (asked === 'auto' && !words.hasCommand)
  const forwards = ['localforward', 'remoteforward', 'dynamicforward']
  const needs: [string, boolean][] = [
    ['permit-pty', isShell && wantsPty],
    ['permit-port-forwarding', words.isPipe || forwards.some((key) => settings.has(key))],
    ['permit-agent-forwarding', !['no', undefined].includes(one('forwardagent'))],
    ['permit-X11-forwarding', one('forwardx11') === 'yes'],
  ]
  return needs.filter(([, isNeeded]) => isNeeded).map(([name]) => name)
}
