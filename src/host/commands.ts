/**
 * `postern-host enroll`, `service` and `status`: what runs on a host outside PAM. Flags are written as those of verify-otp.
 */
import { existsSync, readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { parseArgs } from 'node:util'
import { parseHostConfig } from './config.ts'
import { enrolHost } from './enrolment/enroll.ts'
import { oneLine } from './log.ts'
import { hostPaths } from './paths.ts'
import { runService } from './service/service.ts'
import type { Status } from './service/status.ts'
import { runningService } from './setup/join.ts'

/** The exit status: 0 done, 1 failed. */
export async function runCommand([verb, ...args]: readonly string[]): Promise<number> {
  try {
    if (verb === 'enroll') return await enrol(args)
    return verb === 'service' ? await serve(args) : status()
  } catch (error) {
    process.stderr.write(`postern-host: ${oneLine((error as Error).message)}\n`)
    return 1
  }
}

const common = {
  config: { type: 'string', default: hostPaths.config },
  dev: { type: 'boolean', default: false },
} as const

function flags<const O extends NonNullable<Parameters<typeof parseArgs>[0]>['options']>(
  args: readonly string[],
  options: O,
) {
  const doubled = args.map((arg) => arg.replace(/^-(?=[a-z])/, '--'))
  return parseArgs({ args: doubled, options }).values
}

async function enrol(args: readonly string[]): Promise<number> {
  const values = flags(args, {
    ...common,
    'join-token': { type: 'string', default: '-' },
    name: { type: 'string', default: hostname() },
    'server-key': { type: 'string' },
    replace: { type: 'boolean', default: false },
  })
  const enrolled = await enrolHost({
    config: readConfig(values.config, values.dev),
    joinToken: readJoinToken(values['join-token']),
    name: values.name,
    serverKey: values['server-key'],
    replaces: values.replace,
  })
  const { state, isPending, serverFingerprint, isServerKnown } = enrolled
  process.stdout.write(`enrolled as ${state.hostId} at ${state.issuer}\n`)
  if (!isServerKnown) {
    process.stdout.write(
      `the server's key is ${serverFingerprint}: compare it with what "postern read ${state.mount}/identity" shows\n`,
    )
  }
  if (isPending)
    process.stdout.write('an operator has to approve this host before it is told more\n')
  return 0
}

function readJoinToken(source: string): string {
  try {
    return readFileSync(source === '-' ? 0 : source, 'utf8').trim()
  } catch (error) {
    // Its text is not repeated: it may be the token itself.
    const { code } = error as NodeJS.ErrnoException
    throw new TypeError(`-join-token is a file with the token, or - for standard input: ${code}`)
  }
}

async function serve(args: readonly string[]): Promise<number> {
  const values = flags(args, { ...common, once: { type: 'boolean', default: false } })
  // systemd and every other supervisor put the time before it.
  const say = (line: string) => void process.stderr.write(`postern-host: ${oneLine(line)}\n`)
  let round = new AbortController()
  let isEnding = false
  const end = () => {
    isEnding = true
    round.abort()
  }
  process.on('SIGTERM', end).on('SIGINT', end)
  process.on('SIGHUP', () => round.abort())
  for (let config = readConfig(values.config, values.dev); ; ) {
    await runService({ config, signal: round.signal, say, once: values.once })
    if (isEnding || values.once) return 0
    round = new AbortController()
    try {
      config = readConfig(values.config, values.dev)
      say('reads its configuration again')
    } catch (error) {
      say(`goes on with its old configuration: ${(error as Error).message}`)
    }
  }
}

/** 1 where somebody should look. */
function status(): number {
  if (!existsSync(hostPaths.status)) throw new Error('the service has not run since the start')
  const text = readFileSync(hostPaths.status, 'utf8')
  process.stdout.write(text)
  const { alarms } = JSON.parse(text) as Status
  if (runningService() === undefined) throw new Error('the service does not run')
  return alarms.length > 0 ? 1 : 0
}

function readConfig(file: string, isDev: boolean) {
  try {
    return parseHostConfig(readFileSync(file, 'utf8'), isDev)
  } catch (error) {
    throw new TypeError(`config ${file}: ${(error as Error).message}`)
  }
}
