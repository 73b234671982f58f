/**
 * A host for dynamic keys: a private sshd, an admin user with sudo and without a password, and users with homes.
 * Needs root. All that it makes is gone when it is disposed.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { type Login, logInWithKey, type PrivateSshd, startSshd } from './sshd.ts'

export interface LoginHost extends AsyncDisposable {
  readonly folder: string
  readonly admin: string
  /** PEM. */
  readonly adminKey: string
  /** Its public host key: type and base64. */
  hostKey(): string
  readonly sshd: PrivateSshd
  /** Stops sshd with its sessions, and starts it on the same port, with another host key when told to. */
  restart(options?: { readonly newHostKey?: boolean }): Promise<void>
  stop(): Promise<void>
  /** Makes a user with a home; gives the home. */
  addUser(name: string): string
  /** The user's authorized_keys; undefined when there is none. */
  keysOf(user: string): string | undefined
  /** Logs in with a private key, as `ssh -i` does. */
  logIn(user: string, key: string): Promise<Login>
}

const SETTINGS = [
  'PasswordAuthentication no',
  'KbdInteractiveAuthentication no',
  'MaxStartups 200',
  'PerSourceMaxStartups none',
]

/** `admin` names its admin user, and has to be free. */
export async function startLoginHost(
  admin: string,
  options: { readonly sudoers?: string } = {},
): Promise<LoginHost> {
  const stack = new AsyncDisposableStack()
  const folder = stack.adopt(mkdtempSync(path.join(os.tmpdir(), 'postern-host-')), (made) =>
    rmSync(made, { recursive: true, force: true }),
  )
  chmodSync(folder, 0o755)
  const homes = new Map<string, string>()
  const addUser = (name: string): string => {
    const home = path.join(folder, name)
    // A star is no password, but does not lock the account.
    const flags = ['--create-home', '--home-dir', home, '--shell', '/bin/sh', '--password', '*']
    execFileSync('useradd', [...flags, name], { stdio: 'pipe' })
    stack.defer(() => void execFileSync('userdel', ['--force', name], { stdio: 'pipe' }))
    homes.set(name, home)
    return home
  }
  const adminHome = addUser(admin)
  const sudoers = `/etc/sudoers.d/${admin}`
  const line = options.sudoers ?? `${admin} ALL=(ALL) NOPASSWD: ALL`
  writeFileSync(sudoers, `${line}\n`, { mode: 0o440 })
  stack.defer(() => rmSync(sudoers, { force: true }))
  const keyFile = path.join(folder, 'admin_key')
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', keyFile])
  const file = path.join(adminHome, '.ssh/authorized_keys')
  execFileSync('install', ['-d', '-m', '700', '-o', admin, path.dirname(file)])
  execFileSync('install', ['-m', '600', '-o', admin, `${keyFile}.pub`, file])
  let logins = 0
  const start = (port?: number, hostKey?: string) =>
    startSshd({
      settings: SETTINGS,
      authorizedKeysFile: '.ssh/authorized_keys',
      ...(port === undefined ? {} : { port }),
      ...(hostKey === undefined ? {} : { files: { host_key: hostKey } }),
    })
  let sshd: PrivateSshd | undefined = await start()
  let last = sshd
  stack.defer(() => sshd?.[Symbol.asyncDispose]())
  let hostKey = privateHostKey(sshd)
  let publicHostKey = publicHalf(hostKey, folder)
  const stop = async () => {
    const sessions = sshd ? childrenOf(sshd.pid) : []
    await sshd?.[Symbol.asyncDispose]()
    sshd = undefined
    // They outlive their listener: the host would stay reachable over open connections.
    for (const pid of sessions) end(pid)
  }
  return {
    folder,
    admin,
    adminKey: readFileSync(keyFile, 'utf8'),
    get sshd() {
      return last
    },
    hostKey: () => publicHostKey,
    stop,
    restart: async ({ newHostKey = false } = {}) => {
      await stop()
      sshd = last = await start(last.port, newHostKey ? undefined : hostKey)
      hostKey = privateHostKey(sshd)
      publicHostKey = publicHalf(hostKey, folder)
    },
    addUser,
    keysOf: (user) => {
      try {
        return readFileSync(path.join(homes.get(user) ?? '', '.ssh/authorized_keys'), 'utf8')
      } catch {
        return undefined
      }
    },
    logIn: async (user, key) => {
      const identity = path.join(folder, `key-${++logins}`)
      writeFileSync(identity, key, { mode: 0o600 })
      return logInWithKey(last, user, { key: identity })
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

/** Processes whose parent this is. */
function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return text.split(' ').filter(Boolean).map(Number)
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM')
  } catch {
    // It has ended meanwhile.
  }
}

function privateHostKey(sshd: PrivateSshd): string {
  return readFileSync(path.join(sshd.folder, 'host_key'), 'utf8')
}

function publicHalf(privateKey: string, folder: string): string {
  const file = path.join(folder, 'host_key')
  writeFileSync(file, privateKey, { mode: 0o600 })
  const line = execFileSync('ssh-keygen', ['-y', '-f', file], { encoding: 'utf8' })
  return line.split(' ').slice(0, 2).join(' ').trim()
}
