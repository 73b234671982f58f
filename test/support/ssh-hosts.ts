/** What a login by the command line needs: a server with roles, an account, and an sshd that takes certificates and OTPs. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { type Api, apiOf } from './api.ts'
import { type CliRun, runPostern } from './cli.ts'
import { type RunningServer, startDevServer } from './server.ts'
import { makeUser, type PrivateSshd, startSshd } from './sshd.ts'

const HOST_PROGRAM = path.resolve(import.meta.dirname, '../../bin/postern-host.js')
let users = 0

export interface SshHosts extends AsyncDisposable {
  readonly server: RunningServer
  /** As root. */
  readonly api: Api
  readonly sshd: PrivateSshd
  /** May log in; has no password and no key. */
  readonly user: string
  /** Of whoever runs the command line. */
  readonly home: string
  /** What `home` and its people have in their environment. */
  readonly env: Readonly<Record<string, string>>
  /** `postern` with that environment; the more of it wins. */
  run(
    args: readonly string[],
    more?: Readonly<Record<string, string>>,
    input?: string,
  ): Promise<CliRun>
  /** Flags and words for `postern ssh` that trust whatever host key there is, for a command on the host. */
  words(command: string, ...flags: string[]): string[]
  /** Requests that reached the server, as `method path`, since the last call. */
  requests(): string[]
  /** Throws away what sessions leave behind, and names it. */
  leftovers(): string[]
}

/** Roles: `web` (certificates for the user, with a terminal), `otp` (passwords for loopback). */
export async function startSshHosts(): Promise<SshHosts> {
  const resources = new AsyncDisposableStack()
  const user = `ptest-s${process.pid}-${users++}`
  resources.use(makeUser(user))
  const home = resources.adopt(mkdtempSync(path.join(os.tmpdir(), 'postern-home-')), (folder) =>
    rmSync(folder, { recursive: true, force: true }),
  )
  // Its own place for temporary files: what a session leaves there is ours.
  const temporary = path.join(home, 'tmp')
  for (const folder of [temporary, path.join(home, '.ssh')]) mkdirSync(folder, { mode: 0o700 })
  const server = resources.adopt(
    await startDevServer(),
    async (running) => void (await running.stop()),
  )
  const api = apiOf(server.address, 'root')
  const auditFile = path.join(home, 'audit.log')
  const options = { file_path: auditFile }
  await expect204(api('PUT', 'sys/audit/file', { type: 'file', options }))
  await expect204(api('POST', 'sys/mounts/ssh', { type: 'ssh' }))
  const { body } = await api('POST', 'ssh/config/ca', { key_type: 'ed25519' })
  await expect204(
    api('PUT', 'ssh/roles/web', {
      key_type: 'ca',
      allow_user_certificates: true,
      allowed_users: user,
      allowed_extensions: 'permit-pty,permit-port-forwarding',
      default_extensions: { 'permit-pty': '' },
    }),
  )
  await expect204(
    api('PUT', 'ssh/roles/otp', { key_type: 'otp', default_user: user, cidr_list: '127.0.0.0/8' }),
  )
  const helper = `${process.execPath} ${HOST_PROGRAM} verify-otp -dev -config=FOLDER/host.hcl`
  const sshd = resources.use(
    await startSshd({
      settings: [
        'TrustedUserCAKeys FOLDER/user_ca.pub',
        'KbdInteractiveAuthentication yes',
        'PasswordAuthentication no',
        'MaxStartups 100',
        'Subsystem sftp internal-sftp',
      ],
      pam: [
        `auth requisite pam_exec.so quiet expose_authtok log=FOLDER/helper.log ${helper}`,
        'auth optional pam_unix.so not_set_pass use_first_pass nodelay',
        'account required pam_permit.so',
        'session required pam_permit.so',
      ],
      files: {
        'user_ca.pub': body.data.public_key,
        'host.hcl': `vault_addr = "${server.address}"\nallowed_roles = "*"\n`,
      },
    }),
  )
  const env = { HOME: home, TMPDIR: temporary, VAULT_ADDR: server.address, VAULT_TOKEN: 'root' }
  let seen = 0
  const requests = (): string[] => {
    const lines = readFileSync(auditFile, 'utf8').trimEnd().split('\n')
    const fresh = lines.slice(seen)
    seen = lines.length
    return fresh
      .map((line) => JSON.parse(line))
      .filter(({ type }) => type === 'request')
      .map(({ request }) => `${request.operation} ${request.path}`)
  }
  requests()
  const trusting = ['-strict-host-key-checking=no', '-user-known-hosts-file=/dev/null']
  return {
    server,
    api,
    sshd,
    user,
    home,
    env,
    run: (args, more = {}, input = '') => runPostern(args, { ...env, ...more }, input),
    words: (command, ...flags) => {
      const place = [`${user}@127.0.0.1`, '-p', `${sshd.port}`, '-F', 'none']
      return ['ssh', ...trusting, ...flags, ...place, command]
    },
    requests,
    leftovers: () => {
      const found = execFileSync('find', [temporary, '-mindepth', '1'], { encoding: 'utf8' })
      execFileSync('find', [temporary, '-mindepth', '1', '-delete'])
      return found.split('\n').filter((line) => line !== '')
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

async function expect204(answer: ReturnType<Api>): Promise<void> {
  const { status, body } = await answer
  assert.equal(status, 204, JSON.stringify(body))
}

/** An agent of its own; ended when disposed. */
export function startAgent(folder: string): Disposable & { readonly socket: string } {
  const socket = path.join(folder, `agent-${users++}.sock`)
  const output = execFileSync('ssh-agent', ['-s', '-a', socket], { encoding: 'utf8' })
  const pid = Number(/SSH_AGENT_PID=([0-9]+)/.exec(output)?.[1])
  return { socket, [Symbol.dispose]: () => void process.kill(pid) }
}

/** What `ssh-add -l` prints. */
export function agentIdentities(socket: string): string {
  try {
    return execFileSync('ssh-add', ['-l'], {
      env: { ...process.env, SSH_AUTH_SOCK: socket },
      encoding: 'utf8',
    })
  } catch (error) {
    return (error as { stdout: string }).stdout
  }
}
