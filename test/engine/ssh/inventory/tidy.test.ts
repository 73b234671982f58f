import assert from 'node:assert/strict'
import { test } from 'node:test'
import { issuedKeys, keysIn, refusalOf, type TestCore } from '../../../support/core.ts'
import { krlOf, revokedOf, signed, signer, startCa } from './support.ts'

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE

async function inventory({ raw }: TestCore): Promise<string[]> {
  const keys = await keysIn(raw, 'data/')
  return keys
    .map((key) => key.split('/').slice(2).join('/'))
    .filter((key) => !/^krl\/(head|ca)/.test(key))
}

test('a revoked serial leaves the list an hour after its certificate has ended, with a new version', async (t) => {
  const core = await startCa(t)
  const serial = await signed(core)
  await core.send('update', 'ssh/revoke', { serial_number: serial })
  const { version } = await krlOf(core)
  core.advance(89 * MINUTE)
  await core.core.keepHouse()
  assert.deepEqual(await revokedOf(core, [serial]), [serial])
  assert.equal((await krlOf(core)).version, version)
  core.advance(2 * MINUTE)
  await core.core.keepHouse()
  assert.deepEqual(await revokedOf(core, [serial]), [])
  assert.ok((await krlOf(core)).version > version)
  const { data } = await core.call('read', `ssh/cert/${serial}`)
  assert.equal(data?.['revoked'], true, 'the record still tells')
})

test('records stay for keep_for after the end, then nothing is left of them', async (t) => {
  const core = await startCa(t)
  await core.send('update', 'ssh/config/certificates', { keep_for: '24h' })
  const token = await signer(core)
  const serial = await signed(core, { token })
  await core.send('update', 'ssh/revoke', { serial_number: serial })
  core.advance(DAY)
  assert.deepEqual((await core.call('update', 'ssh/tidy/certificates')).data, {
    removed_records: 0,
    removed_serials: 1,
  })
  assert.equal((await core.call('read', `ssh/cert/${serial}`)).data?.['serial_number'], serial)
  core.advance(31 * MINUTE)
  assert.deepEqual((await core.call('update', 'ssh/tidy/certificates')).data, {
    removed_records: 1,
    removed_serials: 0,
  })
  assert.deepEqual(await inventory(core), [])
  assert.equal((await refusalOf(core.send('read', `ssh/cert/${serial}`))).status, 404)
})

test('what has not ended stays, whatever lies around it', async (t) => {
  const core = await startCa(t)
  await core.send('update', 'ssh/config/certificates', { keep_for: '0s' })
  const role = { key_type: 'ca', allow_user_certificates: true, allowed_users: 'ubuntu' }
  await core.send('update', 'ssh/roles/long', { ...role, default_user: 'ubuntu', ttl: '48h' })
  const serials: string[] = []
  for (let at = 0; at < 6; at++) {
    serials.push(await signed(core, {}, at % 2 === 0 ? 'sign' : 'long'))
    core.advance(1000)
  }
  const lasting = serials.filter((_, at) => at % 2 === 1)
  for (const serial_number of serials) await core.send('update', 'ssh/revoke', { serial_number })
  core.advance(2 * 60 * MINUTE)
  await core.core.keepHouse()
  const { data } = await core.call('list', 'ssh/certs')
  assert.deepEqual(data?.['keys'], lasting)
  assert.deepEqual(await revokedOf(core, serials), lasting)
})

test('tidying what is tidy writes nothing', async (t) => {
  const core = await startCa(t)
  await core.send('update', 'ssh/revoke', { serial_number: await signed(core) })
  const { version } = await krlOf(core)
  core.advance(10 * MINUTE)
  await core.core.keepHouse()
  assert.equal((await krlOf(core)).version, version)
})

test('config/certificates changes what a write names', async (t) => {
  const core = await startCa(t)
  const read = async () => (await core.call('read', 'ssh/config/certificates')).data
  assert.deepEqual(await read(), { keep_for: 30 * 86_400, revoke_with_token: false })
  await core.send('update', 'ssh/config/certificates', { revoke_with_token: true })
  await core.send('update', 'ssh/config/certificates', { keep_for: '1h' })
  assert.deepEqual(await read(), { keep_for: 3600, revoke_with_token: true })
})

test('nothing of all this is anything that somebody was issued', async (t) => {
  const core = await startCa(t)
  const before = await issuedKeys(core)
  await core.send('update', 'ssh/revoke', { serial_number: await signed(core) })
  assert.deepEqual(await issuedKeys(core), before)
})
