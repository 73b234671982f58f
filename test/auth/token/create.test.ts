import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Envelope } from '../../../src/core/request/response.ts'
import {
  issuedKeys,
  keysIn,
  refusalOf,
  startTestCore,
  type TestCore,
  tokenOf,
  tokenWith,
} from '../../support/core.ts'

const MONTH = 2_764_800
const CREATE = 'auth/token/create'
let server: TestCore

before(async () => {
  server = await startTestCore()
  for (const name of ['one', 'two', 'three']) {
    await server.send('update', `sys/policies/acl/${name}`, { policy: 'path "a" {}' })
  }
  const policy = `path "${CREATE}" { capabilities = ["update"] } path "${CREATE}-orphan" { capabilities = ["update"] }`
  await server.send('update', 'sys/policies/acl/maker', { policy })
  const sudo = `path "${CREATE}" { capabilities = ["update", "sudo"] }`
  await server.send('update', 'sys/policies/acl/sudo', { policy: sudo })
})
after(() => server.close())

async function create(data: object, token?: string, path = CREATE): Promise<Envelope> {
  return server.call('update', path, data, token === undefined ? {} : { token })
}

async function refused(data: object, token?: string, path = CREATE): Promise<string | undefined> {
  const options = token === undefined ? {} : { token }
  const { status, message } = await refusalOf(server.send('update', path, data, options))
  assert.equal(status, 400)
  return message
}

const policiesOf = ({ auth }: Envelope) => auth?.policies

describe('what a token answers with', () => {
  test('is its text, accessor, policies and life, and no data', async () => {
    const answer = await create({ policies: ['one'], ttl: '1h', meta: { a: 'b' } })
    const { auth } = answer
    assert.match(auth?.client_token ?? '', /^s\.[0-9A-Za-z]{24}$/)
    assert.match(auth?.accessor ?? '', /^[0-9A-Za-z]{24}$/)
    const { client_token: _token, accessor: _accessor, ...rest } = auth ?? {}
    assert.deepEqual(rest, {
      policies: ['default', 'one'],
      token_policies: ['default', 'one'],
      metadata: { a: 'b' },
      lease_duration: 3600,
      renewable: true,
      entity_id: '',
      token_type: 'service',
      orphan: false,
      mfa_requirement: null,
      num_uses: 0,
    })
    assert.equal(answer.data, null)
    assert.equal(answer.warnings, null)
  })

  test('the store holds neither its text nor a way back to it', async () => {
    const { auth } = await create({ policies: ['one'] })
    const keys = (await keysIn(server.raw, '')).join('\n')
    assert.equal(keys.includes(auth?.client_token as string), false)
  })
})

describe('policies', () => {
  test('are sorted, lower-cased, without doubles, with default', async () => {
    const answer = await create({ policies: ['Two', 'one', 'two ', 'ONE'] })
    assert.deepEqual(policiesOf(answer), ['default', 'one', 'two'])
  })

  test('are the maker’s when none are asked for', async () => {
    const token = await tokenOf(server, { policies: ['maker', 'one'] })
    assert.deepEqual(policiesOf(await create({}, token)), ['default', 'maker', 'one'])
    assert.deepEqual(policiesOf(await create({ policies: [] }, token)), ['default', 'maker', 'one'])
  })

  test('of an unprivileged maker bound those of the child', async () => {
    const token = await tokenOf(server, { policies: ['maker', 'one'] })
    assert.deepEqual(policiesOf(await create({ policies: ['one'] }, token)), ['default', 'one'])
    for (const policies of [['two'], ['one', 'two'], ['root'], ['sudo']]) {
      assert.equal(await refused({ policies }, token), 'child policies must be subset of parent')
    }
  })

  test('default comes along only where the maker has it or sudo', async () => {
    const bare = await tokenOf(server, { policies: ['maker', 'one'], no_default_policy: true })
    assert.deepEqual(policiesOf(await create({ policies: ['one'] }, bare)), ['one'])
    assert.equal(
      await refused({ policies: ['default'] }, bare),
      'child policies must be subset of parent',
    )
    const sudo = await tokenOf(server, { policies: ['sudo'], no_default_policy: true })
    assert.deepEqual(policiesOf(await create({ policies: ['one'] }, sudo)), ['default', 'one'])
    const without = await create({ policies: ['one'], no_default_policy: true }, sudo)
    assert.deepEqual(policiesOf(without), ['one'])
  })

  test('beyond the maker’s own are for sudo, but root is for root', async () => {
    const token = await tokenOf(server, { policies: ['sudo'] })
    assert.deepEqual(policiesOf(await create({ policies: ['three'] }, token)), ['default', 'three'])
    assert.equal(
      await refused({ policies: ['root'] }, token),
      'root tokens may not be created without parent token being root',
    )
  })

  test('root stands alone', async () => {
    const answer = await create({ policies: ['one', 'root'] })
    assert.deepEqual(policiesOf(answer), ['root'])
    assert.equal(answer.auth?.lease_duration, 0)
    assert.equal(answer.auth?.renewable, false)
  })

  test('that do not exist are a warning', async () => {
    const { warnings } = await create({ policies: ['nosuch', 'one'] })
    assert.deepEqual(warnings, ['Policy "nosuch" does not exist'])
  })

  test('in one text are one name', async () => {
    const answer = await create({ policies: 'one,two' })
    assert.deepEqual(policiesOf(answer), ['default', 'one,two'])
  })
})

describe('what needs sudo', () => {
  const rows: [object, string][] = [
    [{ id: 'mine' }, 'root or sudo privileges required to specify token id'],
    [{ no_parent: true }, 'root or sudo privileges required to create orphan token'],
    [{ period: '1h' }, 'root or sudo privileges required to create periodic token'],
  ]
  for (const [data, message] of rows) {
    test(`${JSON.stringify(data)}`, async () => {
      const token = await tokenOf(server, { policies: ['maker'] })
      assert.equal(await refused(data, token), message)
      const sudo = await tokenOf(server, { policies: ['sudo'] })
      assert.ok((await create({ ...data, policies: ['one'] }, sudo)).auth)
    })
  }

  test('not create-orphan: update on that path is enough', async () => {
    const token = await tokenOf(server, { policies: ['maker'] })
    const { auth } = await create({}, token, 'auth/token/create-orphan')
    assert.equal(auth?.orphan, true)
  })
})

describe('refusals', () => {
  const rows: [object, string][] = [
    [{ num_uses: -1 }, 'number of uses cannot be negative'],
    [{ type: 'batch', num_uses: 1 }, 'batch tokens cannot have "num_uses" set'],
    [{ type: 'foo' }, "invalid 'token_type' value"],
    [{ policies: ['response-wrapping'] }, 'cannot assign policy "response-wrapping"'],
    [{ ttl: '-1s' }, 'ttl must be positive'],
    [{ ttl: 'bogus' }, 'time: invalid duration "bogus"'],
    [{ lease: 'bogus' }, 'time: invalid duration "bogus"'],
    [{ period: '-1s' }, 'period must be positive'],
    [{ explicit_max_ttl: '-1s' }, 'explicit_max_ttl must be positive'],
    [{ id: 's.foo' }, "custom token ID cannot have the 's.' prefix"],
    [{ id: 'foo.bar' }, "custom token ID cannot have a '.' in the value"],
    [{ entity_alias: 'a' }, "'entity_alias' is only allowed in combination with token role"],
    [
      { meta: ['kv'] },
      'Field validation failed: error converting input for field "meta": invalid key pair "kv"',
    ],
  ]
  for (const [data, message] of rows) {
    test(`${JSON.stringify(data)}: ${message}`, async () => {
      const before = await issuedKeys(server)
      assert.equal(await refused(data), message)
      assert.deepEqual(await issuedKeys(server), before)
    })
  }

  test('a token of limited uses makes no tokens', async () => {
    const token = await tokenOf(server, { policies: ['maker'], num_uses: 5 })
    assert.equal(await refused({}, token), 'restricted use token cannot generate child tokens')
  })

  test('a root token that ends makes none that does not', async () => {
    const token = await tokenOf(server, { policies: ['root'], ttl: '1h' })
    const text = 'expiring root tokens cannot create non-expiring root tokens'
    assert.equal(await refused({}, token), text)
    assert.equal((await create({ ttl: '1h' }, token)).auth?.lease_duration, 3600)
  })
})

describe('custom ids', () => {
  test('work, are unique, and are told to be weak', async () => {
    const { auth, warnings } = await create({ id: 'my-own-id', policies: ['one'] })
    assert.equal(auth?.client_token, 'my-own-id')
    assert.equal(warnings?.length, 1)
    const text = 'cannot create a token with a duplicate ID'
    assert.equal(await refused({ id: 'my-own-id' }), text)
    await server.send('update', 'auth/token/revoke', { token: 'my-own-id' })
    assert.ok((await create({ id: 'my-own-id' })).auth)
  })

  test('of 8 that are asked for at once one is made', async () => {
    const creates = Array.from({ length: 8 }, () => create({ id: 'wanted', policies: ['one'] }))
    const results = await Promise.allSettled(creates)
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
  })
})

describe('names', () => {
  const rows: [object, string][] = [
    [{}, 'token'],
    [{ display_name: '' }, 'token'],
    [{ display_name: 'dev box!' }, 'token-dev-box'],
    [{ display_name: '---' }, 'token'],
    [{ display_name: 'a,b"c' }, 'token-a-b-c'],
    [{ display_name: 'Zürich' }, 'token-Z-rich'],
  ]
  for (const [data, expected] of rows) {
    test(`${JSON.stringify(data)} is shown as ${expected}`, async () => {
      const token = await tokenOf(server, { policies: ['default'], ...data })
      const { data: shown } = await server.call('read', 'auth/token/lookup-self', {}, { token })
      assert.equal(shown?.['display_name'], expected)
    })
  }
})

describe('lives (contract 3.4)', () => {
  const hours = (count: number) => count * 3600
  const rows: [string, object, number, string | undefined][] = [
    ['the default is the system’s', {}, MONTH, undefined],
    ['ttl as text', { ttl: '90m' }, 5400, undefined],
    ['ttl as a number of seconds', { ttl: 90 }, 90, undefined],
    ['lease is the old name', { lease: '2h' }, hours(2), undefined],
    [
      'ttl beyond the maximum is capped',
      { ttl: '9999h' },
      MONTH,
      'TTL of "9999h" exceeded the effective max_ttl of "768h"; TTL value is capped accordingly',
    ],
    [
      'ttl beyond the explicit maximum is capped',
      { ttl: '2h', explicit_max_ttl: '1h' },
      hours(1),
      'TTL of "2h" exceeded the effective max_ttl of "1h"; TTL value is capped accordingly',
    ],
    ['no ttl under an explicit maximum', { explicit_max_ttl: '1h' }, hours(1), undefined],
    ['a part of a second is no wish for the default', { ttl: '400ms' }, 1, undefined],
    ['nor for no maximum', { explicit_max_ttl: '400ms' }, 1, undefined],
    ['a period is the life', { period: '5m' }, 300, undefined],
    ['a period may pass the maximum', { period: '9999h' }, hours(9999), undefined],
    [
      'a period under an explicit maximum',
      { period: '5h', explicit_max_ttl: '1h' },
      3600,
      undefined,
    ],
  ]
  for (const [name, data, seconds, warning] of rows) {
    test(name, async () => {
      const { auth, warnings } = await create({ policies: ['default'], ...data })
      assert.equal(auth?.lease_duration, seconds)
      assert.deepEqual(warnings, warning === undefined ? null : [warning])
    })
  }

  test('follow the tuning of auth/token', async () => {
    const tune = (data: object) => server.send('update', 'sys/auth/token/tune', data)
    await tune({ default_lease_ttl: '1h', max_lease_ttl: '2h' })
    assert.equal((await create({ policies: ['one'] })).auth?.lease_duration, 3600)
    assert.equal((await create({ policies: ['one'], ttl: '3h' })).auth?.lease_duration, 7200)
    await tune({ default_lease_ttl: 'system', max_lease_ttl: 'system' })
  })

  test('end on the millisecond, in lookups and at every door', async () => {
    const token = await tokenWith(
      server,
      'path "auth/token/lookup-self" { capabilities = ["read"] }',
      {
        ttl: '1h',
      },
    )
    const look = () => server.call('read', 'auth/token/lookup-self', {}, { token })
    assert.equal((await look()).data?.['ttl'], 3600)
    server.advance(1)
    assert.equal((await look()).data?.['ttl'], 3599)
    server.advance(3_599_998)
    assert.equal((await look()).data?.['ttl'], 0)
    server.advance(1)
    assert.equal((await refusalOf(look())).status, 403)
    const other = server.send('update', 'auth/token/lookup', { token })
    assert.deepEqual(await refusalOf(other), { status: 403, message: 'bad token' })
  })
})
