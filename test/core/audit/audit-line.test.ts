/** What audit lines say of a request: parts of a path that are not shown in clear (protocols 2.4), and the host that asks. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { mountCa, mountSsh, startTestCore, type TestCore } from '../../support/core.ts'

const OTP = '2f7e25a2-24c9-4b7b-0d35-27d5e5203a5c'

let server: TestCore

before(async () => {
  server = await startTestCore()
  await mountSsh(server)
  await mountCa(server)
})
after(() => server.close())

/** The parts of a request's path that its two lines hash, whatever its answer was. */
async function hiddenParts(...[operation, path]: Parameters<TestCore['send']>): Promise<unknown[]> {
  server.audit.requests.length = 0
  server.audit.responses.length = 0
  await server.send(operation, path, {}).catch(() => {})
  const lines = [...server.audit.requests, ...server.audit.responses]
  assert.equal(lines.length, 2, path)
  return lines.map(({ request }) => request.secretParts)
}

describe('protocols 2.4: a password in a path is hashed', () => {
  const misplaced: [Parameters<TestCore['send']>[0], string][] = [
    ['update', `ssh/creds/${OTP}`],
    ['read', `ssh/roles/${OTP}`],
    ['update', `ssh/sign/${OTP}`],
    ['update', `ssh/verify/${OTP}`],
    ['read', `nowhere/${OTP}/x`],
    ['read', OTP],
    ['read', `cubbyhole/${OTP}`],
    ['read', `sys/policies/acl/${OTP}`],
  ]
  for (const [operation, path] of misplaced) {
    test(`${operation} ${path}`, async () => {
      assert.deepEqual(await hiddenParts(operation, path), [[OTP], [OTP]])
    })
  }

  test('not the names of roles, and nothing that is only like one', async () => {
    for (const path of ['ssh/creds/web', `ssh/creds/${OTP}a`, `ssh/creds/${OTP.slice(1)}g`]) {
      assert.deepEqual(await hiddenParts('update', path), [[], []], path)
    }
  })

  test('not what has ids of that shape: issuers, mounts, moves of mounts', async () => {
    const { data } = await server.call('list', 'ssh/issuers')
    const id = (data?.['keys'] as string[] | undefined)?.[0]
    assert.deepEqual(await hiddenParts('read', `ssh/issuer/${id}`), [[], []])
    assert.deepEqual(await hiddenParts('read', `ssh/issuer/${id}/public_key`), [[], []])
    assert.deepEqual(await hiddenParts('update', `sys/mounts/${OTP}`), [[], []])
    assert.deepEqual(await hiddenParts('read', `sys/remount/status/${OTP}`), [[], []])
  })

  test('not where the mount says that such names are shown', async () => {
    await server.send('update', 'sys/mounts/shown', { type: 'ssh' })
    const keys = { audit_non_hmac_request_keys: ['role'] }
    await server.send('update', 'sys/mounts/shown/tune', keys)
    assert.deepEqual(await hiddenParts('update', `shown/creds/${OTP}`), [[], []])
  })
})

test('the lines of a request by a host say which it claims to be, and of no other request', async () => {
  const hostOf = async (path: string, host: string) => {
    server.audit.requests.length = 0
    await server.send('read', path, {}, { headers: { 'x-postern-host': host } }).catch(() => {})
    return server.audit.requests.map(({ request }) => request.hostId)
  }
  assert.deepEqual(await hostOf('ssh/host/bundle', 'web-1'), ['web-1'])
  assert.deepEqual(await hostOf('ssh/host/bundle', 'web-1" or worse'), [undefined])
  assert.deepEqual(await hostOf('ssh/roles/web', 'web-1'), [undefined])
})
