/** `ssh` (contract 8.3). */
import type { Command } from '../declaration/command.ts'
import { fieldFlag } from '../declaration/common-flags.ts'
import { textFlag } from '../declaration/flag.ts'
import { connect } from '../ssh/connect.ts'
import { sshFlags } from '../ssh/flags.ts'

export const ssh: Command = {
  args: [{ name: 'user@host' }, { name: 'words for ssh', isOptional: true, isRest: true }],
  flagsEndAtFirstArgument: true,
  flags: [
    sshFlags.role,
    textFlag(
      'mode',
      'ca|otp|dynamic',
      "Certificate, one-time password or dynamic key; the role's own when absent.",
    ),
    sshFlags.mountPoint,
    sshFlags.validPrincipals,
    sshFlags.publicKey,
    sshFlags.privateKey,
    sshFlags.host,
    sshFlags.group,
    sshFlags.tag,
    textFlag('host-key-mount-point', 'path', 'Mount whose CA has to vouch for the host.'),
    textFlag(
      'host-key-hostnames',
      'patterns',
      'Host names that this CA vouches for; * when absent.',
    ),
    textFlag(
      'strict-host-key-checking',
      'yes|no|ask|accept-new',
      "As ssh's option (POSTERN_SSH_STRICT_HOST_KEY_CHECKING); not set when absent.",
    ),
    textFlag(
      'user-known-hosts-file',
      'file',
      "As ssh's option (POSTERN_SSH_USER_KNOWN_HOSTS_FILE); not set when absent.",
    ),
    textFlag('ssh-executable', 'program', 'Instead of ssh.'),
    { name: 'no-exec', kind: 'bool', help: 'Prints the credential and runs no ssh.' },
    fieldFlag,
  ],
  description:
    "ssh's own options and the remote command follow the host, and ssh's own configuration holds: aliases, ports, jump hosts. The exit status is ssh's.",
  examples: [
    'postern ssh -role=web alice@web-1',
    'postern ssh -role=web -group=web deploy@web-1',
    'postern ssh -mode=otp -role=otp alice@10.0.0.7 -L 8080:localhost:80 uptime',
  ],
  run: connect,
}
