/** Signed answers of verify as a host checks them (protocols 5.5). */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { checkSignedAnswer, type ServerTrust } from '../../../src/host/otp/server-trust.ts'
import { VERIFY_NAMESPACE, verifyMessageBytes } from '../../../src/ssh/host/verify-message.ts'
import { signMessage } from '../../../src/ssh/sshsig.ts'
import { vectorPrivateKey } from '../../ssh/support.ts'

const identity = vectorPrivateKey('ed25519')
const stranger = vectorPrivateKey('p256')
const now = 1_790_000_000_000
const trust: ServerTrust = {
  clusterId: 'c-1',
  mountPath: 'ssh',
  keys: [identity.publicKey],
  hostId: 'web-1',
}
const asked = {
  nonce: Buffer.alloc(32, 7).toString('base64url'),
  otp: '2f7e25a2-24c9-4b7b-0d35-27d5e5203a5c',
  user: 'alice',
}
/** What the server signs when all is well. */
const signed = {
  clusterId: 'c-1',
  mountPath: 'ssh',
  nonce: asked.nonce,
  otp: asked.otp,
  username: 'alice',
  ip: '10.0.0.5',
  roleName: 'web',
  hostId: 'web-1',
  unixSeconds: now / 1000,
}
const data = { ip: '10.0.0.5', role_name: 'web', username: 'alice', time: now / 1000 }

async function check(
  change: Partial<typeof signed> = {},
  answer: Record<string, string | number> = {},
  { key = identity, namespace = VERIFY_NAMESPACE, at = now } = {},
): Promise<void> {
  const message = verifyMessageBytes({ ...signed, ...change })
  const signature = await signMessage(key, namespace, message)
  checkSignedAnswer(trust, asked, { ...data, signature, ...answer }, at)
}

suite('a signed answer of verify', () => {
  test('is believed when the server signed what was asked', async () => {
    await check()
  })

  const changes: readonly Partial<typeof signed>[] = [
    { clusterId: 'c-2' },
    { mountPath: 'other' },
    { nonce: Buffer.alloc(32, 8).toString('base64url') },
    { otp: '2f7e25a2-24c9-4b7b-0d35-27d5e5203a5d' },
    { username: 'root' },
    { ip: '10.0.0.6' },
    { roleName: 'db' },
    { hostId: 'web-2' },
    { hostId: '' },
    { unixSeconds: now / 1000 + 1 },
  ]
  for (const change of changes) {
    test(`protocols 5.5: is refused when it was signed with ${JSON.stringify(change)}`, async () => {
      await assert.rejects(check(change), /the signature is of another answer/)
    })
  }

  const others: readonly Record<string, string | number>[] = [
    { ip: '10.0.0.6' },
    { role_name: 'root' },
    { time: now / 1000 - 1 },
  ]
  for (const answer of others) {
    test(`protocols 5.5: is refused when it says ${JSON.stringify(answer)} instead`, async () => {
      await assert.rejects(check({}, answer), /the signature is of another answer/)
    })
  }

  test('protocols 5.5: is refused for a user who was not asked for, whatever it says of itself', async () => {
    await assert.rejects(check({ username: 'root' }, { username: 'root' }), /another answer/)
  })

  test('protocols 5.5: is refused when this host knows another cluster or mount', async () => {
    const signature = await signMessage(identity, VERIFY_NAMESPACE, verifyMessageBytes(signed))
    for (const own of [{ clusterId: 'c-2' }, { mountPath: 'other' }]) {
      const attempt = () =>
        checkSignedAnswer({ ...trust, ...own }, asked, { ...data, signature }, now)
      assert.throws(attempt, /another answer/)
    }
  })

  test('protocols 5.5: the order of the fields counts, and where one ends', async () => {
    await assert.rejects(check({ username: 'web', roleName: 'alice' }), /another answer/)
    await assert.rejects(check({ username: 'alice1', ip: '0.0.0.5' }), /another answer/)
  })

  test('protocols 5.5: is refused when signed by another key, or for another purpose', async () => {
    await assert.rejects(check({}, {}, { key: stranger }), /another key than the server's/)
    for (const namespace of ['host@postern', 'bundle@postern', 'krl@postern', 'file']) {
      await assert.rejects(check({}, {}, { namespace }), /another answer/)
    }
  })

  test('protocols 5.5: is refused without a signature, or with one that can not be read', () => {
    const { hostId: _, ...rest } = trust
    const attempt = (more: Record<string, string | number | null>) => () =>
      checkSignedAnswer({ ...rest, hostId: 'web-1' }, asked, { ...data, ...more }, now)
    assert.throws(attempt({}), /is not signed/)
    assert.throws(attempt({ signature: 1 }), /is not signed/)
    assert.throws(attempt({ signature: '' }), /no armored SSH signature/)
    assert.throws(attempt({ signature: 'x', time: null }), /says no time/)
    assert.throws(attempt({ signature: 'x', time: 1.5 }), /says no time/)
    assert.throws(attempt({ signature: 'x', time: String(now / 1000) }), /says no time/)
  })

  test("protocols 5.5: is good for 120 s on either side of the host's clock", async () => {
    for (const at of [now - 120_000, now + 120_000]) await check({}, {}, { at })
    for (const at of [now - 121_000, now + 121_000]) {
      await assert.rejects(check({}, {}, { at }), /too far from this host's clock/)
    }
  })
})
