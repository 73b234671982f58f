import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GENERATION_KEY, RESTORED_KEY } from '../../../src/storage/path.ts'
import {
  issuedKeys,
  keysIn,
  mountSsh,
  refusalOf,
  startTestCore,
  type TestCore,
  tokenOf,
} from '../../support/core.ts'

async function start(t: { after(work: () => Promise<void>): void }): Promise<TestCore> {
  const server = await startTestCore()
  t.after(() => server.close())
  await mountSsh(server)
  return server
}

/** Seals, writes the mark that a restore leaves, and unseals. */
async function restore(server: TestCore, keepTokens: boolean, kept?: string): Promise<void> {
  const { core, raw, unsealKey } = server
  await core.seal.seal()
  const mark = Buffer.from(JSON.stringify({ keep_tokens: keepTokens, keep_accessor: kept }))
  await raw.commit([{ key: RESTORED_KEY, value: mark }], [])
  await core.seal.unseal({ key: unsealKey })
}

test('protocols 1.10: a restored store has no tokens, passwords and wrapped answers, but its roles', async (t) => {
  const server = await start(t)
  const token = await tokenOf(server, {})
  await tokenOf(server, { policies: ['default'] }, { token })
  const creds = await server.call('update', 'ssh/creds/web', { ip: '10.0.0.1' })
  const wrap = await server.call('read', 'sys/mounts', {}, { wrapTtlSeconds: 60 })
  const [generation] = await server.raw.get([GENERATION_KEY])
  await restore(server, false)
  assert.deepEqual(await issuedKeys(server), [])
  assert.deepEqual(await keysIn(server.raw, RESTORED_KEY), [])
  const [after] = await server.raw.get([GENERATION_KEY])
  assert.notDeepEqual(after?.value, generation?.value)
  for (const text of [token, server.rootToken]) {
    const look = server.send('read', 'auth/token/lookup-self', {}, { token: text })
    assert.equal((await refusalOf(look)).status, 403)
  }
  const noToken = { token: '' }
  const verify = server.send('update', 'ssh/verify', { otp: creds.data?.['key'] }, noToken)
  assert.equal((await refusalOf(verify)).status, 400)
  const unwrap = server.send(
    'update',
    'sys/wrapping/unwrap',
    { token: wrap.wrap_info?.token },
    noToken,
  )
  assert.equal((await refusalOf(unwrap)).status, 400)
  assert.ok((await keysIn(server.raw, 'cfg/mount/')).length > 0)
})

test('protocols 1.10: a restore that keeps tokens still ends passwords and wrapped answers', async (t) => {
  const server = await start(t)
  const token = await tokenOf(server, { policies: ['default'] })
  await server.send('update', 'ssh/creds/web', { ip: '10.0.0.1' })
  await server.call('read', 'sys/mounts', {}, { wrapTtlSeconds: 60 })
  await restore(server, true)
  assert.equal((await server.send('read', 'auth/token/lookup-self', {}, { token })).status, 200)
  assert.deepEqual(await keysIn(server.raw, 'wrap/', 'held/', RESTORED_KEY), [])
  const left = (await issuedKeys(server)).filter((key) => key.startsWith('data/'))
  assert.deepEqual(left, [])
  const { data } = await server.call('read', 'ssh/roles/web')
  assert.equal(data?.['default_user'], 'ubuntu')
})

test('protocols 1.10: join tokens end with a restore: the backup knows nothing of the uses since', async (t) => {
  const server = await start(t)
  await server.call('update', 'ssh/config/hosts', { host_scope: true })
  const made = await server.call('update', 'ssh/join-tokens', { name_pattern: 'web-*', uses: 9 })
  const isJoin = (key: string) => /^data\/[^/]+\/join-/.test(key)
  assert.equal((await keysIn(server.raw, 'data/')).filter(isJoin).length, 2)
  await restore(server, true)
  assert.deepEqual((await keysIn(server.raw, 'data/')).filter(isJoin), [])
  const read = server.send('read', `ssh/join-tokens/${made.data?.['id']}`)
  assert.equal((await refusalOf(read)).status, 404)
})

test('protocols 1.10: the one token that is named outlives a restore, and its parent', async (t) => {
  const server = await start(t)
  const parent = await tokenOf(server, {})
  const kept = await tokenOf(server, {}, { token: parent })
  const other = await tokenOf(server, { policies: ['default'] }, { token: kept })
  const look = (token: string) => server.call('read', 'auth/token/lookup-self', {}, { token })
  const before = await look(kept)
  await restore(server, false, String(before.data?.['accessor']))
  const after = await look(kept)
  assert.equal(after.data?.['orphan'], true)
  assert.deepEqual(after.data?.['policies'], ['root'])
  for (const gone of [parent, other, server.rootToken]) {
    assert.equal((await refusalOf(look(gone))).status, 403)
  }
})
