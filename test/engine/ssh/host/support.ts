/** Hosts of a mounted engine, and the requests that they sign (protocols 5.4). */
import { randomBytes } from 'node:crypto'
import {
  HOST_NAMESPACE,
  type HostRequest,
  hostHeaders,
  hostRequestMessage,
  NONCE_BYTES,
} from '../../../../src/ssh/host/host-request.ts'
import { encodeAuthorizedKey } from '../../../../src/ssh/key/authorized-keys.ts'
import type { PrivateKey } from '../../../../src/ssh/key/private-key.ts'
import { signBlob } from '../../../../src/ssh/sshsig.ts'
import { vectorPrivateKey } from '../../../ssh/support.ts'
import type { Answer, Mounted, Sent } from '../../harness.ts'
import { assertDone, CLUSTER_ID, mountCa } from '../support.ts'

export const DENIED = 'permission denied'
export const mine: PrivateKey = vectorPrivateKey('ed25519')
export const victims: PrivateKey = vectorPrivateKey('p256')
export const lineOf = ({ publicKey }: PrivateKey): string => encodeAuthorizedKey(publicKey.blob)

/** A mount that knows the host web-1, with the key of `victims`. */
export async function mountHosts(startedAt = 0): Promise<Mounted> {
  const ssh = await mountCa('p384', { clock: { now: () => startedAt } })
  assertDone(await ssh.write('config/hosts', { host_scope: true }))
  const names = { names: 'web-1.example.org', certificate_names: 'web-1.example.org' }
  assertDone(await ssh.write('hosts/web-1', { host_keys: lineOf(victims), ...names }))
  return ssh
}

/** A request with what a host adds to it; by web-1 if nothing else is said. */
export async function sign(
  ssh: Mounted,
  key: PrivateKey,
  request: Partial<HostRequest> & Pick<HostRequest, 'path'>,
): Promise<Sent & { bodyText: string }> {
  const full: HostRequest = {
    clusterId: CLUSTER_ID,
    method: 'POST',
    body: '',
    hostId: 'web-1',
    unixSeconds: Math.floor(ssh.now / 1000),
    nonce: randomBytes(NONCE_BYTES),
    ...request,
  }
  const signature = await signBlob(key, HOST_NAMESPACE, hostRequestMessage(full))
  const headers: Record<string, string> = {
    [hostHeaders.time]: String(full.unixSeconds),
    [hostHeaders.nonce]: Buffer.from(full.nonce).toString('base64url'),
    [hostHeaders.signature]: signature.toString('base64'),
  }
  if (full.hostId !== '') headers[hostHeaders.host] = full.hostId
  return { headers, bodyText: String(full.body) }
}

/** For five hosts called web-*, if nothing else is said. */
export async function joinToken(ssh: Mounted, fields: object = {}): Promise<string> {
  const made = await ssh.write('join-tokens', { name_pattern: 'web-*', uses: 5, ...fields })
  assertDone(made)
  return String(made.data['join_token'])
}

export interface Newcomer {
  readonly key?: PrivateKey
  readonly fields?: Record<string, unknown>
  readonly request?: Partial<HostRequest>
}

/** The request is signed when this resolves; what it gives sends it. */
export async function prepared(
  ssh: Mounted,
  token: string,
  name: string,
  { key = mine, fields = {}, request = {} }: Newcomer = {},
): Promise<() => Promise<Answer>> {
  const data = { join_token: token, name, addresses: [], host_keys: [lineOf(key)], ...fields }
  const body = JSON.stringify(data)
  const terms = { path: '/v1/ssh/host-enroll', clusterId: '', hostId: '', body, ...request }
  const sent = await sign(ssh, key, terms)
  return () => ssh.write('host-enroll', data, sent)
}

export async function enrol(...of: Parameters<typeof prepared>): Promise<Answer> {
  return (await prepared(...of))()
}
