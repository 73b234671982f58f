/** Flags that `ssh`, `ssh-config` and `ssh-cert` share. */
import type { Flag } from '../declaration/command.ts'

type Name = 'role' | 'mountPoint' | 'validPrincipals' | 'publicKey' | 'privateKey'

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
}
