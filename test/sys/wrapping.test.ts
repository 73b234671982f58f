import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import {
  issuedKeys,
  mountCa,
  mountSsh,
  refusalOf,
  startTestCore,
  type TestCore,
  tokenOf,
  tokenWith,
} from '../support/core.ts'

const INVALID = { status: 400, message: 'wrapping token is not valid or does not exist' }
let server: TestCore

before(async () => {
  server = await startTestCore()
  await mountSsh(server)
  await mountCa(server)
})
after(() => server.close())

async function wrapped(...[operation, path, data]: Parameters<TestCore['send']>) {
  const answer = await server.call(operation, path, data, { wrapTtlSeconds: 60 })
  assert.ok(answer.wrap_info)
  return { answer, info: answer.wrap_info }
}
const unwrap = (token: string) => server.send('update', 'sys/wrapping/unwrap', {}, { token })
const envelopeOf = async (token: string) => {
  const answer = await unwrap(token)
  assert.equal(answer.kind, 'envelope')
  return answer.kind === 'envelope' ? answer.envelope : assert.fail()
}

describe('a wrapped answer', () => {
  test('shows where and for how long, and nothing of what it holds', async () => {
    const { answer, info } = await wrapped('update', 'ssh/creds/web', { ip: '10.0.0.1' })
    const { token, accessor, ...rest } = info
    assert.match(token, /^s\.[0-9A-Za-z]{24}$/)
    assert.match(accessor, /^[0-9A-Za-z]{24}$/)
    assert.deepEqual(rest, {
      ttl: 60,
      creation_time: '2026-11-22T12:00:00.000Z',
      creation_path: 'ssh/creds/web',
    })
    assert.deepEqual(
      [answer.request_id, answer.lease_id, answer.data, answer.auth, answer.warnings],
      ['', '', null, null, null],
    )
  })

  test('comes back as it was, with its lease, once', async () => {
    const { info } = await wrapped('update', 'ssh/creds/web', { ip: '10.0.0.1' })
    const inner = await envelopeOf(info.token)
    assert.match(inner.lease_id, /^ssh\/creds\/web\//)
    assert.equal(inner.lease_duration, 600)
    assert.notEqual(inner.request_id, '')
    const verify = server.send('update', 'ssh/verify', { otp: inner.data?.['key'] }, { token: '' })
    assert.equal((await verify).status, 200)
    assert.deepEqual(await refusalOf(unwrap(info.token)), INVALID)
  })

  test('of a token says which accessor it holds', async () => {
    const { info } = await wrapped('update', 'auth/token/create', { policies: ['default'] })
    const { auth } = await envelopeOf(info.token)
    assert.equal(info.wrapped_accessor, auth?.accessor)
  })

  test('that is raw text comes back raw', async () => {
    const { wrap_info } = await server.call('read', 'ssh/config/ca', {}, { wrapTtlSeconds: 60 })
    const { data } = await envelopeOf(wrap_info?.token as string)
    assert.match(String(data?.['public_key']), /^ssh-ed25519 /)
    const help = await server.send('read', 'sys/in-flight-req', {}, { wrapTtlSeconds: 60 })
    const token = help.kind === 'envelope' ? (help.envelope.wrap_info?.token as string) : ''
    assert.equal((await unwrap(token)).kind, 'bare')
  })

  test('is not made of an empty answer, nor of a refusal', async () => {
    const before = await issuedKeys(server)
    const options = { wrapTtlSeconds: 60 }
    const empty = await server.send('update', 'cubbyhole/x', { a: 1 }, options)
    assert.deepEqual(empty, { kind: 'empty', status: 204 })
    await server.send('delete', 'cubbyhole/x', {}, options)
    assert.equal((await refusalOf(server.send('read', 'cubbyhole/x', {}, options))).status, 404)
    assert.deepEqual(await issuedKeys(server), before)
  })

  test('ends on time, with its lease, by accessor, or with the path that it wraps', async () => {
    await server.send('update', 'sys/leases/revoke-prefix/ssh/creds')
    const before = await issuedKeys(server)
    const late = (await wrapped('read', 'sys/mounts')).info.token
    server.advance(59_999)
    const ending = await server.call('update', 'sys/wrapping/lookup', { token: late })
    assert.equal(ending.data?.['creation_ttl'], 60)
    server.advance(1)
    assert.deepEqual(await refusalOf(unwrap(late)), INVALID)
    await server.core.endDueLeases()
    const { accessor } = (await wrapped('read', 'sys/mounts')).info
    await server.send('update', 'auth/token/revoke-accessor', { accessor })
    await wrapped('update', 'ssh/creds/web', { ip: '10.0.0.1' })
    await server.send('update', 'sys/leases/revoke-prefix/ssh/creds')
    assert.deepEqual(await issuedKeys(server), before)
  })

  test('ends on time at a path that is not ASCII too', async () => {
    await server.send('update', 'cubbyhole/é', { a: 'b' })
    const before = await issuedKeys(server)
    await wrapped('read', 'cubbyhole/é')
    server.advance(60_000)
    await server.core.endDueLeases()
    assert.deepEqual(await issuedKeys(server), before)
  })

  test('keeps to the bounds of the policy that allowed it', async () => {
    const rule = 'capabilities = ["read"] min_wrapping_ttl = "10s" max_wrapping_ttl = "60s"'
    const token = await tokenWith(server, `path "sys/mounts" { ${rule} }`)
    const read = (wrapTtlSeconds?: number) =>
      server.send(
        'read',
        'sys/mounts',
        {},
        wrapTtlSeconds === undefined ? { token } : { token, wrapTtlSeconds },
      )
    for (const seconds of [undefined, 9, 61]) {
      assert.equal((await refusalOf(read(seconds))).status, 403)
    }
    assert.equal((await read(60)).status, 200)
  })
})

describe('sys/wrapping', () => {
  test('wrap gives back any data, contract trap 10: numbers to the digit', async () => {
    const text = '{"a":12345678901234567890,"b":[1.0,1e400],"c":{"d":0.10}}'
    const before = await issuedKeys(server)
    const answer = await server.core.handle({
      id: 'x',
      operation: 'update',
      path: 'sys/wrapping/wrap',
      data: new Map(Object.entries(JSON.parse(text) as object)),
      bodyText: text,
      token: server.rootToken,
      wrapTtlSeconds: 60,
      headers: new Map(),
      remoteAddress: '127.0.0.1',
      remotePort: 1,
    })
    const token = answer.kind === 'envelope' ? (answer.envelope.wrap_info?.token as string) : ''
    assert.equal(JSON.stringify((await envelopeOf(token)).data), text)
    assert.deepEqual(await issuedKeys(server), before)
  })

  test('wrap without a TTL is refused', async () => {
    assert.deepEqual(await refusalOf(server.send('update', 'sys/wrapping/wrap', { a: 1 })), {
      status: 400,
      message: 'endpoint requires response wrapping to be used',
    })
  })

  test('lookup works with the token in the body or as the request’s, and spends nothing', async () => {
    const { token } = (await wrapped('read', 'sys/mounts')).info
    const lookUp = (data: object, own: string) =>
      server.call('update', 'sys/wrapping/lookup', data, { token: own })
    const { data } = await lookUp({ token }, '')
    assert.equal(data?.['creation_path'], 'sys/mounts')
    assert.deepEqual((await lookUp({}, token)).data, data)
    const empty = { status: 403, message: 'error validating wrapping token: token is empty' }
    assert.deepEqual(await refusalOf(lookUp({}, '')), empty)
    assert.deepEqual(await refusalOf(lookUp({ token: 's.x' }, '')), INVALID)
    assert.deepEqual(await refusalOf(lookUp({ token: server.rootToken }, '')), INVALID)
  })

  test('unwrap takes the token in the body of another caller too', async () => {
    const { token } = (await wrapped('read', 'sys/mounts')).info
    const caller = await tokenOf(server, { policies: ['default'] })
    const answer = await server.send('update', 'sys/wrapping/unwrap', { token }, { token: caller })
    assert.equal(answer.status, 200)
  })

  for (const path of ['sys/wrapping/unwrap', 'sys/wrapping/rewrap']) {
    test(`${path} goes by the policies of a caller who sends a token`, async () => {
      const { token } = (await wrapped('read', 'sys/mounts')).info
      const policies = [
        'path "a" {}',
        `path "sys/*" { capabilities = ["update"] } path "${path}" { capabilities = ["deny"] }`,
      ]
      for (const policy of policies) {
        const caller = await tokenWith(server, policy)
        const refusal = refusalOf(server.send('update', path, { token }, { token: caller }))
        assert.equal((await refusal).status, 403, policy)
      }
      const allowed = await tokenWith(server, `path "${path}" { capabilities = ["update"] }`)
      const answer = await server.send('update', path, { token }, { token: allowed })
      assert.equal(answer.status, 200)
    })

    test(`${path} needs no other token than the wrapping one`, async () => {
      for (const own of ['', 's.unknown', 'itself']) {
        const { token } = (await wrapped('read', 'sys/mounts')).info
        const options = { token: own === 'itself' ? token : own }
        assert.equal((await server.send('update', path, { token }, options)).status, 200, own)
      }
    })
  }

  test('rewrap gives the same content a new token, and spends the old', async () => {
    const first = (await wrapped('read', 'sys/mounts')).info
    server.advance(30_000)
    const { wrap_info } = await server.call('update', 'sys/wrapping/rewrap', { token: first.token })
    assert.equal(wrap_info?.creation_path, 'sys/mounts')
    assert.equal(wrap_info?.ttl, 60)
    assert.deepEqual(await refusalOf(unwrap(first.token)), INVALID)
    const { data } = await envelopeOf(wrap_info?.token as string)
    assert.ok(data?.['ssh/'])
  })

  test('unwrapping is one line each way in the audit log, with the content', async () => {
    const { token } = (await wrapped('read', 'sys/mounts')).info
    server.audit.responses.length = 0
    await unwrap(token)
    assert.equal(server.audit.responses.length, 1)
    assert.ok(server.audit.responses[0]?.response?.data)
  })
})
