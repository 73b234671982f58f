import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import { ApiError, TransportError } from '../../src/client/api-error.ts'
import { Client } from '../../src/client/client.ts'
import { envelopeOf } from '../../src/client/reply.ts'
import type { ClientTls } from '../../src/client/tls.ts'
import { Secret } from '../../src/redact.ts'
import { firstCertificate, secondCertificate } from '../http/tls-material.ts'
import { startFakeServer } from './fake-server.ts'

const token = new Secret('s.aaaaaaaaaaaaaaaaaaaaaaaa')

suite('a client', () => {
  test('sends the headers of the family, the token and the body', async () => {
    await using server = await startFakeServer(() => ({ status: 204 }))
    const client = new Client({ address: server.address, token, namespace: 'root' })
    const reply = await client.send('PUT', 'ssh/roles/a', {
      body: { key_type: 'otp' },
      wrapTtl: '1m0s',
    })
    client.close()
    assert.equal(reply.status, 204)
    const [request] = server.seen
    assert.equal(request?.method, 'PUT')
    assert.equal(request?.url, '/v1/ssh/roles/a')
    assert.equal(request?.headers['x-vault-request'], 'true')
    assert.equal(request?.headers['x-vault-token'], token.reveal())
    assert.equal(request?.headers['x-vault-namespace'], 'root')
    assert.equal(request?.headers['x-vault-wrap-ttl'], '1m0s')
    assert.equal(request?.body, '{"key_type":"otp"}')
  })

  test('encodes what would end a path, and the query', async () => {
    await using server = await startFakeServer(() => ({ body: {} }))
    const client = new Client({ address: `${server.address}/prefix/` })
    await client.send('GET', '/a b/c?d#e%', { query: new Map([['list', ['true']]]) })
    client.close()
    assert.equal(server.seen[0]?.url, '/prefix/v1/a%20b/c%3Fd%23e%25?list=true')
  })

  test('reports a refusal with URL, status and messages, as the family does', async () => {
    const errors = ['Role "nope" not found']
    await using server = await startFakeServer(() => ({ status: 400, body: { errors } }))
    const client = new Client({ address: server.address })
    const error = await client.send('PUT', 'ssh/creds/nope', { body: {} }).catch((e) => e)
    client.close()
    assert.ok(error instanceof ApiError)
    assert.equal(error.status, 400)
    assert.deepEqual(error.messages, errors)
    assert.equal(
      error.message,
      `Error making API request.\n\nURL: PUT ${server.address}/v1/ssh/creds/nope\nCode: 400. Errors:\n\n* Role "nope" not found`,
    )
  })

  test("keeps the beginning of somebody else's error page", async () => {
    await using server = await startFakeServer(() => ({ status: 502, body: '<h1>proxy</h1>' }))
    const client = new Client({ address: server.address })
    const error = await client.send('GET', 'x').catch((e) => e)
    client.close()
    assert.match(error.message, /Code: 502\. Raw Message:\n\n<h1>proxy<\/h1>$/)
  })

  test('follows one redirect with method and body, and no second one', async () => {
    await using server = await startFakeServer(({ url }) => {
      if (url === '/v1/a//b') return { status: 307, headers: { Location: '/v1/a/b' } }
      if (url === '/v1/a/b') return { body: { data: { ok: true } } }
      return { status: 307, headers: { Location: '/v1/loop' } }
    })
    const client = new Client({ address: server.address, token })
    const reply = await client.send('PUT', 'a//b', { body: { x: '1' } })
    assert.deepEqual(envelopeOf(reply)?.data, { ok: true })
    assert.equal(server.seen[1]?.body, '{"x":"1"}')
    await assert.rejects(client.send('GET', 'loop'), /redirected twice/)
    client.close()
  })

  test('follows no redirect when told so', async () => {
    await using server = await startFakeServer(() => ({
      status: 307,
      headers: { Location: '/v1/other' },
    }))
    const client = new Client({ address: server.address, followsRedirects: false })
    await assert.rejects(client.send('GET', 'x'), /redirect not followed/)
    client.close()
    assert.equal(server.seen.length, 1)
  })

  test('says so when nobody listens, and when no answer comes in time', async () => {
    const nobody = new Client({ address: 'http://127.0.0.1:1' })
    const refusal = await nobody.send('GET', 'sys/health').catch((e) => e)
    assert.ok(refusal instanceof TransportError)
    assert.equal(refusal.code, 'ECONNREFUSED')
    await using server = await startFakeServer(() => ({ hangs: true }))
    const client = new Client({ address: server.address, timeoutMilliseconds: 50 })
    await assert.rejects(client.send('GET', 'x'), /timed out/)
    client.close()
  })

  test('refuses an answer above its limit', async () => {
    await using server = await startFakeServer(() => ({ body: 'x'.repeat(2000) }))
    const client = new Client({ address: server.address, maxReplyBytes: 1000 })
    await assert.rejects(client.send('GET', 'x'), /larger than 1000 bytes/)
    client.close()
  })

  test('sends again after a server error only when retries are asked for', async () => {
    let failures = 1
    await using server = await startFakeServer(() =>
      failures-- > 0
        ? { status: 503, headers: { 'Retry-After': '0' }, body: { errors: ['Vault is sealed'] } }
        : { body: {} },
    )
    const client = new Client({ address: server.address, maxRetries: 2 })
    assert.equal((await client.send('GET', 'x')).status, 200)
    assert.equal(server.seen.length, 2)
    client.close()
  })

  test('keeps numbers that a double cannot hold', async () => {
    await using server = await startFakeServer(() => ({
      body: '{"data":{"n":12345678901234567890,"m":7}}',
    }))
    const client = new Client({ address: server.address })
    const data = envelopeOf(await client.send('GET', 'cubbyhole/x'))?.data
    client.close()
    assert.equal(JSON.stringify(data), '{"n":12345678901234567890,"m":7}')
  })

  test('refuses addresses of another kind', () => {
    for (const address of ['', '127.0.0.1:8200', 'ftp://x', 'unix://relative', 'http://a:b@c']) {
      assert.throws(() => new Client({ address }), TypeError)
    }
  })
})

suite('a client over a socket and over TLS', () => {
  let folder: string

  before(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'postern-client-'))
    writeFileSync(path.join(folder, 'first.pem'), firstCertificate.certificate)
    writeFileSync(path.join(folder, 'note.txt'), 'no certificate')
  })

  after(() => rmSync(folder, { recursive: true }))

  test('reaches a unix socket', async () => {
    const socket = path.join(folder, 'api.sock')
    await using server = await startFakeServer(() => ({ body: {} }), { listen: { path: socket } })
    const client = new Client({ address: `unix://${socket}` })
    assert.equal((await client.send('GET', 'sys/health')).status, 200)
    client.close()
    assert.equal(server.seen[0]?.headers.host, 'localhost')
  })

  test('trusts the given CA for the expected name, and nobody else', async () => {
    const [key, cert] = [String(firstCertificate.key), String(firstCertificate.certificate)]
    await using server = await startFakeServer(() => ({ body: {} }), { tls: { key, cert } })
    const status = async (tls: ClientTls) => {
      const client = new Client({ address: server.address, tls })
      try {
        return (await client.send('GET', 'sys/health')).status
      } finally {
        client.close()
      }
    }
    const caFile = path.join(folder, 'first.pem')
    assert.equal(await status({ caFile }), 200)
    assert.equal(await status({ caFile, serverName: 'localhost' }), 200)
    assert.equal(await status({ caText: cert }), 200)
    assert.equal(await status({ caFolder: folder }), 200)
    assert.equal(await status({ skipsVerify: true }), 200)
    await assert.rejects(status({ caFile, serverName: 'other.test' }), TransportError)
    await assert.rejects(status({ caText: String(secondCertificate.certificate) }), TransportError)
    await assert.rejects(status({}), TransportError)
    await assert.rejects(status({ caFile: path.join(folder, 'none') }), TypeError)
    await assert.rejects(status({ caFile: path.join(folder, 'note.txt') }), TypeError)
  })
})
