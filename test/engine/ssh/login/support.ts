/** A mount with hosts that report, and what they report. */
import type { PrivateKey } from '../../../../src/ssh/key/private-key.ts'
import type { Answer, Mounted } from '../../harness.ts'
import { mountHosts, sign, victims } from '../host/support.ts'
import { assertDone } from '../support.ts'

export const STREAM = '00000001'
const BOOT = 'b007'

/** web-1 may be reported from; a role `otp` for alice on it. */
export async function mountReporting(): Promise<Mounted> {
  const ssh = await mountHosts()
  assertDone(await ssh.write('hosts/web-1', { addresses: '10.0.0.1' }))
  const otp = { key_type: 'otp', default_user: 'alice', cidr_list: '10.0.0.0/8' }
  assertDone(await ssh.write('roles/otp', otp))
  ssh.now += 3_600_000
  return ssh
}

/** A login of alice with a key that nobody knows, unless something else is said. */
export function event(ssh: Mounted, seq: number, more: object = {}): Record<string, unknown> {
  return {
    seq,
    at: Math.floor(ssh.now / 1000),
    type: 'login',
    session: `${BOOT}.${100 + seq}.1`,
    user: 'alice',
    from: '192.0.2.7',
    service: 'sshd',
    method: 'publickey',
    fingerprint: `SHA256:${'A'.repeat(43)}`,
    ...more,
  }
}

interface ReportOptions {
  readonly key?: PrivateKey
  readonly body?: object
  readonly unixSeconds?: number
}

/** Of web-1, signed. */
export async function report(
  ssh: Mounted,
  events: readonly Record<string, unknown>[],
  { key = victims, body = {}, ...request }: ReportOptions = {},
): Promise<Answer> {
  const first = events[0]?.['seq'] ?? 1
  const data = { stream: STREAM, sequence_first: first, events, state: { boot_id: BOOT }, ...body }
  const text = JSON.stringify(data)
  const sent = await sign(ssh, key, { path: '/v1/ssh/host/report', body: text, ...request })
  return ssh.write('host/report', JSON.parse(text), sent)
}

// biome-ignore lint/suspicious/noExplicitAny: a test reads whatever members the answer should have.
export type Shown = any

export async function logins(ssh: Mounted, query: Record<string, unknown> = {}): Promise<Shown[]> {
  const { status, data } = await ssh.list('logins', query)
  if (status === 404) return []
  const info = data['key_info'] as Record<string, Shown>
  return (data['keys'] as string[]).map((key) => info[key])
}
