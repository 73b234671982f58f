import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { refusalOf, startTestCore, type TestCore } from '../support/core.ts'

let server: TestCore

before(async () => {
  server = await startTestCore()
})
after(() => server.close())

describe('paths that clients ask for before they log in', () => {
  test('what is not offered is a 404 without a token, and other unknown paths are a 403', async () => {
    const statusOf = async (path: string) => refusalOf(server.send('read', path, {}, { token: '' }))
    for (const path of ['sys/replication/status', 'sys/wrapping/pubkey']) {
      assert.deepEqual(await statusOf(path), { status: 404, message: 'unsupported path' })
    }
    for (const path of ['sys/replication/other', 'sys/wrapping/other', 'sys/license/status']) {
      assert.deepEqual(await statusOf(path), { status: 403, message: 'permission denied' })
    }
  })
})

describe('sys/in-flight-req', () => {
  test('names clients as Vault counts them, and shows no token', async () => {
    const answer = await server.send('read', 'sys/in-flight-req')
    assert.ok(answer.kind === 'bare')
    const [request] = Object.values(answer.body as Record<string, Record<string, unknown>>)
    assert.equal(request?.['client_id'], '0DHqvq2D77kL2/JTPSZkTMJbkFVmUu0TzMi0jiXcFy8=')
    assert.equal(request?.['request_path'], '/v1/sys/in-flight-req')
    assert.ok(!JSON.stringify(answer.body).includes(server.rootToken))
  })
})
