/** What a caller may not end or prolong (step-ca PR 2491): every verb of revocation has a right of its own. */
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

type Attempt = [Parameters<TestCore['send']>[0], string, object]

let server: TestCore
let attempts: Attempt[]

before(async () => {
  server = await startTestCore()
  await mountSsh(server)
  const owner = await tokenOf(server, { policies: ['default'], ttl: '1h' })
  const { data } = await server.call('update', 'auth/token/lookup', { token: owner })
  const accessor = data?.['accessor']
  const { lease_id } = await server.call('update', 'ssh/creds/web', { ip: '10.0.0.1' })
  attempts = [
    ['update', 'auth/token/revoke', { token: owner }],
    ['update', 'auth/token/revoke-orphan', { token: owner }],
    ['update', 'auth/token/revoke-accessor', { accessor }],
    ['update', 'auth/token/renew', { token: owner }],
    ['update', 'auth/token/renew-accessor', { accessor }],
    ['update', 'auth/token/lookup-accessor', { accessor }],
    ['list', 'auth/token/accessors/', {}],
    ['update', 'sys/leases/revoke', { lease_id }],
    ['update', `sys/leases/revoke/${lease_id}`, {}],
    ['update', 'sys/leases/revoke-prefix/ssh', {}],
    ['update', 'sys/leases/revoke-force/ssh', {}],
    ['update', 'sys/revoke', { lease_id }],
    ['update', 'sys/revoke-prefix/ssh', {}],
    ['update', 'sys/revoke-force/ssh', {}],
    ['list', 'sys/leases/lookup/ssh/creds/web/', {}],
    ['delete', 'sys/mounts/ssh', {}],
  ]
})
after(() => server.close())

describe('step-ca PR 2491: a caller ends nothing that is not theirs', () => {
  test('with the policy default alone', async () => {
    const token = await tokenOf(server, { policies: ['default'] })
    const before = await issuedKeys(server)
    for (const [operation, path, data] of attempts) {
      const { status } = await refusalOf(server.send(operation, path, data, { token }))
      assert.equal(status, 403, `${operation} ${path}`)
    }
    assert.deepEqual(await issuedKeys(server), before)
  })

  test('with every capability but sudo, where many things end at once', async () => {
    const all = '"create", "read", "update", "delete", "list"'
    const token = await tokenWith(server, `path "*" { capabilities = [${all}] }`)
    const before = await issuedKeys(server)
    const guarded = /revoke-(prefix|force|orphan)|accessors|leases\/lookup/
    const refused = attempts.filter(([, path]) => guarded.test(path))
    assert.ok(refused.length >= 6)
    for (const [operation, path, data] of refused) {
      const { status } = await refusalOf(server.send(operation, path, data, { token }))
      assert.equal(status, 403, `${operation} ${path}`)
    }
    assert.deepEqual(await issuedKeys(server), before)
  })
})
