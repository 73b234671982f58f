/** `host sshd-config`: what limits a host's sshd to certificates meant for it, as the server renders it. */
import type { Command } from '../../declaration/command.ts'
import { hostPath, mountFlag } from './host-path.ts'

export const hostSshdConfig: Command = {
  args: [{ name: 'id' }],
  flags: [mountFlag],
  description:
    'For images and configuration management. On the host itself, postern host setup puts it in place and tries it.',
  examples: ['postern host sshd-config web-1 > 00-postern.conf'],
  async run(session) {
    const path = hostPath(session, session.input.args[0] ?? '', '/sshd_config')
    const { text } = await session.ask('reading the settings of the host', 'GET', path)
    session.terminal.write(text)
    return 0
  },
}
