import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  mountSsh,
  refusalOf,
  startSecondCore,
  startTestCore,
  type TestCore,
  tokenWith,
} from '../support/core.ts'

const ROLE = { key_type: 'otp', default_user: 'ubuntu', cidr_list: '10.0.0.0/8' }

async function startTwo(t: { after(work: () => Promise<void>): void }) {
  const one = await startTestCore()
  const two = await startSecondCore(one)
  t.after(async () => {
    await two.close()
    await one.close()
  })
  await mountSsh(one)
  return { one, two }
}

test('protocols 1.3: what one core acknowledged, the next request of another sees', async (t) => {
  const { one, two } = await startTwo(t)
  const userAt = async (core: TestCore) =>
    (await core.call('update', 'ssh/creds/web', { ip: '10.0.0.1' })).data?.['username']
  // Both in turn, so that each has cached what the other is about to change.
  for (let round = 0; round < 20; round++) {
    const [writer, reader] = round % 2 === 0 ? [one, two] : [two, one]
    assert.equal(typeof (await userAt(reader)), 'string')
    const user = `user${round}`
    await writer.send('update', 'ssh/roles/web', { ...ROLE, default_user: user })
    assert.equal(await userAt(reader), user)
    assert.equal(await userAt(writer), user)
  }
})

test('protocols 1.3: mounts, policies and roles that one core removes are gone for another', async (t) => {
  const { one, two } = await startTwo(t)
  const policy = 'path "ssh/*" { capabilities = ["read", "update"] }'
  const token = await tokenWith(one, policy)
  const creds = () => two.send('update', 'ssh/creds/web', { ip: '10.0.0.1' }, { token })
  assert.equal((await creds()).status, 200)

  await one.send('delete', 'ssh/roles/web')
  assert.equal((await refusalOf(creds())).status, 400)
  await one.send('update', 'ssh/roles/web', ROLE)
  assert.equal((await creds()).status, 200)

  const lookup = await two.call('update', 'auth/token/lookup', { token })
  const [name] = (lookup.data?.['policies'] ?? []) as string[]
  await one.send('update', `sys/policies/acl/${name}`, { policy: 'path "ssh/*" {}' })
  assert.equal((await refusalOf(creds())).status, 403)
  await one.send('update', `sys/policies/acl/${name}`, { policy })
  assert.equal((await creds()).status, 200)

  await one.send('delete', 'sys/mounts/ssh')
  assert.equal((await refusalOf(creds())).status, 404)
  assert.equal((await refusalOf(two.send('list', 'ssh/roles'))).status, 404)
})

test('protocols 1.3: a token that one core revoked is refused by another at once', async (t) => {
  const { one, two } = await startTwo(t)
  const token = await tokenWith(one, 'path "ssh/*" { capabilities = ["read"] }')
  const read = () => two.send('read', 'ssh/roles/web', {}, { token })
  assert.equal((await read()).status, 200)
  await one.send('update', 'auth/token/revoke', { token })
  assert.equal((await refusalOf(read())).status, 403)
})
