/**
 * `postern-host verify-otp`, run by PAM's pam_exec with `expose_authtok` (contract 7): the password on stdin, the
 * user in PAM_USER. Only exit 0 lets somebody in.
 */
import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { ApiError } from '../../client/api-error.ts'
import { version } from '../../client/version.ts'
import { Secret } from '../../redact.ts'
import { ownAddresses } from '../address.ts'
import { type HostConfig, parseHostConfig } from '../config.ts'
import { readHostKeys, signRequest } from '../enrolment/signed-request.ts'
import { enrolmentOf, type HostState, readHostState } from '../enrolment/state.ts'
import { type LogLevel, logLevels, oneLine } from '../log.ts'
import { hostPaths } from '../paths.ts'
import { type HostFlags, parseHostFlags } from './flags.ts'
import { OTP_LOGINS, type OtpLogin, processChain, putOtpLogin } from './record.ts'
import { serverTrust } from './server-trust.ts'
import {
  type Grant,
  type Login,
  type SignRequest,
  verifyConnection,
  verifyOtp,
} from './verify-otp.ts'

/** What the program takes from its surroundings, so that tests can give their own. */
export interface HostSurroundings {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly stdin: AsyncIterable<Buffer>
  readonly writeOutput: (text: string) => void
  readonly writeError: (text: string) => void
  readonly writeSyslog: (line: string) => void
  readonly addresses?: readonly string[]
  readonly places?: Places
}

/** Where a host keeps what verify-otp needs of it. */
export interface Places {
  readonly state: string
  /** Pattern of its private keys; sshd's own by default. */
  readonly hostKeys?: string
  /** For PAM's session phase. */
  readonly otpLogins: string
}

const PLACES: Places = {
  state: hostPaths.state,
  otpLogins: OTP_LOGINS,
}

const USAGE = `usage: postern-host verify-otp -config=FILE [-dev] [-verify-only] [-log-level=LEVEL]
       postern-host enroll [-config=FILE] [-join-token=FILE|-] [-name=NAME] [-server-key=KEY|SHA256:…]
                           [-replace] [-dev]
       postern-host service [-config=FILE] [-once] [-dev]
       postern-host status
       postern-host -version
`

/** pam_exec passes 512 bytes at most. */
const MAX_PASSWORD_BYTES = 1024

/** Returns the exit status: 0 for yes, 1 for no, whatever happens. */
export async function runHost(
  args: readonly string[],
  surroundings: HostSurroundings,
  timeoutMilliseconds: number,
): Promise<number> {
  const [verb, ...rest] = args
  if (verb !== undefined && /^(-v|--?version|version)$/.test(verb)) {
    surroundings.writeOutput(`postern-host ${version}\n`)
    return 0
  }
  if (verb !== 'verify-otp') {
    surroundings.writeError(USAGE)
    return 1
  }
  let flags: HostFlags
  try {
    flags = parseHostFlags(rest)
  } catch (error) {
    return report(surroundings, 'error', 'error', `no login possible: ${reasonOf(error)}`)
  }
  return await decide(flags, surroundings, timeoutMilliseconds)
}

async function decide(
  flags: HostFlags,
  surroundings: HostSurroundings,
  timeoutMilliseconds: number,
): Promise<number> {
  const started = performance.now()
  const remaining = () =>
    Math.max(1, Math.floor(timeoutMilliseconds - (performance.now() - started)))
  const user = surroundings.environment['PAM_USER'] ?? ''
  const say = (level: 'info' | 'warn', line: string) =>
    report(surroundings, flags.logLevel, level, line)
  let otp = ''
  try {
    const config = readConfig(flags)
    if (flags.verifiesOnly) {
      // Its yes is about the server alone: from PAM it would let everybody in.
      if (surroundings.environment['PAM_TYPE'] !== undefined) {
        throw new TypeError('-verify-only checks no password and is not for PAM')
      }
      await verifyConnection(config, remaining())
      return say('info', `${config.address} answers for the mount ${config.mountPoint}`)
    }
    otp = await readPassword(surroundings.stdin)
    const places = surroundings.places ?? PLACES
    // A file that can't be read is a doubt: what was enrolled must not go on as if it never had been.
    const state = readHostState(places.state)
    const login: Login = {
      otp: new Secret(otp),
      user,
      addresses: surroundings.addresses ?? ownAddresses(),
      trust: serverTrust(config, state && enrolmentOf(state)),
      sign: state && signer(state, places),
      now: Date.now,
    }
    const grant = await verifyOtp(config, login, remaining())
    const unrecorded = state && recordLogin(places, surroundings, login, grant)
    if (unrecorded !== undefined) say('warn', unrecorded)
    return say('info', `accepted ${user}: OTP for ${grant.address}, role ${grant.role}`)
  } catch (error) {
    const who = flags.verifiesOnly ? 'verify-only failed' : `refused ${JSON.stringify(user)}`
    const line = `${who}: ${reasonOf(error)}`
    // A server that repeats what it was sent must not bring a live password into the log.
    return say('warn', otp === '' ? line : line.replaceAll(otp, '[redacted]'))
  }
}

function signer({ clusterId, hostId }: HostState, { hostKeys }: Places): SignRequest {
  return async (request) => {
    const [key] = readHostKeys(hostKeys)
    return await signRequest({ key, clusterId, hostId }, request)
  }
}

/** Leaves for the session what nobody else can tell it; says why it could not. Nobody is kept out for that. */
function recordLogin(
  { otpLogins }: Places,
  { environment }: HostSurroundings,
  { otp, user }: Login,
  { role, lease }: Grant,
): string | undefined {
  const record: OtpLogin = {
    user,
    rhost: environment['PAM_RHOST'] ?? '',
    otpSha256: hash('sha256', otp.reveal()),
    role,
    lease,
    processes: processChain(process.ppid),
  }
  try {
    putOtpLogin(otpLogins, record, Date.now())
    return undefined
  } catch (error) {
    return `the login of ${JSON.stringify(user)} will not be reported with its OTP: ${(error as Error).message}`
  }
}

function readConfig({ config: file, isDev }: HostFlags): HostConfig {
  try {
    return parseHostConfig(readFileSync(file, 'utf8'), isDev)
  } catch (error) {
    throw new TypeError(`config ${file}: ${(error as Error).message}`)
  }
}

/** Writes the line where its level is wanted; the exit status that goes with it. */
function report(
  surroundings: HostSurroundings,
  wanted: LogLevel,
  level: 'info' | 'warn' | 'error',
  line: string,
): number {
  if (logLevels.indexOf(level) >= logLevels.indexOf(wanted)) {
    surroundings.writeError(`postern-host: ${oneLine(line)}\n`)
    surroundings.writeSyslog(line)
  }
  return level === 'info' ? 0 : 1
}

function reasonOf(error: unknown): string {
  if (error instanceof ApiError) {
    return `the server answered ${error.status}: ${error.messages.join('; ')}`
  }
  return (error as Error).message
}

/** The password without the NUL or line end that follows it. Throws when there is too much of it. */
async function readPassword(stdin: AsyncIterable<Buffer>): Promise<string> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of stdin) {
    bytes += piece.length
    if (bytes > MAX_PASSWORD_BYTES) throw new TypeError('the password is too long')
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
    .toString('utf8')
    .replace(/(\0|\r?\n)$/, '')
}
