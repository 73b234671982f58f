import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import {
  issuedKeys,
  mountSsh,
  refusalOf,
  startTestCore,
  type TestCore,
  tokenOf,
  tokenWith,
} from '../support/core.ts'

const DENIED = { status: 403, message: 'permission denied' }
let server: TestCore

before(async () => {
  server = await startTestCore()
  await mountSsh(server)
  const policy = 'path "*" { capabilities = ["create", "read", "update", "delete", "list"] }'
  await server.send('update', 'sys/policies/acl/all', { policy })
})
after(() => server.close())

/** How many of these go through. */
async function countSuccesses(sends: readonly Promise<unknown>[]): Promise<number> {
  const results = await Promise.allSettled(sends)
  return results.filter(({ status }) => status === 'fulfilled').length
}

const sixtyFour = <T>(work: () => Promise<T>) => Array.from({ length: 64 }, work)

describe('protocols 3.5', () => {
  test('of 64 parallel unwraps one gets the answer', async () => {
    const before = await issuedKeys(server)
    const { wrap_info } = await server.call('read', 'sys/mounts', {}, { wrapTtlSeconds: 60 })
    const token = wrap_info?.token as string
    let next = 0
    const unwraps = sixtyFour(() => {
      const remoteAddress = `10.1.0.${next++}`
      return server.send('update', 'sys/wrapping/unwrap', {}, { token, remoteAddress })
    })
    assert.equal(await countSuccesses(unwraps), 1)
    assert.deepEqual(await issuedKeys(server), before)
  })

  test('of 64 parallel rewraps one gets a new token', async () => {
    const { wrap_info } = await server.call('read', 'sys/mounts', {}, { wrapTtlSeconds: 60 })
    const token = wrap_info?.token as string
    let next = 0
    const rewraps = sixtyFour(() => {
      const remoteAddress = `10.2.0.${next++}`
      return server.send('update', 'sys/wrapping/rewrap', {}, { token, remoteAddress })
    })
    assert.equal(await countSuccesses(rewraps), 1)
  })

  test('of 64 parallel verifies of one password one succeeds', async () => {
    const { data } = await server.call('update', 'ssh/creds/web', { ip: '10.0.0.1' })
    let next = 0
    const verifies = sixtyFour(() => {
      const options = { token: '', remoteAddress: `10.3.0.${next++}` }
      return server.send('update', 'ssh/verify', { otp: data?.['key'] }, options)
    })
    assert.equal(await countSuccesses(verifies), 1)
  })

  test('of 64 parallel uses of a token for three, three succeed', async () => {
    const before = await issuedKeys(server)
    const token = await tokenOf(server, { policies: ['all'], num_uses: 3 })
    const uses = sixtyFour(() => server.send('read', 'auth/token/lookup-self', {}, { token }))
    assert.equal(await countSuccesses(uses), 3)
    assert.deepEqual(await issuedKeys(server), before)
  })

  test('a use counts when the request is denied, unknown or malformed', async () => {
    const token = await tokenWith(server, 'path "sys/*" { capabilities = ["update"] }', {
      num_uses: 4,
    })
    const as = { token }
    assert.equal((await refusalOf(server.send('read', 'sys/mounts', {}, as))).status, 403)
    assert.equal((await refusalOf(server.send('update', 'sys/nosuch', {}, as))).status, 404)
    const malformed = server.send('update', 'sys/tools/random', { bytes: 'x' }, as)
    assert.equal((await refusalOf(malformed)).status, 400)
    await server.send('update', 'sys/tools/random', {}, as)
    assert.deepEqual(await refusalOf(server.send('update', 'sys/tools/random', {}, as)), DENIED)
  })

  test('paths without a token use none up', async () => {
    const token = await tokenOf(server, { policies: ['all'], num_uses: 1 })
    await refusalOf(server.send('update', 'ssh/verify', { otp: 'x' }, { token }))
    await server.send('read', 'sys/health', {}, { token })
    await server.send('read', 'auth/token/lookup-self', {}, { token })
    const again = server.send('read', 'auth/token/lookup-self', {}, { token })
    assert.deepEqual(await refusalOf(again), DENIED)
  })

  test('creds on the last use are refused, and nothing is left', async () => {
    const before = await issuedKeys(server)
    const token = await tokenOf(server, { policies: ['all'], num_uses: 1 })
    const creds = server.send('update', 'ssh/creds/web', { ip: '10.0.0.1' }, { token })
    assert.deepEqual(await refusalOf(creds), {
      status: 400,
      message:
        'Secret cannot be returned; token had one use left, so leased credentials were immediately revoked.',
    })
    assert.deepEqual(await issuedKeys(server), before)
  })

  test('creds on an earlier use end with the last one', async () => {
    const before = await issuedKeys(server)
    const token = await tokenOf(server, { policies: ['all'], num_uses: 2 })
    const body = { ip: '10.0.0.1' }
    const { data } = await server.call('update', 'ssh/creds/web', body, { token })
    assert.equal((await server.call('read', 'auth/token/lookup-self', {}, { token })).lease_id, '')
    assert.deepEqual(await issuedKeys(server), before)
    const verify = server.send('update', 'ssh/verify', { otp: data?.['key'] }, { token: '' })
    assert.equal((await refusalOf(verify)).status, 400)
  })

  test('a request that starts again takes one use only', async () => {
    const token = await tokenOf(server, { policies: ['all'], num_uses: 5 })
    const policy = (name: string, as?: string) => {
      const body = { policy: 'path "a" {}' }
      return server.send('update', `sys/policies/acl/${name}`, body, as ? { token: as } : {})
    }
    await Promise.all([policy('a', token), policy('b'), policy('c'), policy('d')])
    const { data } = await server.call('read', 'auth/token/lookup-self', {}, { token })
    assert.equal(data?.['num_uses'], 3)
  })
})
