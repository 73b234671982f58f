import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Envelope } from '../../../src/core/request/response.ts'
import {
  issuedKeys,
  mountSsh,
  refusalOf,
  startTestCore,
  type TestCore,
  tokenOf,
} from '../../support/core.ts'

const HOUR = 3_600_000
const LIST = (text: string) => `1 error occurred:\n\t* ${text}\n\n`
const DENIED = { status: 403, message: 'permission denied' }
let server: TestCore

before(async () => {
  server = await startTestCore()
  await mountSsh(server)
  const policy = 'path "*" { capabilities = ["create", "read", "update", "delete", "list"] }'
  await server.send('update', 'sys/policies/acl/all', { policy })
})
after(() => server.close())

/** Ends all that earlier tests made. */
async function forgetOthers(): Promise<void> {
  for (const prefix of ['auth', 'sys']) {
    await server.send('update', `sys/leases/revoke-prefix/${prefix}`)
  }
}

const own = (data: object = {}) => tokenOf(server, { policies: ['all'], ...data })
const act = (name: string, data: object = {}, token?: string): Promise<Envelope> =>
  server.call('update', `auth/token/${name}`, data, token === undefined ? {} : { token })
const refuse = (name: string, data: object = {}, token?: string) =>
  refusalOf(server.send('update', `auth/token/${name}`, data, token === undefined ? {} : { token }))
const lookUp = async (token: string) =>
  (await server.call('read', 'auth/token/lookup-self', {}, { token })).data ?? {}
const accessorOf = async (token: string) => (await lookUp(token))['accessor'] as string

describe('lookup', () => {
  test('shows a token to itself and to others, whole', async () => {
    const token = await own({ ttl: '1h', meta: { team: 'a' }, explicit_max_ttl: '2h' })
    const shown = await lookUp(token)
    assert.deepEqual(shown, {
      accessor: shown['accessor'],
      creation_time: 1_795_348_800,
      creation_ttl: 3600,
      display_name: 'token',
      entity_id: '',
      expire_time: '2026-11-22T13:00:00.000Z',
      explicit_max_ttl: 7200,
      id: token,
      issue_time: '2026-11-22T12:00:00.000Z',
      meta: { team: 'a' },
      num_uses: 0,
      orphan: false,
      path: 'auth/token/create',
      policies: ['all', 'default'],
      renewable: true,
      ttl: 3600,
      type: 'service',
    })
    assert.deepEqual((await act('lookup', { token })).data, shown)
    assert.deepEqual((await act('lookup', {}, token)).data, shown)
    const byAccessor = await act('lookup-accessor', { accessor: shown['accessor'] })
    assert.deepEqual(byAccessor.data, { ...shown, id: '' })
  })

  test('of a root token has no end', async () => {
    const shown = await lookUp(await own({ policies: ['root'] }))
    assert.equal(shown['expire_time'], null)
    assert.equal(shown['ttl'], 0)
    assert.deepEqual(shown['policies'], ['root'])
  })

  test('of what is not there is refused in the words of this API', async () => {
    assert.deepEqual(await refuse('lookup', { token: 's.x' }), {
      status: 403,
      message: 'bad token',
    })
    const invalid = { status: 400, message: LIST('invalid accessor') }
    assert.deepEqual(await refuse('lookup-accessor', { accessor: 'x' }), invalid)
    const missing = { status: 400, message: LIST('missing accessor') }
    assert.deepEqual(await refuse('lookup-accessor'), missing)
  })

  test('counts the uses that are left', async () => {
    const token = await own({ num_uses: 3 })
    assert.equal((await lookUp(token))['num_uses'], 2)
    assert.equal((await act('lookup', { token })).data?.['num_uses'], 2)
  })

  test('a wrapping token is no token here', async () => {
    const { wrap_info } = await server.call('read', 'sys/mounts', {}, { wrapTtlSeconds: 60 })
    const refusal = await refuse('lookup', { token: wrap_info?.token })
    assert.deepEqual(refusal, { status: 403, message: 'bad token' })
    const asCaller = server.send('read', 'sys/mounts', {}, { token: wrap_info?.token as string })
    assert.deepEqual(await refusalOf(asCaller), DENIED)
  })

  test('accessors are listed for sudo, each once, and gone with their token', async () => {
    const token = await own()
    const accessor = await accessorOf(token)
    const list = async () => (await server.call('list', 'auth/token/accessors/')).data?.['keys']
    assert.ok(((await list()) as string[]).includes(accessor))
    await act('revoke-self', {}, token).catch(() => {})
    assert.equal(((await list()) as string[]).includes(accessor), false)
  })
})

describe('renew', () => {
  test('gives the first life again, or what is asked, from now', async () => {
    const token = await own({ ttl: '1h' })
    server.advance(HOUR / 2)
    assert.equal((await act('renew-self', {}, token)).auth?.lease_duration, 3600)
    assert.equal((await act('renew-self', { increment: '2h' }, token)).auth?.lease_duration, 7200)
    assert.equal((await act('renew-self', { increment: 60 }, token)).auth?.lease_duration, 60)
    const shown = await lookUp(token)
    assert.equal(shown['creation_ttl'], 3600)
    assert.equal(shown['ttl'], 60)
    assert.ok(shown['last_renewal'] && shown['last_renewal_time'])
    server.advance(60_000)
    assert.deepEqual(await refusalOf(lookUp(token)), DENIED)
  })

  test('never passes the longest life of the mount, counted from the start', async () => {
    const token = await own({ ttl: '700h' })
    server.advance(400 * HOUR)
    const { auth, warnings } = await act('renew-self', { increment: '700h' }, token)
    assert.equal(auth?.lease_duration, 368 * 3600)
    assert.deepEqual(warnings, [
      'TTL of "700h" exceeded the effective max_ttl of "368h"; TTL value is capped accordingly',
    ])
    server.advance(368 * HOUR)
    assert.deepEqual(await refusalOf(lookUp(token)), DENIED)
  })

  test('never passes the explicit maximum', async () => {
    const token = await own({ ttl: '1h', explicit_max_ttl: '90m' })
    server.advance(HOUR - 1000)
    assert.equal((await act('renew-self', {}, token)).auth?.lease_duration, 1801)
    server.advance(1_801_000)
    assert.deepEqual(await refusalOf(lookUp(token)), DENIED)
  })

  test('gives a periodic token its period, for ever', async () => {
    const token = await own({ period: '1000h' })
    for (let i = 0; i < 5; i++) {
      server.advance(999 * HOUR)
      const { auth } = await act('renew-self', { increment: '9h' }, token)
      assert.equal(auth?.lease_duration, 3_600_000)
    }
    assert.equal((await lookUp(token))['period'], 3_600_000)
  })

  test('but not past the explicit maximum of a periodic one', async () => {
    const token = await own({ period: '1h', explicit_max_ttl: '90m' })
    server.advance(HOUR - 1000)
    assert.equal((await act('renew-self', {}, token)).auth?.lease_duration, 1801)
  })

  test('moves the lease too: it is swept at the new end, not at the old', async () => {
    await forgetOthers()
    const before = await issuedKeys(server)
    const token = await own({ ttl: '1h' })
    await act('renew-self', { increment: '2h' }, token)
    server.advance(HOUR)
    await server.core.endDueLeases()
    assert.equal((await lookUp(token))['ttl'], 3600)
    server.advance(HOUR)
    await server.core.endDueLeases()
    assert.deepEqual(await issuedKeys(server), before)
  })

  test('by text shows the token, by accessor it does not', async () => {
    const token = await own({ ttl: '1h' })
    assert.equal((await act('renew', { token })).auth?.client_token, token)
    const accessor = await accessorOf(token)
    assert.equal((await act('renew-accessor', { accessor })).auth?.client_token, '')
  })

  test('refusals', async () => {
    const fixed = await own({ ttl: '1h', renewable: false })
    const notRenewable = { status: 400, message: 'lease is not renewable' }
    assert.deepEqual(await refuse('renew-self', {}, fixed), notRenewable)
    assert.deepEqual(await refuse('renew', { token: server.rootToken }), notRenewable)
    assert.deepEqual(await refuse('renew'), { status: 400, message: 'missing token ID' })
    const unknown = { status: 400, message: 'token not found' }
    assert.deepEqual(await refuse('renew', { token: 's.x' }), unknown)
    const accessor = { status: 400, message: LIST('invalid accessor') }
    assert.deepEqual(await refuse('renew-accessor', { accessor: 'x' }), accessor)
    const { wrap_info } = await server.call('read', 'sys/mounts', {}, { wrapTtlSeconds: 60 })
    assert.deepEqual(await refuse('renew', { token: wrap_info?.token }), notRenewable)
  })
})

describe('revoke', () => {
  const isAlive = async (token: string) =>
    (await lookUp(token).catch(() => undefined)) !== undefined
  const revoke = (name: string, data: object, token?: string) =>
    server.send('update', `auth/token/${name}`, data, token === undefined ? {} : { token })

  test('takes children, leases and cubbyholes along, in each of its forms', async () => {
    const forms: [string, (token: string) => Promise<unknown>][] = [
      ['revoke', (token) => revoke('revoke', { token })],
      ['revoke-self', (token) => revoke('revoke-self', {}, token)],
      [
        'revoke-accessor',
        async (token) => revoke('revoke-accessor', { accessor: await accessorOf(token) }),
      ],
    ]
    for (const [name, end] of forms) {
      const before = await issuedKeys(server)
      const token = await own()
      const child = await tokenOf(server, { policies: ['all'] }, { token })
      for (const holder of [token, child]) {
        await server.send('update', 'ssh/creds/web', { ip: '10.0.0.1' }, { token: holder })
        await server.send('update', 'cubbyhole/a/b', { k: 'v' }, { token: holder })
      }
      assert.deepEqual(await end(token), { kind: 'empty', status: 204 }, name)
      assert.deepEqual(await issuedKeys(server), before, name)
      assert.equal((await isAlive(token)) || (await isAlive(child)), false, name)
    }
  })

  test('an orphan outlives its maker', async () => {
    const token = await own()
    const orphan = (await act('create-orphan', { policies: ['all'] }, token)).auth
    await revoke('revoke', { token })
    assert.equal(await isAlive(orphan?.client_token as string), true)
  })

  test('revoke-orphan spares the children, which become orphans', async () => {
    const token = await own()
    const child = await tokenOf(server, { policies: ['all'] }, { token })
    const grandchild = await tokenOf(server, {}, { token: child })
    await server.send('update', 'ssh/creds/web', { ip: '10.0.0.1' }, { token })
    await revoke('revoke-orphan', { token })
    assert.equal(await isAlive(token), false)
    assert.equal((await lookUp(child))['orphan'], true)
    assert.equal((await lookUp(grandchild))['orphan'], false)
    assert.deepEqual(
      (await issuedKeys(server)).filter((key) => key.startsWith('held/')),
      [],
    )
    await revoke('revoke', { token: child })
    assert.equal(await isAlive(grandchild), false)
  })

  test('of what is not there', async () => {
    const nothing = { kind: 'empty', status: 204 }
    assert.deepEqual(await revoke('revoke', { token: 's.x' }), nothing)
    const { warnings } = await act('revoke-accessor', { accessor: 'x' })
    assert.deepEqual(warnings, ['No token found with this accessor'])
    const text = { status: 400, message: 'token to revoke not found' }
    assert.deepEqual(await refuse('revoke-orphan', { token: 's.x' }), text)
    assert.equal((await refuse('revoke')).status, 400)
    assert.equal((await refuse('revoke-accessor')).status, 400)
  })

  test('children die with an expired parent, whatever their own end', async () => {
    await forgetOthers()
    const before = await issuedKeys(server)
    const token = await own({ ttl: '1h' })
    const child = await tokenOf(server, { policies: ['all'], ttl: '10h' }, { token })
    server.advance(HOUR)
    await server.core.endDueLeases()
    assert.equal(await isAlive(child), false)
    assert.deepEqual(await issuedKeys(server), before)
  })
})
