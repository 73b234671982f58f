/** The flags of `postern-host verify-otp`, as vault-ssh-helper spells them (contract 7): `-config=FILE`, `-dev`. */
import { parseArgs } from 'node:util'
import { type LogLevel, logLevels } from '../log.ts'

export interface HostFlags {
  readonly config: string
  readonly isDev: boolean
  readonly verifiesOnly: boolean
  readonly logLevel: LogLevel
}

/** Throws a TypeError for flags that do not exist or lack their value. */
export function parseHostFlags(args: readonly string[]): HostFlags {
  const { values } = parseArgs({
    args: args.map((arg) => arg.replace(/^-(?=[a-z])/, '--')),
    options: {
      config: { type: 'string' },
      dev: { type: 'boolean', default: false },
      'verify-only': { type: 'boolean', default: false },
      'log-level': { type: 'string', default: 'info' },
    },
  })
  const logLevel = logLevels.find((level) => level === values['log-level'].toLowerCase())
  if (logLevel === undefined) throw new TypeError(`unknown log level ${values['log-level']}`)
  if (!values.config) {
    throw new TypeError('at least one config path must be specified with -config')
  }
  return {
    config: values.config,
    isDev: values.dev,
    verifiesOnly: values['verify-only'],
    logLevel,
  }
}
