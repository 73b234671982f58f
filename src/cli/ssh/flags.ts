/** Flags that `ssh`, `ssh-config` and `ssh-cert` share. */
import type { Flag } from '../declaration/command.ts'
import { textFlag } from '../declaration/flag.ts'

type Name =
  | 'role'
  | 'mountPoint'
  | 'validPrincipals'
  | 'publicKey'
  | 'privateKey'
  | 'host'
  | 'group'
  | 'tag'

export const sshFlags: Readonly<Record<Name, Flag>> = {
  role: textFlag('role', 'name', 'Role; found out when absent.'),
  mountPoint: textFlag('mount-point', 'path', 'Mount of the roles; ssh.'),
  validPrincipals: textFlag(
    'valid-principals',
    'names',
    'Principals of the certificate; the user on the host when absent.',
  ),
  publicKey: textFlag(
    'public-key-path',
    'file',
    'Public half of an existing key to certify; a fresh pair is made when absent.',
  ),
  privateKey: textFlag(
    'private-key-path',
    'file',
    'Its private half; the name without .pub when absent.',
  ),
  host: textFlag(
    'host',
    'names',
    'Hosts that the certificate, or the one that the password is for; the one that ssh reaches when absent.',
  ),
  group: textFlag('group', 'names', 'Groups of hosts that the certificate is for, instead.'),
  tag: textFlag('tag', 'key=value', 'Tags of hosts that the certificate is for, instead.'),
}
