/** Flags that `ssh`, `ssh-config` and `ssh-cert` share. */
import type { Flag } from '../declaration/command.ts'

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
  role: { name: 'role', kind: 'text', value: 'name', help: 'Role; found out when absent.' },
  mountPoint: {
    name: 'mount-point',
    kind: 'text',
    value: 'path',
    help: 'Mount of the roles; ssh.',
  },
  validPrincipals: {
    name: 'valid-principals',
    kind: 'text',
    value: 'names',
    help: 'Principals of the certificate; the user on the host when absent.',
  },
  publicKey: {
    name: 'public-key-path',
    kind: 'text',
    value: 'file',
    help: 'Public half of an existing key to certify; a fresh pair is made when absent.',
  },
  privateKey: {
    name: 'private-key-path',
    kind: 'text',
    value: 'file',
    help: 'Its private half; the name without .pub when absent.',
  },
  host: {
    name: 'host',
    kind: 'text',
    value: 'names',
    help: 'Hosts that the certificate, or the one that the password is for; the one that ssh reaches when absent.',
  },
  group: {
    name: 'group',
    kind: 'text',
    value: 'names',
    help: 'Groups of hosts that the certificate is for, instead.',
  },
  tag: {
    name: 'tag',
    kind: 'text',
    value: 'key=value',
    help: 'Tags of hosts that the certificate is for, instead.',
  },
}
