/** `host check`: the doctor of a host. */

import { checkHost } from '../../../host/check/check.ts'
import { exitStatus, type Finding } from '../../../host/check/finding.ts'
import type { Command } from '../../declaration/command.ts'
import { textFlag } from '../../declaration/flag.ts'
import { printStructured } from '../../output/output.ts'
import { assertRoot, certifier, isServerNamed } from './certifier.ts'
import { mountFlag, mountOf } from './host-path.ts'

export const hostCheck: Command = {
  args: [],
  flags: [
    mountFlag,
    textFlag(
      'role',
      'name',
      'Logs in to the running sshd, by a certificate of the server under this role.',
    ),
    textFlag(
      'account',
      'name',
      'Who logs in for the test; the first account that can when absent.',
    ),
    {
      name: 'skip-login',
      kind: 'bool',
      help: 'Logs in to nothing: for monitoring that runs often.',
    },
  ],
  description:
    'Run as root on the host; changes nothing. Looks at what sshd makes of its settings for every account and Match block, at stray keys and CAs, at files, versions, clock, KRL and server, and logs in. Exit status: 0 sound, 1 with warnings, 2 with faults.',
  examples: ['postern host check', 'postern host check -format=json'],
  async run(session) {
    const { input, terminal, client } = session
    assertRoot()
    const role = input.text('role')
    const { hostId, findings } = await checkHost({
      account: input.text('account'),
      skipsLogin: input.bool('skip-login') === true,
      ask: isServerNamed(session)
        ? () => {
            const query = new Map([['usage', ['scoped']]])
            return client.send('GET', `${mountOf(session)}/public_key`, { query })
          }
        : undefined,
      ...(role !== undefined && { certify: (id: string) => certifier(session, role, id) }),
    })
    const status = exitStatus(findings)
    if (session.format === 'table') {
      terminal.write(findings.map(linesOf).join(''))
      const result = ['is sound', 'has warnings', 'has faults'][status]
      terminal.write(`${hostId ?? 'This host'} ${result}.\n`)
    } else {
      const shown = findings.map((finding) => ({ ...finding }))
      printStructured(session, { host_id: hostId ?? '', sound: status === 0, findings: shown })
    }
    return status
  },
}

function linesOf({ severity, check, text, change }: Finding): string {
  const line = `${severity.padEnd(8)} ${check}: ${text}\n`
  return change === undefined ? line : `${line}${' '.repeat(9)}change: ${change}\n`
}
