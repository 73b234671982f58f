/**
 * Hosts for tests: each a network, mount, process and UTS namespace of its own with a private /etc, /home, /root,
 * /run and /var, joined to this machine by a bridge. So sshd runs with its real default paths, accounts can be made,
 * and nothing of the machine's own is changed. Needs root.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { ensurePackages } from '../../tools/debian-packages.ts'
import { eventually } from './site.ts'
import { sshVersion } from './sshd.ts'

const RUN_TIMEOUT_MS = 60_000

export interface BoxRun {
  readonly status: number
  readonly output: string
  readonly errors: string
}

interface BoxLogin {
  readonly user: string
  /** File of the private key. */
  readonly key: string
  /** File of the certificate. */
  readonly certificate?: string
  /** `id -un` by default. */
  readonly command?: string
  /** Where the client runs; outside of all boxes by default. */
  readonly from?: Box
}

export interface Box {
  readonly name: string
  /** In the network that all boxes of one call and the bridge share. */
  readonly address: string
  /** Where the box's root folder can be seen from outside. */
  readonly root: string
  /** Runs a program in the box as root, with PATH and this environment; input comes on stdin. */
  run(
    command: readonly string[],
    options?: { readonly env?: Readonly<Record<string, string>>; readonly input?: string },
  ): Promise<BoxRun>
  /** A script of sh; rejects when its status is not 0. Gives the output. */
  shell(script: string): Promise<string>
  /** As `run`, but the child process goes on: it ends with the box at the latest. */
  spawn(command: readonly string[], env?: Readonly<Record<string, string>>): ChildProcess
  read(file: string): string
  /** Makes the folders above it too. */
  write(file: string, text: string | Uint8Array, mode?: number): void
  exists(file: string): boolean
  /** Starts `/usr/sbin/sshd` with its default configuration, port and files. */
  startSshd(): Promise<void>
  /** Ends the listener; sessions go on. */
  stopSshd(): Promise<void>
  /** What sshd has written to /var/log/auth.log so far. */
  sshdLog(): string
  /** `ssh` to the box, whatever its host key. */
  login(login: BoxLogin): Promise<BoxRun>
}

export interface Boxes extends AsyncDisposable {
  readonly boxes: readonly Box[]
  /** Of this machine on the bridge: where a server has to listen for the boxes to reach it. */
  readonly address: string
  /** The network, as CIDR. */
  readonly network: string
}

/** Runs in the new namespaces; /proc is their own already. The box lives as long as its stdin is open. */
const SETUP = `
set -e
tmp=$(mktemp -d /tmp/postern-box-XXXXXX)
mount -t tmpfs box "$tmp"
for folder in etc var; do
  mkdir "$tmp/$folder" "$tmp/$folder.work"
  mount -t overlay box -o "lowerdir=/$folder,upperdir=$tmp/$folder,workdir=$tmp/$folder.work" "/$folder"
done
umount -l "$tmp"
rmdir "$tmp"
for folder in home root run; do mount -t tmpfs -o mode=0755 box "/$folder"; done
mkdir -m 0755 /run/sshd /run/lock /run/user
rm -rf /etc/ssh/postern /etc/postern /var/lib/postern-host /etc/ssh/sshd_config.d/* /var/log/auth.log
ln -sfn /run /var/run
rm -f /etc/ssh/ssh_host_*
for type in ed25519 ecdsa; do ssh-keygen -q -t $type -N '' -f /etc/ssh/ssh_host_\${type}_key; done
# No accounts of people or of other tests.
awk -F: '$3 < 1000 || $3 > 60000' /etc/passwd > /run/passwd
cat /run/passwd > /etc/passwd
rm /run/passwd
echo "$1" > /proc/sys/kernel/hostname
echo "$1" > /etc/hostname
echo "127.0.1.1 $1" >> /etc/hosts
echo ready
exec cat > /dev/null
`

let calls = 0

/** `names` are the boxes' host names. All is gone when disposed, or when this process ends in whatever way. */
export async function startBoxes(options: { readonly names: readonly string[] }): Promise<Boxes> {
  if (!ensurePackages(['iproute2', 'openssh-server', 'openssh-client'])) {
    throw new Error('packages are missing')
  }
  await using stack = new AsyncDisposableStack()
  const id = `pt${process.pid.toString(36)}${(calls++).toString(36)}`
  const prefix = makeBridge(`${id}b`)
  stack.defer(() => void execFileSync('ip', ['link', 'delete', `${id}b`]))
  const boxes = await Promise.all(
    options.names.map(async (name, at) => {
      const keeper = spawn('unshare', [...NAMESPACES, 'sh', '-c', SETUP, 'box', name], {
        stdio: ['pipe', 'pipe', 'inherit'],
      })
      stack.defer(() => end(keeper))
      await ready(keeper, name)
      const pid = firstProcessOf(keeper)
      const address = `${prefix}.${at + 2}`
      connect(pid, `${id}v${at}`, `${id}b`, address)
      // A network namespace may go some time after its last process.
      stack.defer(() => void execFileSync('ip', ['link', 'delete', `${id}v${at}`]))
      return makeBox(name, address, pid)
    }),
  )
  const owned = stack.move()
  return {
    boxes,
    address: `${prefix}.1`,
    network: `${prefix}.0/24`,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

// With --kill-child the first process of the box ends with unshare, and all other processes with it.
const NAMESPACES = [
  ...['--net', '--mount', '--uts', '--pid', '--fork', '--kill-child', '--mount-proc'],
  ...['--propagation', 'private', '--'],
]

/** A bridge with an address in a network of 198.18.0.0/15, which is for tests of networks; the network's prefix. */
function makeBridge(name: string): string {
  const links = execFileSync('ip', ['-oneline', 'address'], { encoding: 'utf8' })
  removeAbandoned()
  for (let at = process.pid + calls * 97; ; at++) {
    const prefix = `198.${18 + ((at >> 8) & 1)}.${at & 255}`
    if (links.includes(` ${prefix}.`)) continue
    execFileSync('ip', ['link', 'add', name, 'type', 'bridge', 'forward_delay', '0'])
    execFileSync('ip', ['address', 'add', `${prefix}.1/24`, 'dev', name])
    execFileSync('ip', ['link', 'set', name, 'up'])
    return prefix
  }
}

/** Boxes end with the process that made them, however it ends; its bridge does not. */
function removeAbandoned(): void {
  const links = execFileSync('ip', ['-oneline', 'link', 'show', 'type', 'bridge'], {
    encoding: 'utf8',
  })
  for (const [, name = '', pid = ''] of links.matchAll(/\b(pt([0-9a-z]+)[0-9a-z]b):/g)) {
    if (existsSync(`/proc/${Number.parseInt(pid, 36)}`)) continue
    try {
      execFileSync('ip', ['link', 'delete', name], { stdio: 'pipe' })
    } catch {
      // Another test run was quicker.
    }
  }
}

/** Joins the box to the bridge by a pair of which one end is the box's eth0. */
function connect(pid: number, outer: string, bridge: string, address: string): void {
  const inner = `${outer}i`
  execFileSync('ip', ['link', 'add', outer, 'type', 'veth', 'peer', 'name', inner])
  execFileSync('ip', ['link', 'set', outer, 'master', bridge, 'up'])
  execFileSync('ip', ['link', 'set', inner, 'netns', `${pid}`, 'name', 'eth0'])
  const inBox = (...args: string[]) =>
    execFileSync('nsenter', ['--target', `${pid}`, '--net', 'ip', ...args])
  inBox('link', 'set', 'lo', 'up')
  inBox('address', 'add', `${address}/24`, 'dev', 'eth0')
  inBox('link', 'set', 'eth0', 'up')
}

async function ready(keeper: ChildProcess, name: string): Promise<void> {
  const [first] = await Promise.race([once(keeper.stdout!, 'data'), once(keeper, 'exit')])
  if (!String(first).includes('ready')) throw new Error(`box ${name} did not start: ${first}`)
}

/** Its process id as seen from here. */
function firstProcessOf({ pid }: ChildProcess): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim())
}

async function end(keeper: ChildProcess): Promise<void> {
  if (keeper.exitCode !== null || keeper.signalCode !== null) return
  const ended = once(keeper, 'exit')
  keeper.kill('SIGKILL')
  await ended
}

function makeBox(name: string, address: string, pid: number): Box {
  const root = `/proc/${pid}/root`
  const enter = [...['--target', `${pid}`, '--net', '--mount', '--uts', '--pid', '--wd=/', '--']]
  const place = (file: string) => path.join(root, file)
  const environment = (env: Readonly<Record<string, string>> = {}) => ({
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: '/root',
    ...env,
  })
  const box: Box = {
    name,
    address,
    root,
    run: (command, { env, input = '' } = {}) =>
      runProgram('nsenter', [...enter, ...command], environment(env), input),
    shell: async (script) => {
      const { status, output, errors } = await box.run(['sh', '-e', '-c', script])
      if (status !== 0) throw new Error(`${name}: ${script} ended with ${status}:\n${errors}`)
      return output
    },
    spawn: (command, env) =>
      spawn('nsenter', [...enter, ...command], {
        env: environment(env),
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    read: (file) => readFileSync(place(file), 'utf8'),
    write: (file, text, mode = 0o644) => {
      mkdirSync(path.dirname(place(file)), { recursive: true })
      writeFileSync(place(file), text, { mode })
    },
    exists: (file) => existsSync(place(file)),
    startSshd: async () => {
      // Refused logins are what tests are about: from 9.8 on they would cost the next ones.
      const tolerance = sshVersion() < 908 ? '' : '-o PerSourcePenalties=no'
      await box.shell(`/usr/sbin/sshd -E /var/log/auth.log ${tolerance}`)
      await eventually(
        () => box.exists('/run/sshd.pid'),
        () => `no sshd:\n${box.sshdLog()}`,
      )
    },
    stopSshd: async () => {
      await box.shell('kill "$(cat /run/sshd.pid)"')
      await eventually(() => !box.exists('/run/sshd.pid'), 'sshd does not end')
    },
    sshdLog: () => (box.exists('/var/log/auth.log') ? box.read('/var/log/auth.log') : ''),
    login: ({ user, key, certificate, command = 'id -un', from }) => {
      const words = [
        ...['ssh', '-F', 'none', '-oBatchMode=yes', '-oIdentitiesOnly=yes', '-oIdentityAgent=none'],
        ...['-oStrictHostKeyChecking=no', '-oUserKnownHostsFile=/dev/null', '-i', key],
        ...(certificate ? [`-oCertificateFile=${certificate}`] : []),
        ...[`${user}@${address}`, command],
      ]
      const [program = '', ...args] = words
      return from ? from.run(words) : runProgram(program, args, environment(), '')
    },
  }
  return box
}

function runProgram(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  input: string,
): Promise<BoxRun> {
  return new Promise((resolve, reject) => {
    const options = { env, timeout: RUN_TIMEOUT_MS, encoding: 'utf8' } as const
    const child = execFile(program, args, options, (error, output, errors) => {
      if (error && typeof error.code !== 'number') reject(error)
      else resolve({ status: Number(error?.code ?? 0), output, errors })
    })
    // It may end without reading.
    child.stdin?.on('error', () => {})
    child.stdin?.end(input)
  })
}
