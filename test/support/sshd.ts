/**
 * A private sshd on loopback with host key, settings and, where asked for, a PAM service of its own, and logins
 * to it. Needs root. Nothing of the machine's own sshd is read or changed: the PAM service is named after
 * argv[0], which is a link.
 */
import { execFile, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { parseSshVersion } from '../../src/ssh/host/drop-in.ts'

const START_TIMEOUT_MS = 15_000
const LOGIN_TIMEOUT_MS = 30_000

export interface PrivateSshd extends AsyncDisposable {
  readonly pid: number
  readonly port: number
  /** Where its files are; removed with it. */
  readonly folder: string
  /** What it has logged so far. */
  log(): string
}

interface SshdOptions {
  /** Lines for sshd_config besides address, port and host key. */
  readonly settings: readonly string[]
  /** Lines of its PAM service; FOLDER stands for its folder. Without them it uses no PAM. */
  readonly pam?: readonly string[]
  /** Files for its folder, by name; `host_key` among them is its host key, else it has one made. */
  readonly files?: Readonly<Record<string, string>>
  /** Where users' keys are looked for; nowhere by default. */
  readonly authorizedKeysFile?: string
  /** A free one by default. */
  readonly port?: number
}

export interface Login {
  /** 0 when the command ran. */
  readonly status: number
  readonly output: string
  readonly errors: string
}

/** Rejects, with sshd's log, when it does not listen in time. */
export async function startSshd(options: SshdOptions): Promise<PrivateSshd> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'postern-sshd-'))
  const service = `sshd-ptest-${process.pid}-${path.basename(folder).slice(-6).toLowerCase()}`
  const pamFile = path.join('/etc/pam.d', service)
  const inFolder = (name: string) => path.join(folder, name)
  const log = () => readFileSync(inFolder('log'), 'utf8')
  writeFileSync(inFolder('log'), '')
  for (const [name, text] of Object.entries(options.files ?? {})) {
    writeFileSync(inFolder(name), text, { mode: 0o600 })
  }
  // sshd's unprivileged part has its root there; Debian makes it when the service starts.
  mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })
  if (options.files?.['host_key'] === undefined) {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', inFolder('host_key')])
  }
  const program = inFolder(service)
  symlinkSync('/usr/sbin/sshd', program)
  const port = options.port ?? (await freePort())
  const settings = [
    'ListenAddress 127.0.0.1',
    `Port ${port}`,
    `HostKey ${inFolder('host_key')}`,
    'PidFile none',
    'LogLevel VERBOSE',
    `AuthorizedKeysFile ${options.authorizedKeysFile ?? 'none'}`,
    `UsePAM ${options.pam ? 'yes' : 'no'}`,
    // Refused logins are what tests are about: from 9.8 on they would cost the next ones.
    ...(sshVersion() >= 908 ? ['PerSourcePenalties no'] : []),
    // Before 9.8 the service has the program's name.
    ...(options.pam && sshVersion() >= 908 ? [`PAMServiceName ${service}`] : []),
    ...options.settings,
  ]
  writeFileSync(
    inFolder('config'),
    settings.map((line) => `${line.replaceAll('FOLDER', folder)}\n`).join(''),
  )
  if (options.pam) {
    const lines = options.pam.map((line) => `${line.replaceAll('FOLDER', folder)}\n`)
    writeFileSync(pamFile, lines.join(''))
  }
  const child = spawn(program, ['-D', '-E', inFolder('log'), '-f', inFolder('config')], {
    stdio: 'ignore',
  })
  const ended = once(child, 'exit')
  const dispose = async () => {
    child.kill('SIGTERM')
    await ended
    rmSync(pamFile, { force: true })
    rmSync(folder, { recursive: true, force: true })
  }
  const isListening = await poll(START_TIMEOUT_MS, () => {
    return child.exitCode !== null ? false : log().includes('Server listening') || undefined
  })
  if (!isListening) {
    const text = log()
    await dispose()
    throw new Error(`sshd does not listen:\n${text}`)
  }
  return { pid: child.pid as number, port, folder, log, [Symbol.asyncDispose]: dispose }
}

/** Of the machine's OpenSSH: 902 is 9.2. */
export function sshVersion(): number {
  return parseSshVersion(spawnSync('ssh', ['-V'], { encoding: 'utf8' }).stderr) ?? 0
}

/** One password prompt, answered by sshpass. */
export function logInWithPassword(
  sshd: PrivateSshd,
  user: string,
  password: string,
): Promise<Login> {
  const methods = [
    '-oPreferredAuthentications=keyboard-interactive',
    '-oPubkeyAuthentication=no',
    '-oNumberOfPasswordPrompts=1',
  ]
  const args = ['-e', 'ssh', ...methods, ...sshArguments(sshd, user)]
  return run('sshpass', args, { SSHPASS: password })
}

interface KeyLogin {
  readonly key: string
  readonly certificate?: string
  /** A file of known hosts that has to vouch for the server under the name; without it any server will do. */
  readonly knownHosts?: { readonly file: string; readonly name: string }
}

/** With these files alone. */
export function logInWithKey(
  sshd: PrivateSshd,
  user: string,
  { key, certificate, knownHosts }: KeyLogin,
): Promise<Login> {
  const identity = ['-i', key, ...(certificate ? [`-oCertificateFile=${certificate}`] : [])]
  const methods = ['-oBatchMode=yes', '-oIdentitiesOnly=yes', '-oIdentityAgent=none']
  // ssh takes the first of two values.
  const strict = knownHosts
    ? [
        '-oStrictHostKeyChecking=yes',
        '-oGlobalKnownHostsFile=none',
        `-oUserKnownHostsFile=${knownHosts.file}`,
        `-oHostKeyAlias=${knownHosts.name}`,
      ]
    : []
  return run('ssh', [...strict, ...methods, ...identity, ...sshArguments(sshd, user)], {})
}

function sshArguments(sshd: PrivateSshd, user: string): string[] {
  const hostKeys = ['-oStrictHostKeyChecking=no', '-oUserKnownHostsFile=/dev/null']
  return ['-F', 'none', ...hostKeys, '-p', `${sshd.port}`, `${user}@127.0.0.1`, 'id -un']
}

function run(program: string, args: string[], env: Record<string, string>): Promise<Login> {
  return new Promise((resolve, reject) => {
    const options = { env: { ...process.env, ...env }, timeout: LOGIN_TIMEOUT_MS }
    execFile(program, args, options, (error, output, errors) => {
      if (error && typeof error.code !== 'number') reject(error)
      else resolve({ status: Number(error?.code ?? 0), output, errors })
    })
  })
}

/** An account that can log in but has no password; gone when disposed, unless it was there before. */
export function makeUser(name: string): Disposable {
  const passwd = readFileSync('/etc/passwd', 'utf8')
  if (passwd.includes(`\n${name}:`)) return { [Symbol.dispose]() {} }
  // A star is no password either, but does not lock the account as useradd's own mark would.
  const options = ['--no-create-home', '--home-dir', '/', '--shell', '/bin/sh', '--password', '*']
  execFileSync('useradd', [...options, name], { stdio: 'pipe' })
  return {
    [Symbol.dispose]() {
      execFileSync('userdel', ['--force', name], { stdio: 'pipe' })
    },
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Waits until the answer is no longer undefined; undefined when that takes too long. */
async function poll<Value>(
  timeoutMs: number,
  ask: () => Value | undefined,
): Promise<Value | undefined> {
  const end = Date.now() + timeoutMs
  for (;;) {
    const answer = ask()
    if (answer !== undefined || Date.now() > end) return answer
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
