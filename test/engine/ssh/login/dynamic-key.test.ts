/** Logins with keys that were installed on a host: known while their lease lasts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RemoteHosts } from '../../../../src/engine/ssh/dynamic/remote.ts'
import { fingerprint } from '../../../../src/ssh/key/fingerprint.ts'
import { parsePrivateKey } from '../../../../src/ssh/key/private-key.ts'
import { vector, vectorBlob } from '../../../ssh/support.ts'
import { lineOf, victims } from '../host/support.ts'
import { assertDone, mountSsh } from '../support.ts'
import { event, logins, report } from './support.ts'

/** Does what it is asked for. */
const obliging: RemoteHosts = {
  run: async (host) => {
    await host.checkHostKey(vectorBlob('p256.pub'))
    host.beforeSend?.()
    return { status: 0, stdout: '', stderr: '', serverVersion: 'OpenSSH_9.2p1' }
  },
  close: async () => {},
}

test('a login is by a dynamic key of ours for its user, until shortly after the end of its lease', async () => {
  let time = 0
  const { ssh } = await mountSsh({ remote: obliging, clock: { now: () => time } })
  const role = { key_type: 'dynamic', key: 'fleet', admin_user: 'root', default_user: 'alice' }
  for (const [path, fields] of Object.entries({
    'config/hosts': { host_scope: true },
    'hosts/web-1': { host_keys: lineOf(victims), addresses: '10.0.0.1' },
    'keys/fleet': { key: vector('rsa.key') },
    'roles/dynamic': { ...role, cidr_list: '10.0.0.0/8' },
  })) {
    assertDone(await ssh.write(path, fields))
  }
  const answer = await ssh.write('creds/dynamic', { ip: '10.0.0.1' })
  assertDone(answer)
  const { publicKey } = parsePrivateKey(String(answer.data['key']))
  const used = { fingerprint: fingerprint(publicKey.blob), from: '127.0.0.1' }
  await report(ssh, [event(ssh, 1, used), event(ssh, 2, { ...used, user: 'bob' })])
  const lease = answer.outcome.activatedLease
  assert.ok(lease)
  time = ssh.now
  await ssh.revoke(lease)
  ssh.now += 200_000
  await report(ssh, [event(ssh, 3, used)])
  ssh.now += 200_000
  await report(ssh, [event(ssh, 4, used)])
  const byNumber = (await logins(ssh)).sort((one, other) => one.sequence - other.sequence)
  const unknown = ['unknown-credential']
  assert.deepEqual(
    byNumber.map(({ flags }) => flags),
    [[], unknown, [], unknown],
  )
  assert.equal(byNumber[0].lease_id, lease.id)
  assert.equal(byNumber[0].display_name, 'token-alice')
})
