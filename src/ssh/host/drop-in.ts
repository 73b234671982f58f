/**
 * The one piece of sshd's configuration that limits a host to certificates meant for it (protocols 5.3;
 * sshd_config(5)). sshd takes the first value of each keyword, so that it has to be read before everything else.
 */
import { groupPrincipal, hostPrincipal, tagPrincipal } from '../scoped-name.ts'

/** The files that the drop-in names, and its own place. */
export const dropInPaths = {
  dropIn: '/etc/ssh/sshd_config.d/00-postern.conf',
  userCa: '/etc/ssh/postern/user_ca.pub',
  revokedKeys: '/etc/ssh/postern/revoked.krl',
} as const

/** Of OpenSSH: major × 100 + minor, so 902 for 9.2p1. */
export type SshVersion = number

interface DropIn {
  readonly hostId: string
  readonly groups: readonly string[]
  /** Key and value. */
  readonly tags: readonly (readonly [key: string, value: string])[]
  readonly paths?: { readonly userCa: string; readonly revokedKeys: string }
  /** Lets authorized_keys of users go on; anybody who can write one can then add a key or a CA of his own. */
  readonly keepsAuthorizedKeys: boolean
  /** Files for `HostCertificate`. */
  readonly hostCertificates?: readonly string[]
  /** Of the host's sshd; without it, all that a current one knows is said. */
  readonly sshVersion?: SshVersion | undefined
}

/** From here on there is `AuthorizedPrincipalsCommand`. */
const OLDEST_SSH_VERSION: SshVersion = 609
const CA_SIGNATURE_ALGORITHMS: SshVersion = 709

const CA_ALGORITHMS = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
]

/** The version in what `ssh -V` or an SSH banner says; undefined when it is no OpenSSH. */
export function parseSshVersion(text: string): SshVersion | undefined {
  const [, major, minor] = /\bOpenSSH_([0-9]{1,2})\.([0-9]{1,2})/.exec(text) ?? []
  return major === undefined ? undefined : Number(major) * 100 + Number(minor)
}

/** The keywords and values of the drop-in, in their order: what `sshd -T` has to show in the end. */
export function sshdSettings(options: DropIn): [keyword: string, value: string][] {
  const { hostId, groups, tags, paths = dropInPaths, sshVersion } = options
  if (sshVersion !== undefined && sshVersion < OLDEST_SSH_VERSION) {
    throw new RangeError('OpenSSH before 6.9 has no AuthorizedPrincipalsCommand')
  }
  // sshd puts the account in the place of %u. The names are put together where they are checked, for the account "u".
  const principals = [
    hostPrincipal('u', hostId),
    ...groups.map((group) => groupPrincipal('u', group)),
    ...tags.map(([key, value]) => tagPrincipal('u', key, value)),
  ].map((name) => `%${name}`)
  const settings: [string, string][] = [
    ['PubkeyAuthentication', 'yes'],
    ['TrustedUserCAKeys', paths.userCa],
    ['RevokedKeys', paths.revokedKeys],
    // Stands before AuthorizedKeysCommand: sshd 8.7 to 9.x ignore it behind that.
    ['AuthorizedPrincipalsCommand', `/usr/bin/printf "%%s\\n" ${principals.join(' ')}`],
    ['AuthorizedPrincipalsCommandUser', 'nobody'],
    // Looked at before the command: a file that somebody left would decide.
    ['AuthorizedPrincipalsFile', 'none'],
  ]
  if (!options.keepsAuthorizedKeys) {
    settings.push(['AuthorizedKeysFile', 'none'], ['AuthorizedKeysCommand', 'none'])
  }
  if (sshVersion === undefined || sshVersion >= CA_SIGNATURE_ALGORITHMS) {
    settings.push(['CASignatureAlgorithms', CA_ALGORITHMS.join(',')])
  }
  for (const file of options.hostCertificates ?? []) settings.push(['HostCertificate', file])
  settings.push(['LogLevel', 'VERBOSE'])
  return settings
}

/** The text of the drop-in. No line ends in a comment: sshd before 8.5 takes one for part of the value. */
export function sshdConfig(options: DropIn): string {
  const lines = sshdSettings(options).map(([keyword, value]) => `${keyword} ${value}\n`)
  return `# Made by Postern for the host ${options.hostId}. Has to be read before all other settings.\n${lines.join('')}`
}
