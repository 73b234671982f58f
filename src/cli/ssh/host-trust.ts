/** Host keys: the CA of another mount as the only one that vouches for the target (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). */
import { readFileSync } from 'node:fs'
import { lookUpVariable } from '../../client/environment.ts'
import { parseAuthorizedKey } from '../../ssh/key/authorized-keys.ts'
import { Failure, usageFailure } from '../failure.ts'
import type { Session } from '../session.ts'
import { type PrivateFolder, quoteForSsh } from './key/private-folder.ts'
import type { Target } from './target.ts'

/**
 * The options of ssh that decide which host key is good; none where nothing was asked for, so that the user's own
 * configuration holds.
 */
export async function hostTrust(
  session: Session,
  target: Target,
  folder: () => PrivateFolder,
): Promise<string[]> {
  const { input, terminal } = session
  const setting = (flag: string, variable: string) =>
    input.text(flag) ?? lookUpVariable(terminal.environment, variable)?.value
  const mount = input.text('host-key-mount-point')?.replace(/^\/+|\/+$/g, '')
  if (mount !== undefined) {
    const lines = [await authorityLine(session, mount), ...revokedLines(target.knownHostsFiles)]
    const file = folder().write('known_hosts', `${lines.join('\n')}\n`)
    const settings = [
      'StrictHostKeyChecking=yes',
      `UserKnownHostsFile=${quoteForSsh(file)}`,
      // The other places where ssh finds keys that it trusts.
      'GlobalKnownHostsFile=/dev/null',
      'VerifyHostKeyDNS=no',
      // Versions before 8.5 do not know the word.
      ...(target.hasKnownHostsCommand ? ['KnownHostsCommand=none'] : []),
    ]
    return settings.flatMap((one) => ['-o', one])
  }
  const strict = setting('strict-host-key-checking', 'SSH_STRICT_HOST_KEY_CHECKING')
  const file = setting('user-known-hosts-file', 'SSH_USER_KNOWN_HOSTS_FILE')
  return [
    ...(strict === undefined ? [] : ['-o', `StrictHostKeyChecking=${strict}`]),
    ...(file === undefined ? [] : ['-o', `UserKnownHostsFile=${quoteForSsh(file)}`]),
  ]
}

async function authorityLine(session: Session, mount: string): Promise<string> {
  const names = session.input.text('host-key-hostnames') ?? '*'
  if (!/^[!-~]+$/.test(names) || names.startsWith('@') || names.startsWith('#')) {
    throw usageFailure(`-host-key-hostnames is a list of patterns without blanks, not ${names}`)
  }
  const reply = await session.ask('reading the host CA', 'GET', `${mount}/public_key`)
  try {
    const key = reply.text.trim()
    parseAuthorizedKey(key)
    return `@cert-authority ${names} ${key}`
  } catch {
    throw new Failure(`postern: ${mount}/public_key is no public key`, { status: 2 })
  }
}

/** What the user has been told to refuse stays refused. */
function revokedLines(files: readonly string[]): string[] {
  return files.flatMap((file) => {
    try {
      return readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => /^\s*@revoked\s/.test(line))
    } catch {
      return []
    }
  })
}
