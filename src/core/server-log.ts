/** The server's own log, on stderr: JSON lines, or lines for people. Requests stand in the audit log, not here. */
import { pino } from 'pino'
import type { ServerLog } from './parts.ts'

export interface ServerLogOptions {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent'
  readonly format: 'standard' | 'json'
}

const LEVEL_NAMES = new Map([
  [10, 'TRACE'],
  [20, 'DEBUG'],
  [30, 'INFO'],
  [40, 'WARN'],
  [50, 'ERROR'],
  [60, 'FATAL'],
])

export function createServerLog({ level, format }: ServerLogOptions): ServerLog {
  const options = { level, base: null, timestamp: () => `,"time":"${new Date().toISOString()}"` }
  if (format === 'json') return pino(options, pino.destination({ dest: 2, sync: true }))
  return pino(options, { write: (line) => void process.stderr.write(lineForPeople(line)) })
}

function lineForPeople(line: string): string {
  const { time, level, msg, err, ...rest } = JSON.parse(line) as Record<string, unknown>
  const details = Object.entries(rest).map(([name, value]) => ` ${name}=${JSON.stringify(value)}`)
  const reason = err ? `: ${reasonOf(err)}` : ''
  return `${time} [${LEVEL_NAMES.get(Number(level)) ?? level}] ${msg}${details.join('')}${reason}\n`
}

/** Message and causes; the stack only where nothing says more. */
function reasonOf(error: unknown): string {
  const { message, stack, cause } = error as { message?: string; stack?: string; cause?: unknown }
  const own = message ?? stack ?? JSON.stringify(error)
  return cause ? `${own}: ${reasonOf(cause)}` : own
}
