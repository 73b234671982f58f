import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { recordCertificate } from '../../../../src/engine/ssh/inventory/inventory.ts'
import { firstSerial } from '../../../../src/engine/ssh/inventory/serial.ts'
import type { Call } from '../../../../src/mount/call.ts'
import { parseAuthorizedKey } from '../../../../src/ssh/key/authorized-keys.ts'
import { openSqliteStore } from '../../../../src/storage/sqlite/sqlite.ts'
import { StoreView } from '../../../../src/storage/view.ts'
import { refusalOf, startTestCore, type TestCore } from '../../../support/core.ts'
import { PUBLIC_KEY, signed, signer } from './support.ts'

const START = Date.UTC(2026, 10, 22, 12)
let core: TestCore
const serials: string[] = []

/** Nine certificates, a minute apart: three of alice, bob and carol in turn. */
before(async () => {
  core = await startTestCore({ raw: await openSqliteStore({ path: ':memory:' }) })
  await core.send('update', 'sys/mounts/ssh', { type: 'ssh' })
  await core.send('update', 'ssh/config/ca', { generate_signing_key: true, key_type: 'ed25519' })
  const role = { key_type: 'ca', allow_user_certificates: true, allowed_users: '*', ttl: '30m' }
  await core.send('update', 'ssh/roles/sign', { ...role, default_user: 'ubuntu' })
  await core.send('update', 'ssh/roles/root', { ...role, default_user: 'root' })
  const tokens = await Promise.all(
    ['alice', 'bob', 'carol'].map((name) => signer(core, { display_name: name })),
  )
  for (let at = 0; at < 9; at++) {
    const token = tokens[at % 3] as string
    serials.push(await signed(core, { token }, at < 6 ? 'sign' : 'root'))
    core.advance(60_000)
  }
})

async function search(query: object): Promise<{ keys: string[]; next: string | undefined }> {
  const { data } = await core.call('list', 'ssh/certs', query)
  assert.deepEqual(
    Object.keys(data?.['key_info'] ?? {}).sort(),
    ((data?.['keys'] ?? []) as string[]).toSorted(),
  )
  return { keys: data?.['keys'] as string[], next: data?.['next'] as string | undefined }
}

const at = (...places: number[]) => places.map((place) => serials[place] as string)

const searches: [string, object, readonly number[]][] = [
  ['without anything: in the order of signing', {}, [0, 1, 2, 3, 4, 5, 6, 7, 8]],
  ['by display name', { display_name: 'token-bob' }, [1, 4, 7]],
  ['by role', { role: 'root' }, [6, 7, 8]],
  ['by principal', { principal: 'root' }, [6, 7, 8]],
  ['by key', { public_key: PUBLIC_KEY }, [0, 1, 2, 3, 4, 5, 6, 7, 8]],
  ['by two of these', { principal: 'ubuntu', display_name: 'token-carol' }, [2, 5]],
  ['by issuer', { issuer_ref: 'default', role: 'root' }, [6, 7, 8]],
  ['since a time', { since: START / 1000 + 360 }, [6, 7, 8]],
  ['until a time', { until: START / 1000 + 60 }, [0]],
  ['between times', { since: START / 1000 + 60, until: START / 1000 + 180 }, [1, 2]],
  ['since a time as text', { since: '2026-11-22T12:07:00Z' }, [7, 8]],
]
for (const [name, query, places] of searches) {
  test(`certs are found ${name}`, async () => {
    assert.deepEqual(await search(query), { keys: at(...places), next: undefined })
  })
}

test('certs are shown in pages that hold each of them once', async () => {
  const seen: string[] = []
  for (let after = ''; ; ) {
    const { keys, next } = await search({ limit: 2, after, display_name: 'token-alice' })
    seen.push(...keys)
    if (next === undefined) break
    after = next
  }
  assert.deepEqual(seen, at(0, 3, 6))
})

test('nothing found is a 404, a bad cursor a 400', async () => {
  for (const query of [{ role: 'none' }, { since: START }, { host: 'web-1' }, { host: '../x' }]) {
    assert.equal((await refusalOf(core.send('list', 'ssh/certs', query))).status, 404)
  }
  for (const query of [{ after: 'zz' }, { public_key: 'zz' }, { since: 'yesterday' }]) {
    assert.equal((await refusalOf(core.send('list', 'ssh/certs', query))).status, 400)
  }
})

test('a search reads a bounded number of records, and says where to go on', async (t) => {
  const large = await startTestCore()
  t.after(() => large.close())
  await large.send('update', 'sys/mounts/ssh', { type: 'ssh' })
  const { data } = await large.call('read', 'sys/mounts/ssh')
  const store = new StoreView(large.core.seal.barrier, `data/${data?.['uuid']}/`)
  const subject = parseAuthorizedKey(PUBLIC_KEY)
  const COUNT = 6000
  const writes = Array.from({ length: COUNT }, (_, place) => {
    const call = { store, caller: undefined, requestId: 'r', remoteAddress: '' } as unknown as Call
    const [serial, role] = [firstSerial(START + place), place === COUNT - 1 ? 'last' : 'other']
    const times = { validAfter: 0n, validBefore: 1n }
    const about = { issuerId: 'i', keyId: 'k', type: 'user', principals: [] } as const
    return recordCertificate(call, { ...about, ...times, serial, role, subject }).writes ?? []
  })
  await store.commit(writes.flat(), [])
  const first = await large.call('list', 'ssh/certs', { role: 'last' })
  assert.deepEqual(first.data?.['keys'], [])
  const after = first.data?.['next']
  const second = await large.call('list', 'ssh/certs', { role: 'last', after })
  assert.equal(Object.keys(second.data?.['key_info'] ?? {}).length, 1)
  assert.equal(second.data?.['next'], undefined)
})
