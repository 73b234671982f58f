import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { refusalOf, startTestCore, type TestCore, tokenOf, tokenWith } from '../support/core.ts'

const TEXT = 'path "a" { capabilities = ["read"] }'
const LIST = (text: string) => `1 error occurred:\n\t* ${text}\n\n`
let server: TestCore

before(async () => {
  server = await startTestCore()
})
after(() => server.close())

const write = (name: string, data: object, root = 'sys/policies/acl') =>
  server.send('update', `${root}/${name}`, data)
const textOf = async (answer: Promise<unknown>) => {
  const { status, message } = await refusalOf(answer)
  assert.equal(status, 400)
  return message
}

describe('sys/policies/acl and sys/policy', () => {
  test('a policy is written, read in both forms, listed and deleted', async () => {
    assert.deepEqual(await write('mine', { policy: TEXT }), { kind: 'empty', status: 204 })
    const { data } = await server.call('read', 'sys/policies/acl/mine')
    assert.deepEqual(data, {
      allow_slashes_in_identity_templates: false,
      allow_wildcards_in_identity_templates: false,
      cas_required: false,
      modified: '2026-11-22T12:00:00.000Z',
      name: 'mine',
      policy: TEXT,
      version: 1,
    })
    const old = await server.call('read', 'sys/policy/mine')
    assert.equal(old.data?.['rules'], TEXT)
    assert.equal(old.data?.['policy'], undefined)
    const list = await server.call('list', 'sys/policies/acl/')
    assert.deepEqual(list.data?.['keys'], ['default', 'mine', 'root'])
    const oldList = await server.call('read', 'sys/policy')
    assert.deepEqual(oldList.data?.['policies'], ['default', 'mine', 'root'])
    await server.send('delete', 'sys/policies/acl/mine')
    const gone = await refusalOf(server.send('read', 'sys/policies/acl/mine'))
    assert.deepEqual(gone, { status: 404, message: undefined })
    assert.deepEqual(await server.send('delete', 'sys/policy/mine'), { kind: 'empty', status: 204 })
  })

  test('text may come in base64, and as rules on the old path, with a warning', async () => {
    await write('b64', { policy: Buffer.from(TEXT).toString('base64') })
    const { data } = await server.call('read', 'sys/policies/acl/b64')
    assert.equal(data?.['policy'], TEXT)
    const { warnings } = await server.call('update', 'sys/policy/b64', { rules: TEXT })
    assert.deepEqual(warnings, ["'rules' is deprecated, please use 'policy' instead"])
  })

  test('root is shown empty; what protects the server can be neither written nor deleted', async () => {
    const { data } = await server.call('read', 'sys/policies/acl/root')
    assert.deepEqual([data?.['policy'], data?.['version']], ['', 0])
    const rows: [Promise<unknown>, string][] = [
      [write('root', { policy: TEXT }), 'cannot update "root" policy'],
      [write('response-wrapping', { policy: TEXT }), 'cannot update "response-wrapping" policy'],
      [server.send('delete', 'sys/policies/acl/root'), 'cannot delete "root" policy'],
      [server.send('delete', 'sys/policies/acl/default'), 'cannot delete default policy'],
      [write('p', {}), "'policy' parameter not supplied or empty"],
      [write('p', { policy: '' }), "'policy' parameter not supplied or empty"],
    ]
    for (const [answer, message] of rows) assert.equal(await textOf(answer), message)
    const bad = await textOf(write('p', { policy: 'path "a" { capabilities = ["fly"] }' }))
    assert.equal(bad, 'failed to parse policy: path "a": invalid capability "fly"')
  })

  test('cas lets one of two writers win', async () => {
    await write('cas', { policy: TEXT, cas: 0, cas_required: true })
    const text = 'check-and-set parameter did not match the current version'
    assert.equal(await textOf(write('cas', { policy: TEXT, cas: 0 })), text)
    const missing = 'check-and-set parameter required for this call'
    assert.equal(await textOf(write('cas', { policy: TEXT })), missing)
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, () => write('cas', { policy: TEXT, cas: 1, cas_required: true })),
    )
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
    const { data } = await server.call('read', 'sys/policies/acl/cas')
    assert.equal(data?.['version'], 2)
  })

  test('an end must lie ahead', async () => {
    assert.ok(await textOf(write('p', { policy: TEXT, expiration: '2020-01-01T00:00:00Z' })))
    for (const expiration of ['soon', '2027', '2027-01-01T10:00:00', 'Jan 5 2027']) {
      const text = await textOf(write('p', { policy: TEXT, expiration }))
      assert.equal(text, 'expiration is not an RFC 3339 time')
    }
    assert.ok(await textOf(write('p', { policy: TEXT, ttl: '-1h' })))
    await write('ends', { policy: TEXT, ttl: '1h' })
    const { data } = await server.call('read', 'sys/policies/acl/ends')
    assert.equal(data?.['expiration'], '2026-11-22T13:00:00.000Z')
  })
})

test('a denial of the old list is not passed by with a final slash', async () => {
  const token = await tokenWith(
    server,
    'path "sys/*" { capabilities = ["read"] } path "sys/policy" { capabilities = ["deny"] }',
  )
  assert.equal((await refusalOf(server.send('read', 'sys/policy', {}, { token }))).status, 403)
  assert.equal((await refusalOf(server.send('read', 'sys/policy/', {}, { token }))).status, 404)
  assert.equal((await refusalOf(server.send('list', 'sys/policy/', {}, { token }))).status, 403)
})

describe('sys/capabilities', () => {
  const policy = `path "a" { capabilities = ["read", "create"] } path "b/*" { capabilities = ["list"] } path "c" { capabilities = ["deny"] }`
  const ask = async (path: string, data: object, token?: string) =>
    (await server.call('update', path, data, token === undefined ? {} : { token })).data

  test('tells what a token may, to itself, by text and by accessor', async () => {
    const token = await tokenWith(server, policy)
    const self = await tokenWith(
      server,
      `${policy} path "sys/capabilities-self" { capabilities = ["update"] }`,
    )
    const paths = ['a', 'b/x', 'c', 'd', '/a']
    const expected = {
      a: ['create', 'read'],
      'b/x': ['list'],
      c: ['deny'],
      d: ['deny'],
      '/a': ['create', 'read'],
    }
    assert.deepEqual(await ask('sys/capabilities-self', { paths }, self), expected)
    assert.deepEqual(await ask('sys/capabilities', { paths, token }), expected)
    const { data } = await server.call('update', 'auth/token/lookup', { token })
    const accessor = data?.['accessor']
    assert.deepEqual(await ask('sys/capabilities-accessor', { paths, accessor }), expected)
  })

  test('of one path are also under capabilities; root is root', async () => {
    const answer = await ask('sys/capabilities-self', { path: 'sys/mounts' })
    assert.deepEqual(answer, { 'sys/mounts': ['root'], capabilities: ['root'] })
    const comma = await ask('sys/capabilities-self', { paths: 'x,y' })
    assert.deepEqual(comma, { x: ['root'], y: ['root'] })
  })

  test('refusals', async () => {
    const refuse = (path: string, data: object) => refusalOf(server.send('update', path, data))
    const none = { status: 400, message: 'paths must be supplied' }
    assert.deepEqual(await refuse('sys/capabilities-self', {}), none)
    const many = { status: 400, message: 'at most 1000 paths can be asked about' }
    assert.deepEqual(await refuse('sys/capabilities-self', { paths: 'a,'.repeat(1001) }), many)
    const unknown = { status: 400, message: LIST('invalid token') }
    assert.deepEqual(await refuse('sys/capabilities', { token: 's.x', path: 'a' }), unknown)
    const missing = { status: 500, message: LIST('no token found') }
    assert.deepEqual(await refuse('sys/capabilities', { path: 'a' }), missing)
    const accessor = { status: 400, message: LIST('invalid accessor') }
    assert.deepEqual(
      await refuse('sys/capabilities-accessor', { accessor: 'x', path: 'a' }),
      accessor,
    )
  })
})

describe('the default policy', () => {
  test('lets a token look at, renew and end itself, and no more', async () => {
    const token = await tokenOf(server, { policies: ['default'], ttl: '1h' })
    const as = { token }
    await server.send('read', 'auth/token/lookup-self', {}, as)
    await server.send('update', 'auth/token/renew-self', {}, as)
    await server.send('update', 'sys/capabilities-self', { path: 'a' }, as)
    await server.send('update', 'cubbyhole/x', { a: 1 }, as)
    await server.send('update', 'sys/tools/hash', { input: '' }, as)
    await server.send('update', 'sys/wrapping/wrap', { a: 1 }, { token, wrapTtlSeconds: 9 })
    for (const path of ['sys/mounts', 'auth/token/accessors', 'sys/policies/acl/default']) {
      assert.equal((await refusalOf(server.send('read', path, {}, as))).status, 403)
    }
    assert.equal((await refusalOf(server.send('update', 'auth/token/create', {}, as))).status, 403)
    await server.send('update', 'auth/token/revoke-self', {}, as)
  })

  test('a cubbyhole is seen by its token alone', async () => {
    const [one, other] = [
      await tokenOf(server, { policies: ['default'] }),
      await tokenOf(server, { policies: ['default'] }),
    ]
    await server.send('update', 'cubbyhole/x', { a: 1 }, { token: one })
    for (const token of [other, server.rootToken]) {
      assert.equal((await refusalOf(server.send('read', 'cubbyhole/x', {}, { token }))).status, 404)
    }
    const { data } = await server.call('list', 'cubbyhole/', {}, { token: one })
    assert.deepEqual(data?.['keys'], ['x'])
  })
})

describe('sys/tools', () => {
  test('random', async () => {
    const random = async (path: string, data: object = {}) =>
      String((await server.call('update', `sys/tools/${path}`, data)).data?.['random_bytes'])
    assert.equal(Buffer.from(await random('random'), 'base64').length, 32)
    assert.match(await random('random/8', { format: 'hex' }), /^[0-9a-f]{16}$/)
    assert.match(await random('random/platform/4', { format: 'hex' }), /^[0-9a-f]{8}$/)
    assert.match(await random('random/all', { format: 'hex', bytes: 2 }), /^[0-9a-f]{4}$/)
    for (const path of [
      'random/1e3',
      'random/0x10',
      'random/0',
      'random/1.5',
      'random/999999999',
    ]) {
      assert.ok(await textOf(server.send('update', `sys/tools/${path}`)), path)
    }
    const format = await textOf(server.send('update', 'sys/tools/random', { format: 'x' }))
    assert.equal(format, 'unsupported encoding format "x"; must be "hex" or "base64"')
  })

  test('hash', async () => {
    const hash = (path: string, data: object) => server.call('update', `sys/tools/${path}`, data)
    const input = Buffer.from('abc').toString('base64')
    const sha256 = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
    assert.equal((await hash('hash', { input })).data?.['sum'], sha256)
    const sha3 = '3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532'
    assert.equal((await hash('hash/sha3-256', { input })).data?.['sum'], sha3)
    assert.match(
      (await textOf(hash('hash', { input: '*' }))) ?? '',
      /^unable to decode input as base64: /,
    )
    assert.equal(await textOf(hash('hash/foo', { input })), 'unsupported algorithm foo')
  })
})
