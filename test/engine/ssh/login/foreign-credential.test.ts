/** A host that was taken over reports logins with what was issued for others: it is believed about itself alone (protocols 5.4). */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseCertificate } from '../../../../src/ssh/certificate/certificate.ts'
import { parseAuthorizedKey } from '../../../../src/ssh/key/authorized-keys.ts'
import { fingerprint } from '../../../../src/ssh/key/fingerprint.ts'
import { vector } from '../../../ssh/support.ts'
import type { Mounted } from '../../harness.ts'
import { lineOf, mine, mountHosts, sign, victims } from '../host/support.ts'
import { assertDone } from '../support.ts'

const KEY = vector('rsa.pub')

/** web-1 of the group web, web-2 of none; a role for both. */
async function mountBoth(): Promise<Mounted> {
  const ssh = await mountHosts()
  assertDone(await ssh.write('hosts/web-1', { addresses: '10.0.0.1', groups: 'web' }))
  assertDone(await ssh.write('hosts/web-2', { addresses: '10.0.0.2', host_keys: lineOf(mine) }))
  const scope = { host_scope: 'required', allowed_hosts: '*', allowed_groups: '*' }
  const role = { key_type: 'ca', allow_user_certificates: true, allowed_users: 'alice,bob' }
  assertDone(await ssh.write('roles/r', { ...role, default_user: 'alice', ...scope }))
  const otp = { key_type: 'otp', default_user: 'alice', cidr_list: '10.0.0.0/8' }
  assertDone(await ssh.write('roles/otp', otp))
  return ssh
}

let sequence = 0

/** What is made of a login that the host reports. */
async function reported(ssh: Mounted, hostId: 'web-1' | 'web-2', event: object) {
  const seq = 1
  const stream = String(++sequence).padStart(8, '0')
  const at = Math.floor(ssh.now / 1000)
  const common = { seq, at, type: 'login', session: `ab.${sequence}.1`, user: 'alice' }
  const login = { ...common, from: '127.0.0.1', service: 'sshd', method: 'publickey', ...event }
  const data = { stream, sequence_first: 1, events: [login], state: { boot_id: 'ab' } }
  const body = JSON.stringify(data)
  const key = hostId === 'web-1' ? victims : mine
  const sent = await sign(ssh, key, { path: '/v1/ssh/host/report', hostId, body })
  assertDone(await ssh.write('host/report', data, sent))
  // Each report begins a spool anew, which leaves a gap beside the login.
  const { data: list } = await ssh.list('logins', { host: hostId })
  const logins = Object.values(list['key_info'] as Record<string, Record<string, unknown>>)
  return logins.find(({ session }) => session === common.session) ?? assert.fail('no login')
}

async function certificate(ssh: Mounted, target: object): Promise<object> {
  const { data } = await ssh.write('sign/r', { public_key: KEY, ...target })
  const blob = Buffer.from(String(data['signed_key']).split(' ')[1] ?? '', 'base64')
  const { serial, caKey, keyId } = parseCertificate(blob)
  const ca_fingerprint = fingerprint(caKey.blob)
  return {
    certificate: { serial: String(serial), ca_fingerprint, key_id: keyId },
    fingerprint: fingerprint(parseAuthorizedKey(KEY).blob),
  }
}

describe('a reported login', () => {
  test('with a certificate for the host or its group is that of whom it was issued to', async () => {
    const ssh = await mountBoth()
    for (const target of [{ host: 'web-1' }, { group: 'web' }]) {
      const login = await reported(ssh, 'web-1', await certificate(ssh, target))
      assert.deepEqual([login['flags'], login['display_name']], [[], 'token-alice'])
    }
  })

  test('with a certificate for another host, group or account is nobody’s, and uses nothing', async () => {
    const ssh = await mountBoth()
    for (const target of [{ host: 'web-1' }, { group: 'web' }]) {
      const login = await reported(ssh, 'web-2', await certificate(ssh, target))
      assert.deepEqual([login['flags'], login['display_name']], [['unknown-credential'], undefined])
    }
    const other = { ...(await certificate(ssh, { host: 'web-1' })), user: 'bob' }
    assert.deepEqual((await reported(ssh, 'web-1', other))['flags'], ['unknown-credential'])
    ssh.now += 40 * 86_400_000
    const { data } = await ssh.list('logins', { flag: 'never-used' })
    assert.equal((data['keys'] as string[]).length, 3)
  })

  test('with a serial of ours under another CA, or another key, is nobody’s', async () => {
    const ssh = await mountBoth()
    const { certificate: told, ...key } = (await certificate(ssh, { host: 'web-1' })) as {
      readonly certificate: object
    }
    const other = `SHA256:${'A'.repeat(43)}`
    for (const event of [
      { ...key, certificate: { ...told, ca_fingerprint: other } },
      { certificate: told, fingerprint: other },
    ]) {
      assert.deepEqual((await reported(ssh, 'web-1', event))['flags'], ['unknown-credential'])
    }
  })

  test('long after the end of its certificate is nobody’s', async () => {
    const ssh = await mountBoth()
    const made = await certificate(ssh, { host: 'web-1', ttl: '1m' })
    ssh.now += 3_600_000
    assert.deepEqual((await reported(ssh, 'web-1', made))['flags'], ['unknown-credential'])
  })

  test('with the password of another host is nobody’s', async () => {
    const ssh = await mountBoth()
    const { outcome } = await ssh.write('creds/otp', { host: 'web-1' })
    const event = { method: 'keyboard-interactive', otp_lease: outcome.lease?.id }
    const own = await reported(ssh, 'web-1', event)
    assert.deepEqual([own['flags'], own['role']], [[], 'otp'])
    assert.deepEqual((await reported(ssh, 'web-2', event))['flags'], ['unknown-credential'])
  })
})
