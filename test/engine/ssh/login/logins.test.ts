import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fingerprint } from '../../../../src/ssh/key/fingerprint.ts'
import { encodePrivateKey } from '../../../../src/ssh/key/private-key.ts'
import type { Mounted } from '../../harness.ts'
import { victims } from '../host/support.ts'
import { assertDone, assertRefused } from '../support.ts'
import { event, logins, mountReporting, report } from './support.ts'

const OTP = { method: 'password', fingerprint: undefined }

/** The lease of a password for alice on web-1. */
async function password(ssh: Mounted): Promise<string> {
  const answer = await ssh.write('creds/otp', { ip: '10.0.0.1' })
  assertDone(answer)
  return String(answer.outcome.lease?.id)
}

describe('what a login is flagged with', () => {
  test('nothing, where the password is used from where it was asked for', async () => {
    const ssh = await mountReporting()
    const otp_lease = await password(ssh)
    // The harness sends all requests from here.
    await report(ssh, [event(ssh, 1, { ...OTP, otp_lease, from: '127.0.0.1' })])
    const [login] = await logins(ssh)
    assert.deepEqual(
      [login.flags, login.credential, login.display_name, login.lease_id, login.role],
      [[], 'otp', 'token-alice', otp_lease, 'otp'],
    )
  })

  test('other-address, where it is used from elsewhere', async () => {
    const ssh = await mountReporting()
    await report(ssh, [event(ssh, 1, { ...OTP, otp_lease: await password(ssh) })])
    assert.deepEqual((await logins(ssh))[0].flags, ['other-address'])
    assert.equal((await logins(ssh, { flag: 'other-address' })).length, 1)
  })

  const strangers: readonly [string, object][] = [
    ['a key', {}],
    ['a password of the host', OTP],
    ['a password of a lease that never was', { ...OTP, otp_lease: 'ssh/creds/otp/none' }],
    [
      'a certificate',
      {
        certificate: { serial: '7', ca_fingerprint: `SHA256:${'B'.repeat(43)}`, key_id: 'root' },
      },
    ],
  ]
  for (const [what, more] of strangers) {
    test(`unknown-credential, for ${what} that this mount did not issue`, async () => {
      const ssh = await mountReporting()
      await report(ssh, [event(ssh, 1, more)])
      const [login] = await logins(ssh, { flag: 'unknown-credential' })
      assert.deepEqual(login.flags, ['unknown-credential'])
      assert.equal('display_name' in login, false)
    })
  }

  test('unknown-credential, for a password that was issued for another user', async () => {
    const ssh = await mountReporting()
    const otp_lease = await password(ssh)
    await report(ssh, [event(ssh, 1, { ...OTP, otp_lease, user: 'root' })])
    assert.deepEqual((await logins(ssh))[0].flags, ['unknown-credential'])
  })

  test("nothing, for the server's own key", async () => {
    const ssh = await mountReporting()
    assertDone(await ssh.write('keys/fleet', { key: encodePrivateKey(victims.keyObject) }))
    const own = { user: 'root', fingerprint: fingerprint(victims.publicKey.blob) }
    await report(ssh, [event(ssh, 1, own)])
    const [login] = await logins(ssh)
    assert.deepEqual([login.flags, login.credential, login.role], [[], 'admin-key', 'fleet'])
  })
})

describe('logins', () => {
  test('are listed from the newest on, in pages, by host, user and time', async () => {
    const ssh = await mountReporting()
    const start = Math.floor(ssh.now / 1000)
    for (let seq = 1; seq <= 5; seq++) {
      ssh.now += 1000
      await report(ssh, [event(ssh, seq, { user: seq % 2 === 0 ? 'bob' : 'alice' })])
    }
    const sequences = async (query: Record<string, unknown>) =>
      (await logins(ssh, query)).map(({ sequence }) => sequence)
    assert.deepEqual(await sequences({}), [5, 4, 3, 2, 1])
    assert.deepEqual(await sequences({ host: '10.0.0.1', user: 'bob' }), [4, 2])
    assert.deepEqual(await sequences({ host: 'web-2' }), [])
    assert.deepEqual(await sequences({ since: start + 2, until: start + 4 }), [3, 2])
    for (const query of [{}, { open: true }, { host: 'web-1' }]) {
      const seen: unknown[] = []
      let after = ''
      do {
        const { data } = await ssh.list('logins', { ...query, limit: 2, after })
        seen.push(...((data['keys'] as string[] | undefined) ?? []))
        after = String(data['next'] ?? '')
      } while (after !== '')
      assert.equal(new Set(seen).size, 5, JSON.stringify(query))
      assert.equal(seen.length, 5)
    }
  })

  test('never-used lists what has ended unused on hosts that report', async () => {
    const ssh = await mountReporting()
    const [used, unused] = [await password(ssh), await password(ssh)]
    await report(ssh, [event(ssh, 1, { ...OTP, otp_lease: used })])
    assert.deepEqual(await logins(ssh, { flag: 'never-used' }), [])
    ssh.now += 40 * 86_400_000
    const found = await logins(ssh, { flag: 'never-used' })
    assert.deepEqual(
      found.map(({ lease_id, flags, display_name }) => [lease_id, flags, display_name]),
      [[unused, ['never-used'], 'token-alice']],
    )
  })

  test('go when keep_for is over, those that go on after three times that', async () => {
    const ssh = await mountReporting()
    assertDone(await ssh.write('config/certificates', { keep_for: '1h' }))
    const otp_lease = await password(ssh)
    await report(ssh, [event(ssh, 1, { ...OTP, otp_lease }), event(ssh, 2)])
    await report(ssh, [event(ssh, 3, { type: 'logout', session: 'b007.101.1' })])
    await ssh.run('periodic')
    assert.equal((await logins(ssh)).length, 2)
    ssh.now += 2 * 3_600_000
    await ssh.run('periodic')
    assert.deepEqual(
      (await logins(ssh)).map(({ sequence }) => sequence),
      [2],
    )
    ssh.now += 50 * 86_400_000
    await ssh.run('periodic')
    assert.deepEqual(await logins(ssh), [])
    assert.deepEqual(await logins(ssh, { open: true }), [])
    assert.deepEqual(await logins(ssh, { flag: 'never-used' }), [])
  })

  test('have a path of their own, and unknown flags are refused', async () => {
    const ssh = await mountReporting()
    await report(ssh, [event(ssh, 1)])
    const [login] = await logins(ssh)
    assert.deepEqual((await ssh.read(`login/${login.id}`)).data, login)
    assert.equal((await ssh.read('login/none')).status, 404)
    const text = 'flag is one of other-address, unknown-credential, gap, never-used'
    assertRefused(await ssh.list('logins', { flag: 'odd' }), 400, text)
  })
})
