/** `ssh-config`: a block for ~/.ssh/config (ssh_config(5)) with which plain ssh logs in by certificate. */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { lookUpVariable } from '../../client/environment.ts'
import type { JsonObject } from '../../client/json.ts'
import type { Command } from '../declaration/command.ts'
import { textFlag } from '../declaration/flag.ts'
import { Failure, usageFailure } from '../failure.ts'
import type { Session } from '../session.ts'
import { findProgram } from '../ssh/creds.ts'
import { sshFlags } from '../ssh/flags.ts'
import { wantedExtensions } from '../ssh/key/certificate.ts'
import { namedKeyFiles, pathOf } from '../ssh/key/key-files.ts'
import { quoteForSsh } from '../ssh/key/private-folder.ts'
import { chooseRole, readRole } from '../ssh/role.ts'
import { chosenScope, hostFolderName } from '../ssh/scope.ts'
import { selfCommand } from '../ssh/self.ts'

/** What ssh tries by itself as long as no IdentityFile is set. */
const DEFAULT_KEYS = ['id_rsa', 'id_ecdsa', 'id_ecdsa_sk', 'id_ed25519', 'id_ed25519_sk']

/** What plain ssh, a jump host or an editor may come to need, where the role allows it. */
const SESSIONS_NEED = ['permit-pty', 'permit-port-forwarding', 'permit-agent-forwarding']

/**
 * Names that ssh may hand to the shell, inside single quotes: with none of these characters they stay one word there,
 * whichever shell it is.
 */
const HARMLESS = String.raw`!*'*,!*\*,!*!*,!-*`

export const sshConfig: Command = {
  args: [{ name: 'host pattern', isOptional: true, isRest: true }],
  flags: [
    sshFlags.role,
    sshFlags.mountPoint,
    sshFlags.validPrincipals,
    sshFlags.publicKey,
    sshFlags.privateKey,
    sshFlags.host,
    sshFlags.group,
    sshFlags.tag,
    textFlag(
      'folder',
      'path',
      'Where the certificates are kept; a folder below ~/.ssh/postern when absent.',
    ),
  ],
  description:
    'Append what it prints to ~/.ssh/config. HOST PATTERNs are names as they are typed after ssh; without them all hosts. Where the role has a host_scope, or can not be read, there is a certificate for each host.',
  examples: ["postern ssh-config -role=web '*.example.org' >> ~/.ssh/config"],
  async run(session) {
    const { input, terminal } = session
    const mount = (input.text('mount-point') ?? 'ssh').replace(/^\/+|\/+$/g, '')
    const { role } = await chooseRole(session, {
      mount,
      role: input.text('role'),
      mode: 'ca',
      address: async () => undefined,
    })
    const terms = (await readRole(session, mount, role))?.terms
    const chosen = chosenScope(session)
    const extensions = terms && wantedExtensions(SESSIONS_NEED, terms)
    const key = namedKeyFiles(session)?.privatePath
    const folder = pathOf(
      session,
      input.text('folder') ?? defaultFolder(session, { mount, role, key }, chosen),
    )
    // A certificate may be for one host alone, unless it is chosen what it is for, or known that it is for all.
    const isForEach = !chosen && terms?.isScoped !== false
    // ssh puts host and user in the place of %h and %r.
    const name = isForEach ? `${hostFolderName('%h')}/%r` : '%r'
    const pair = `${quoteForSsh(folder).slice(0, -1)}/${name}`
    const patterns = input.args.map(assertPattern)
    const command = certCommand(session, { mount, role, folder, extensions, isForEach })
    const others = patterns.length > 0 ? ['IdentitiesOnly yes'] : otherKeys(session)
    const hosts = [HARMLESS, ...(patterns.length > 0 ? patterns : ['*'])].join(',')
    // What becomes of a name by HostName goes to the shell too.
    const sameHarmless = isForEach ? ` host "${HARMLESS},*"` : ''
    const lines = [
      `# ${session.client.base}, role ${role}. At the end of the file, so that User settings come before it.`,
      `Match originalhost "${hosts}"${sameHarmless} user "${HARMLESS},*" exec "${command}"`,
      `  CertificateFile ${pair}-cert.pub"`,
      `  IdentityFile ${key === undefined ? `${pair}"` : quoteForSsh(key)}`,
      ...others.map((line) => `  ${line}`),
    ]
    terminal.write(`${lines.join('\n')}\n`)
    return 0
  },
}

/** Blocks share a folder only when the certificates of one are as good for the other. */
function defaultFolder(
  { client, input, terminal }: Session,
  { mount, role, key }: Pick<Place, 'mount' | 'role'> & { readonly key: string | undefined },
  chosen: JsonObject | undefined,
): string {
  const principals = input.text('valid-principals')
  const parts = [
    client.base,
    mount,
    ...(chosen ? [JSON.stringify(chosen)] : []),
    ...(principals === undefined ? [] : [`principals ${principals}`]),
    ...(key === undefined ? [] : [`key ${key}`]),
  ]
  const place = createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 8)
  return path.join(terminal.home, '.ssh', 'postern', `${role}-${place}`)
}

/** How the server is reached, besides its address and CA. */
const CONNECTION_FLAGS = ['ca-path', 'client-cert', 'client-key', 'tls-server-name', 'namespace']
const FILE_FLAGS = /-path$|^client-/

const PASSED_FLAGS = [
  'valid-principals',
  'public-key-path',
  'private-key-path',
  'host',
  'group',
  'tag',
]

interface Place {
  readonly mount: string
  readonly role: string
  readonly folder: string
  readonly extensions: readonly string[] | undefined
  /** A certificate for each host. */
  readonly isForEach: boolean
}

/** Settings that a later run may not find in its environment stand in the command; never the token. */
function certCommand(session: Session, place: Place): string {
  const { mount, role, folder, extensions, isForEach } = place
  const { input, terminal } = session
  const program = findProgram(session, 'postern')
  const given = (names: readonly string[]) =>
    names.flatMap((flag) => {
      const value = input.text(flag)
      return value === undefined
        ? []
        : [`-${flag}=${FILE_FLAGS.test(flag) ? pathOf(session, value) : value}`]
    })
  const ca = input.text('ca-cert') ?? lookUpVariable(terminal.environment, 'CACERT')?.value
  const words = [
    ...(program === undefined ? selfCommand() : [program]),
    'ssh-cert',
    `-address=${session.client.base}`,
    ...(ca === undefined ? [] : [`-ca-cert=${path.resolve(ca)}`]),
    ...given(CONNECTION_FLAGS),
    ...(input.bool('tls-skip-verify') ? ['-tls-skip-verify'] : []),
    `-mount-point=${mount}`,
    `-role=${role}`,
    `-folder=${folder}`,
    ...(extensions === undefined ? [] : [`-extensions=${extensions.join(',')}`]),
    ...given(PASSED_FLAGS),
  ]
  return [...words.map(quoteWord), "'%n'", "'%r'", ...(isForEach ? ["'%h'"] : [])].join(' ')
}

/** One word for the user's shell, inside ssh_config's double quotes. Throws a Failure where that can't be written. */
function quoteWord(word: string): string {
  if (/['"\\!\p{C}]/u.test(word))
    throw usageFailure(`ssh's configuration can't hold ${JSON.stringify(word)}`)
  return `'${word.replaceAll('%', '%%')}'`
}

function assertPattern(pattern: string): string {
  if (/^[\w.:*?![\]-]+$/.test(pattern)) return pattern
  throw new Failure(`postern: not a pattern of host names: ${pattern}`)
}

function otherKeys({ terminal }: Session): string[] {
  const files = DEFAULT_KEYS.map((name) => path.join(terminal.home, '.ssh', name))
  return files.filter((file) => existsSync(file)).map((file) => `IdentityFile ${quoteForSsh(file)}`)
}
