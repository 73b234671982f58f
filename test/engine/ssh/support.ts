/** A mounted SSH engine, and what its tests say over and over. */
import assert from 'node:assert/strict'
import { createSshBackend, type SshBackendOptions } from '../../../src/engine/ssh/backend.ts'
import type { RemoteHosts } from '../../../src/engine/ssh/dynamic/remote.ts'
import { PosternError } from '../../../src/errors.ts'
import { sshKeygen, vector } from '../../ssh/support.ts'
import { type Answer, type Mounted, mount } from '../harness.ts'

/** A network without hosts. */
const noHosts: RemoteHosts = {
  run: () => Promise.reject(new PosternError('refused', 'there is no host')),
  close: async () => {},
}

export interface Logged {
  readonly details: Readonly<Record<string, unknown>>
  readonly message: string
}

export interface MountedSsh {
  readonly ssh: Mounted
  readonly logged: readonly Logged[]
}

export const CLUSTER_ID = '5a1f0c2e-0000-4000-8000-000000000001'

/** An engine without roles and keys. */
export async function mountSsh(options: Partial<SshBackendOptions> = {}): Promise<MountedSsh> {
  const logged: Logged[] = []
  const log = {
    warn: (details: Logged['details'], message: string) => void logged.push({ details, message }),
  }
  const backend = createSshBackend({
    allowCompat2015: true,
    allowInstallScripts: true,
    allowLoopback: false,
    remote: noHosts,
    clock: { now: () => 0 },
    clusterId: () => CLUSTER_ID,
    tokens: {
      idOf: async () => undefined,
      below: async function* (tokenId) {
        yield tokenId
      },
    },
    closing: new AbortController().signal,
    log,
    ...options,
  })
  return { ssh: await mount(backend), logged }
}

/** The same with the CA key of a vector, which costs no key generation. */
export async function mountCa(
  caName = 'ed25519',
  options: Partial<SshBackendOptions> = {},
): Promise<Mounted> {
  const { ssh } = await mountSsh(options)
  const keys = { public_key: vector(`${caName}.pub`), private_key: vector(`${caName}.key`) }
  assertDone(await ssh.write('config/ca', keys))
  return ssh
}

export function assertDone(answer: Answer): void {
  assert.ok(answer.status < 300, `${answer.status} ${answer.error}`)
}

export function assertRefused(answer: Answer, status: number, message: string): void {
  assert.deepEqual({ status: answer.status, error: answer.error }, { status, error: message })
}

/** The text of errors that a backend did not expect. */
export function wrapped(message: string): string {
  return `1 error occurred:\n\t* ${message}\n\n`
}

/** A certificate as `ssh-keygen -L` shows it: its lines by label, and the lists under them. */
export function inspect(signedKey: unknown): Map<string, string | string[]> {
  const shown = new Map<string, string | string[]>()
  let open: string[] = []
  for (const line of sshKeygen(['-L', '-f', '-'], String(signedKey)).split('\n')) {
    const item = /^ {16}(\S.*)$/.exec(line)?.[1]
    if (item !== undefined) {
      open.push(item)
      continue
    }
    const [, label, value = ''] = /^ {8}([^:]+):\s*(.*)$/.exec(line) ?? []
    if (label === undefined) continue
    open = []
    shown.set(label, value === '' ? open : value)
  }
  return shown
}
