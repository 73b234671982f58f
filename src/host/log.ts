/**
 * One line about each decision: on stderr, where pam_exec's `log=` takes it, and in syslog through logger(1),
 * because Node has no unix datagram sockets.
 */
import { spawnSync } from 'node:child_process'

const MAX_CHARACTERS = 512
const TIMEOUT_MILLISECONDS = 500

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'off'] as const

export type LogLevel = (typeof logLevels)[number]

/** Everything that could end a line or steer a terminal becomes `?`: user names come from the network. */
export function oneLine(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, MAX_CHARACTERS)
}

/**
 * Hands a line to logger(1) on its stdin: arguments can be seen by everybody on the machine. A machine
 * without logger or without a syslog daemon goes on; a hanging one costs half a second.
 */
export function writeSyslog(line: string, command = '/usr/bin/logger'): void {
  spawnSync(command, ['--tag', 'postern-host', '--priority', 'authpriv.notice', '--id'], {
    input: `${oneLine(line)}\n`,
    env: {},
    stdio: ['pipe', 'ignore', 'ignore'],
    timeout: TIMEOUT_MILLISECONDS,
    killSignal: 'SIGKILL',
  })
}
