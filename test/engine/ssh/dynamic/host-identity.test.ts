/** Whether a host is the one it should be: host_keys, pins, first contact (Decision 12, protocols 4.6). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type HostKeyPolicy,
  hostIdentity,
} from '../../../../src/engine/ssh/dynamic/host-identity.ts'
import { PosternError } from '../../../../src/errors.ts'
import { fingerprint } from '../../../../src/ssh/key/fingerprint.ts'
import { parseKnownHosts } from '../../../../src/ssh/key/known-hosts.ts'
import { openSqliteStore } from '../../../../src/storage/sqlite/sqlite.ts'
import { StoreView } from '../../../../src/storage/view.ts'
import { vector, vectorPublicKey } from '../../../ssh/support.ts'

const [ED25519, RSA, P256] = ['ed25519', 'rsa', 'p256'].map((name) => vectorPublicKey(name).blob)
const line = (name: string) => vector(`${name}.pub`).split(' ').slice(0, 2).join(' ')

async function world() {
  const store = await openSqliteStore({ path: ':memory:' })
  const view = new StoreView(store, 'data/m/')
  const identity = (hostKeys: string, policy: HostKeyPolicy, port = 22) =>
    hostIdentity(view, {
      address: '10.0.0.1',
      port,
      knownHosts: parseKnownHosts(hostKeys),
      policy,
      clock: { now: () => 0 },
    })
  return { store, identity }
}

const refusal = (message: RegExp) => (error: unknown) =>
  error instanceof PosternError && error.code === 'refused' && message.test(error.message)

test('host_keys decide where they know the host, with the types to ask for', async () => {
  const { store, identity } = await world()
  const lines = `10.0.0.1 ${line('ed25519')}\n10.0.0.1 ${line('rsa')}\n10.0.0.2 ${line('p256')}`
  const host = await identity(lines, 'strict')
  assert.deepEqual(host.hostKeyAlgorithms, ['ssh-ed25519', 'ssh-rsa'])
  await host.checkHostKey(ED25519 as Buffer)
  await host.checkHostKey(RSA as Buffer)
  const both = new RegExp(
    `10\\.0\\.0\\.1 has changed: it is ${shownAs(P256)}, and not ${shownAs(ED25519)} or ${shownAs(RSA)} as host_keys says`,
  )
  await assert.rejects(host.checkHostKey(P256 as Buffer), refusal(both))
  assert.equal(host.pinned, undefined)
  await store.close()
})

const shownAs = (blob: Uint8Array | undefined) =>
  fingerprint(blob as Uint8Array).replace(/[+/]/g, '\\$&')

test('a revoked key is refused even at first contact', async () => {
  const { store, identity } = await world()
  const host = await identity(`@revoked * ${line('ed25519')}`, 'tofu')
  await assert.rejects(host.checkHostKey(ED25519 as Buffer), refusal(/is revoked in host_keys/))
  await store.close()
})

test('strict refuses a host that nothing knows, before any contact', async () => {
  const { store, identity } = await world()
  const lines = `10.0.0.2 ${line('ed25519')}`
  await assert.rejects(identity(lines, 'strict'), refusal(/no host key of 10\.0\.0\.1 is known/))
  await store.close()
})

test('tofu pins the first key by address and port, and refuses another ever after', async () => {
  const { store, identity } = await world()
  const first = await identity('', 'tofu')
  assert.deepEqual(first.hostKeyAlgorithms, [])
  await first.checkHostKey(ED25519 as Buffer)
  assert.equal(first.pinned, fingerprint(ED25519 as Buffer))
  const second = await identity('', 'tofu')
  assert.deepEqual(second.hostKeyAlgorithms, ['ssh-ed25519'])
  await second.checkHostKey(ED25519 as Buffer)
  assert.equal(second.pinned, undefined)
  await assert.rejects(
    second.checkHostKey(RSA as Buffer),
    refusal(new RegExp(`it is ${shownAs(RSA)}, and not ${shownAs(ED25519)} as host-pins says`)),
  )
  const elsewhere = await identity('', 'tofu', 2222)
  await elsewhere.checkHostKey(RSA as Buffer)
  const known = await identity('', 'strict', 2222)
  await known.checkHostKey(RSA as Buffer)
  await store.close()
})

test('protocols 4.6: of two first contacts with different keys one pins, the other is refused', async () => {
  const { store, identity } = await world()
  const hosts = await Promise.all([identity('', 'tofu'), identity('', 'tofu')])
  const results = await Promise.allSettled([
    hosts[0].checkHostKey(ED25519 as Buffer),
    hosts[1].checkHostKey(RSA as Buffer),
  ])
  assert.deepEqual(results.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
  await store.close()
})
