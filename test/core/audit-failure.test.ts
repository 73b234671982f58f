import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { openSqliteStore } from '../../src/storage/sqlite/sqlite.ts'
import {
  issuedKeys,
  mountSsh,
  refusalOf,
  type SendOptions,
  startTestCore,
  type TestCore,
  tokenOf,
} from '../support/core.ts'
import { InterposedStore } from '../support/interposed-store.ts'

const REFUSED = { status: 500, message: 'internal error' }
let server: TestCore
const raw = new InterposedStore(await openSqliteStore({ path: ':memory:' }))

before(async () => {
  server = await startTestCore({ raw })
  await mountSsh(server)
})
after(() => server.close())

/** Sends a request whose response line can't be written. */
async function withoutResponseLine(...request: Parameters<TestCore['send']>) {
  server.audit.failResponses = true
  try {
    return await refusalOf(server.send(...request))
  } finally {
    server.audit.failResponses = false
  }
}

describe('protocols 2.1: when only the response line fails, what was issued is undone', () => {
  const rows: [string, string, object, SendOptions][] = [
    ['a one-time password with its lease', 'ssh/creds/web', { ip: '10.0.0.1' }, {}],
    ['a wrapped password', 'ssh/creds/web', { ip: '10.0.0.1' }, { wrapTtlSeconds: 60 }],
    ['a token', 'auth/token/create', { policies: ['default'], ttl: '1h' }, {}],
    ['a root token', 'auth/token/create', {}, {}],
    ['an orphan', 'auth/token/create-orphan', { policies: ['default'] }, {}],
    ['a wrapped token', 'auth/token/create', { policies: ['default'] }, { wrapTtlSeconds: 60 }],
    ['wrapped data', 'sys/wrapping/wrap', { a: 1 }, { wrapTtlSeconds: 60 }],
  ]
  for (const [name, path, data, options] of rows) {
    test(name, async () => {
      const before = await issuedKeys(server)
      assert.deepEqual(await withoutResponseLine('update', path, data, options), REFUSED)
      assert.deepEqual(await issuedKeys(server), before)
    })
  }

  test('a new wrapping token of a rewrap', async () => {
    const before = await issuedKeys(server)
    const { wrap_info } = await server.call('read', 'sys/mounts', {}, { wrapTtlSeconds: 60 })
    const token = wrap_info?.token as string
    assert.deepEqual(await withoutResponseLine('update', 'sys/wrapping/rewrap', { token }), REFUSED)
    assert.deepEqual(await issuedKeys(server), before)
  })

  test('later, when the store takes it again, if it does not at once', async () => {
    const before = await issuedKeys(server)
    // The first commit issues, the second would undo.
    raw.failOnly(2)
    const creds = withoutResponseLine('update', 'ssh/creds/web', { ip: '10.0.0.1' })
    assert.deepEqual(await creds, REFUSED)
    raw.heal()
    assert.notDeepEqual(await issuedKeys(server), before)
    await server.core.stop()
    assert.deepEqual(await issuedKeys(server), before)
  })
})

describe('protocols 2.1: what was spent is not given back', () => {
  test('a spent password', async () => {
    const { data } = await server.call('update', 'ssh/creds/web', { ip: '10.0.0.1' })
    const verify = ['update', 'ssh/verify', { otp: data?.['key'] }, { token: '' }] as const
    assert.deepEqual(await withoutResponseLine(...verify), REFUSED)
    const refusal = await refusalOf(server.send(...verify))
    assert.deepEqual(refusal, { status: 400, message: 'OTP not found' })
  })

  test('an unwrap', async () => {
    const { wrap_info } = await server.call('read', 'sys/mounts', {}, { wrapTtlSeconds: 60 })
    const unwrap = ['update', 'sys/wrapping/unwrap', { token: wrap_info?.token }] as const
    assert.deepEqual(await withoutResponseLine(...unwrap), REFUSED)
    assert.equal((await refusalOf(server.send(...unwrap))).status, 400)
  })

  test('a use of a token', async () => {
    const token = await tokenOf(server, { policies: ['default'], num_uses: 2 })
    await withoutResponseLine('read', 'auth/token/lookup-self', {}, { token })
    const { data } = await server.call('read', 'auth/token/lookup-self', {}, { token })
    assert.equal(data?.['num_uses'], -1)
  })
})

test('protocols 2.1: an operation that seals does not when its answer has no line', async () => {
  assert.deepEqual(await withoutResponseLine('update', 'sys/seal'), REFUSED)
  assert.equal(server.core.seal.isSealed, false)
})

test('a refusal whose lines fail is an internal error, and tells nothing', async () => {
  assert.deepEqual(await withoutResponseLine('read', 'sys/mounts', {}, { token: 's.x' }), REFUSED)
})
