/** A mount with both kinds of issuers and three hosts. */
import assert from 'node:assert/strict'
import { decodeBase64 } from '../../../../src/ssh/base64.ts'
import { type Certificate, parseCertificate } from '../../../../src/ssh/certificate/certificate.ts'
import { parseAuthorizedKey } from '../../../../src/ssh/key/authorized-keys.ts'
import type { PublicKey } from '../../../../src/ssh/key/public-key.ts'
import { vector } from '../../../ssh/support.ts'
import type { Answer, Mounted } from '../../harness.ts'
import { assertDone, mountSsh } from '../support.ts'

export const KEY: string = vector('p256.pub')

const HOSTS: Readonly<Record<string, Record<string, unknown>>> = {
  'web-1': {
    names: 'web-1.example.org',
    addresses: '10.0.0.1',
    groups: 'web',
    tags: 'env=prod',
    accounts: 'alice,deploy',
  },
  'web-2': { names: 'web-2.example.org', addresses: '10.0.0.2', groups: 'web', tags: 'env=test' },
  'db-1': { names: 'db-1.example.org', addresses: '10.0.0.3', groups: 'db', tags: 'env=prod' },
}

/** The scoped issuer is named `scoped`, the bare one is the default one. */
export async function mountHosts(options: Parameters<typeof mountSsh>[0] = {}): Promise<Mounted> {
  const { ssh } = await mountSsh(options)
  assertDone(await ssh.write('config/ca', keysOf('ed25519')))
  assertDone(await ssh.write('issuers/import/scoped', { ...keysOf('p384'), usage: 'scoped' }))
  assertDone(await ssh.write('config/hosts', { host_scope: true }))
  for (const [id, fields] of Object.entries(HOSTS)) {
    assertDone(await ssh.write(`hosts/${id}`, fields))
  }
  return ssh
}

/** The same with a role `r` for alice, bob and deploy. */
export async function mountScoped(role: object): Promise<Mounted> {
  const ssh = await mountHosts()
  await writeRole(ssh, role)
  return ssh
}

export async function writeRole(ssh: Mounted, role: object): Promise<void> {
  const users = { allow_user_certificates: true, allowed_users: 'alice,bob,deploy' }
  assertDone(
    await ssh.write('roles/r', { key_type: 'ca', default_user: 'alice', ...users, ...role }),
  )
}

export function keysOf(caName: string): Record<string, string> {
  return { public_key: vector(`${caName}.pub`), private_key: vector(`${caName}.key`) }
}

export const bareKey: PublicKey = parseAuthorizedKey(vector('ed25519.pub'))
export const scopedKey: PublicKey = parseAuthorizedKey(vector('p384.pub'))

export const sign = (ssh: Mounted, fields: object = {}): Promise<Answer> =>
  ssh.write('sign/r', { public_key: KEY, ...fields })

export function certificateOf({ data }: Answer): Certificate {
  return parseCertificate(decodeBase64(String(data['signed_key']).split(' ')[1] ?? ''))
}

/** The principals of a certificate that has to be the scoped issuer's. */
export async function scopedFor(ssh: Mounted, fields: object = {}): Promise<readonly string[]> {
  const answer = await sign(ssh, fields)
  assertDone(answer)
  const { caKey, principals } = certificateOf(answer)
  assert.deepEqual(caKey.blob, scopedKey.blob)
  return principals
}
