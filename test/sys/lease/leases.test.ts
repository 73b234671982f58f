import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { leaseCreation } from '../../../src/lease/lease.ts'
import {
  keysIn,
  mountSsh,
  refusalOf,
  type SendOptions,
  startTestCore,
  type TestCore,
  tokenOf,
  tokenWith,
} from '../../support/core.ts'

const EMPTY = { kind: 'empty', status: 204 }
let server: TestCore

before(async () => {
  server = await startTestCore()
  await mountSsh(server)
  await server.send('update', 'sys/mounts/other', { type: 'ssh' })
  const role = { key_type: 'otp', default_user: 'ubuntu', cidr_list: '10.0.0.0/8', ttl: '2h' }
  await server.send('update', 'other/roles/web2', role)
})
after(() => server.close())

interface Creds {
  readonly lease: string
  readonly otp: string
}

async function creds(path = 'ssh/creds/web', options: SendOptions = {}): Promise<Creds> {
  const answer = await server.call('update', path, { ip: '10.0.0.1' }, options)
  return { lease: answer.lease_id, otp: answer.data?.['key'] as string }
}

const isGood = async ({ lease, otp }: Creds) => {
  const path = `${lease.split('/')[0]}/verify`
  const answer = server.send('update', path, { otp }, { token: '' })
  return answer.then(
    () => true,
    () => false,
  )
}
const leasesLeft = () => keysIn(server.raw, 'lease/ssh/', 'lease/other/', 'held/', 'data/')

describe('lookup', () => {
  test('shows times and path of a lease', async () => {
    const { lease } = await creds()
    server.advance(1500)
    const { data } = await server.call('update', 'sys/leases/lookup', { lease_id: lease })
    assert.equal(data?.['id'], lease)
    assert.equal(data?.['path'], 'ssh/creds/web')
    assert.equal(data?.['ttl'], 598)
    assert.equal(data?.['renewable'], false)
    assert.equal(data?.['last_renewal'], null)
    const issued = Date.parse(data?.['issue_time'] as string)
    assert.equal(Date.parse(data?.['expire_time'] as string) - issued, 600_000)
  })

  test('refuses unknown and absent ids', async () => {
    const lookUp = (data: object) => refusalOf(server.send('update', 'sys/leases/lookup', data))
    assert.deepEqual(await lookUp({ lease_id: 'x' }), { status: 400, message: 'invalid lease' })
    const missing = { status: 400, message: 'lease_id must be specified' }
    assert.deepEqual(await lookUp({}), missing)
  })

  test('lists one level, with and without a final slash; nothing there is a 404', async () => {
    const { lease } = await creds()
    const list = async (path: string) => (await server.call('list', path)).data?.['keys']
    assert.ok(((await list('sys/leases/lookup/')) as string[]).includes('ssh/'))
    assert.deepEqual(await list('sys/leases/lookup/ssh/'), ['creds/'])
    assert.deepEqual(await list('sys/leases/lookup/ssh/creds'), ['web/'])
    const ids = (await list('sys/leases/lookup/ssh/creds/web/')) as string[]
    assert.ok(ids.includes(lease.split('/').at(-1) as string))
    const empty = await refusalOf(server.send('list', 'sys/leases/lookup/nosuch/'))
    assert.deepEqual(empty, { status: 404, message: undefined })
  })

  test('leases of tokens stand under what made them, as h and 64 hex digits', async () => {
    await tokenOf(server, { ttl: '1h', policies: ['default'] })
    const path = 'sys/leases/lookup/auth/token/create/'
    const keys = (await server.call('list', path)).data?.['keys'] as string[]
    assert.ok(keys.every((key) => /^h[0-9a-f]{64}$/.test(key)))
  })
})

describe('renew', () => {
  test('is refused for one-time passwords, tokens and what is not there', async () => {
    const { lease } = await creds()
    const paths = ['sys/leases/renew', 'sys/renew']
    for (const path of paths) {
      const renew = (data: object, id = '') => refusalOf(server.send('update', path + id, data))
      const fixed = { status: 400, message: 'lease is not renewable' }
      assert.deepEqual(await renew({ lease_id: lease }), fixed)
      assert.deepEqual(await renew({}, `/${lease}`), fixed)
      const unknown = { status: 400, message: 'lease not found' }
      assert.deepEqual(await renew({ lease_id: 'x' }), unknown)
      const missing = { status: 400, message: 'lease_id must be specified' }
      assert.deepEqual(await renew({}), missing)
    }
  })
})

describe('renew of a renewable lease', () => {
  const POLICY = 'path "sys/leases/renew" { capabilities = ["update"] }'
  const WITH_SUDO = POLICY.replace('"update"', '"update", "sudo"')
  const MINUTE = 60_000
  let serial = 0

  /** As an engine with renewable leases stores it: for ten minutes, at most an hour. */
  async function leaseOf(token: string): Promise<string> {
    const { data } = await server.call('update', 'auth/token/lookup', { token })
    const now = Date.parse(data?.['issue_time'] as string)
    const { barrier } = server.core.seal
    const id = `ssh/creds/web/renewable-${serial++}`
    const record = {
      kind: 'secret',
      tokenId: barrier.hmac(token),
      mountUuid: '',
      issuedAt: now,
      expiresAt: now + 10 * MINUTE,
      maxExpiresAt: now + 60 * MINUTE,
      renewable: true,
    } as const
    const { writes, condition } = leaseCreation(id, record)
    assert.equal((await barrier.commit(writes, [condition])).committed, true)
    return id
  }

  const renew = (token: string, lease: string, data: object = {}) =>
    server.call('update', 'sys/leases/renew', { lease_id: lease, ...data }, { token })

  test('gives the first period again, however often it is renewed, up to the longest life', async () => {
    const token = await tokenWith(server, POLICY)
    const lease = await leaseOf(token)
    const seen: number[] = []
    for (let minutes = 5; minutes <= 55; minutes += 5) {
      server.advance(5 * MINUTE)
      const { lease_id, lease_duration, renewable } = await renew(token, lease)
      assert.deepEqual([lease_id, renewable], [lease, true])
      seen.push(lease_duration)
    }
    assert.deepEqual(seen, [...Array(10).fill(600), 300])
  })

  test('gives the increment that is asked for, and the first period again after it', async () => {
    const token = await tokenWith(server, POLICY)
    const lease = await leaseOf(token)
    assert.equal((await renew(token, lease, { increment: 1200 })).lease_duration, 1200)
    assert.equal((await renew(token, lease, { increment: '60s' })).lease_duration, 60)
    assert.equal((await renew(token, lease)).lease_duration, 600)
    assert.equal((await renew(token, lease, { increment: '9h' })).lease_duration, 3600)
  })

  test('is for the token that it was issued to, or with sudo (CVE-2026-39388)', async () => {
    const owner = await tokenWith(server, POLICY)
    const lease = await leaseOf(owner)
    for (const path of ['sys/leases/renew', `sys/leases/renew/${lease}`, 'sys/renew']) {
      const stranger = await tokenWith(
        server,
        `${POLICY} path "${path}" { capabilities = ["update"] }`,
      )
      const before = await server.raw.get([`lease/${lease}`])
      const data = { lease_id: lease, increment: '30m' }
      const refused = await refusalOf(server.send('update', path, data, { token: stranger }))
      assert.deepEqual(refused, {
        status: 403,
        message: 'a lease is renewed by the token that it was issued to, or with sudo',
      })
      assert.deepEqual(await server.raw.get([`lease/${lease}`]), before)
    }
    for (const token of [owner, await tokenWith(server, WITH_SUDO), server.rootToken]) {
      assert.equal((await renew(token, lease)).lease_duration, 600)
    }
  })
})

describe('revoke', () => {
  test('ends lease and password, by body and by path, on the new path and the old', async () => {
    for (const path of ['sys/leases/revoke', 'sys/revoke']) {
      for (const inPath of [true, false]) {
        const one = await creds()
        const request = inPath
          ? server.send('update', `${path}/${one.lease}`)
          : server.send('update', path, { lease_id: one.lease })
        assert.deepEqual(await request, EMPTY)
        assert.equal(await isGood(one), false)
        const lookUp = server.send('update', 'sys/leases/lookup', { lease_id: one.lease })
        assert.equal((await refusalOf(lookUp)).message, 'invalid lease')
      }
    }
  })

  test('with sync false answers 202 at once', async () => {
    const one = await creds()
    const answer = await server.send('update', `sys/leases/revoke/${one.lease}`, { sync: false })
    assert.deepEqual(answer, { kind: 'empty', status: 202 })
    await server.core.stop()
    assert.equal(await isGood(one), false)
  })

  test('of an unknown id is a success', async () => {
    assert.deepEqual(await server.send('update', 'sys/leases/revoke/ssh/x'), EMPTY)
    const missing = { status: 400, message: 'lease_id must be specified' }
    assert.deepEqual(await refusalOf(server.send('update', 'sys/leases/revoke')), missing)
  })

  test('of a token’s lease ends the token', async () => {
    const token = await tokenOf(server, { ttl: '1h', policies: ['default'] })
    const path = 'sys/leases/lookup/auth/token/create/'
    const keys = (await server.call('list', path)).data?.['keys'] as string[]
    for (const key of keys)
      await server.send('update', `sys/leases/revoke/auth/token/create/${key}`)
    const look = server.send('read', 'auth/token/lookup-self', {}, { token })
    assert.equal((await refusalOf(look)).status, 403)
  })

  test('by prefix ends what lies below it, and no neighbour whose name begins so', async () => {
    const rows: [string, string, (lease: string) => boolean][] = [
      ['sys/leases/revoke-prefix/', 'ssh/creds/web', (id) => id.startsWith('ssh/')],
      ['sys/leases/revoke-force/', 'ssh', (id) => id.startsWith('ssh/')],
      ['sys/revoke-prefix/', 'other/creds/web', () => false],
      ['sys/revoke-force/', 'other/', (id) => id.startsWith('other/')],
      ['sys/leases/revoke-prefix/', 's', () => false],
      ['sys/leases/revoke-prefix/', 'nosuch', () => false],
    ]
    for (const [path, prefix, isEnded] of rows) {
      const both = [await creds(), await creds('other/creds/web2')]
      assert.deepEqual(await server.send('update', path + prefix), EMPTY)
      for (const one of both) assert.equal(await isGood(one), !isEnded(one.lease), path + prefix)
    }
    assert.deepEqual(await leasesLeft(), [])
  })

  test('by prefix with sync false answers 202', async () => {
    const one = await creds()
    const path = 'sys/leases/revoke-prefix/ssh'
    const answer = await server.send('update', path, { sync: false })
    assert.deepEqual(answer, { kind: 'empty', status: 202 })
    await server.core.stop()
    assert.equal(await isGood(one), false)
  })
})

describe('count, tidy and irrevocable leases', () => {
  test('counts all, and by mount', async () => {
    await creds()
    await creds()
    await creds('other/creds/web2')
    const { data } = await server.call('read', 'sys/leases/count')
    const counts = data?.['counts'] as Record<string, number>
    assert.equal(counts['ssh/'], 2)
    assert.equal(counts['other/'], 1)
    const total = Object.values(counts).reduce((sum, count) => sum + count, 0)
    assert.equal(data?.['lease_count'], total)
    const none = await server.call('read', 'sys/leases/count', { type: 'irrevocable' })
    assert.deepEqual(none.data, { counts: {}, lease_count: 0 })
  })

  test('tidy is a 202 with a warning', async () => {
    const answer = await server.send('update', 'sys/leases/tidy')
    assert.equal(answer.status, 202)
    assert.equal(answer.kind === 'envelope' && answer.envelope.warnings?.length, 1)
  })
})

describe('ends', () => {
  test('a password is refused from the millisecond of its end, swept or not', async () => {
    const one = await creds()
    server.advance(599_999)
    const other = await creds('other/creds/web2')
    server.advance(1)
    assert.equal(await isGood(one), false)
    assert.equal(await isGood(other), true)
  })

  test('a spent password leaves no lease', async () => {
    await server.send('update', 'sys/leases/revoke-prefix/ssh')
    await server.send('update', 'sys/leases/revoke-prefix/other')
    const one = await creds()
    assert.equal(await isGood(one), true)
    assert.deepEqual(await leasesLeft(), [])
  })

  test('a lease dies with its token', async () => {
    const policy = 'path "ssh/creds/web" { capabilities = ["update"] }'
    const token = await tokenWith(server, policy, { ttl: '1m' })
    const one = await creds('ssh/creds/web', { token })
    server.advance(60_000)
    await server.core.endDueLeases()
    assert.equal(await isGood(one), false)
    assert.deepEqual(await leasesLeft(), [])
  })
})
