import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PosternError } from '../../src/errors.ts'
import { ask, start } from './harness.ts'

const HSTS = 'max-age=31536000; includeSubDomains'
const ROOT = ['X-Vault-Token: root']

test('every answer carries the standard headers, 204 and errors too', async (t) => {
  const started = await start(t, {
    handle: async ({ path }) => {
      if (path === 'none') return { kind: 'empty', status: 204 }
      if (path === 'bad') throw new PosternError('permission_denied')
      return { kind: 'empty', status: 202 }
    },
  })
  for (const [path, status, body] of [
    ['none', 204, ''],
    ['bad', 403, '{"errors":["permission denied"]}\n'],
    ['queued', 202, ''],
  ] as const) {
    const answer = await ask(started, `GET /v1/${path}`)
    assert.equal(answer.status, status)
    assert.equal(answer.body, body)
    assert.equal(answer.headers.get('cache-control'), 'no-store')
    assert.equal(answer.headers.get('content-type'), 'application/json')
    assert.equal(answer.headers.get('strict-transport-security'), HSTS)
  }
})

test('paths outside /v1/ are as recorded in http.root, http.notv1; Decision 14: a redirect has no body', async (t) => {
  const started = await start(t)
  const root = await ask(started, 'GET /')
  assert.equal(root.status, 307)
  assert.equal(root.headers.get('location'), '/ui/')
  assert.equal(root.headers.get('content-type'), undefined)
  assert.equal(root.headers.get('cache-control'), 'no-store')
  assert.equal(root.body, '')
  for (const path of ['/foo', '/ui/', '/v1', '/v2/sys/health']) {
    const answer = await ask(started, `GET ${path}`)
    assert.equal(answer.status, 404)
    assert.equal(answer.body, '{"errors":[]}\n')
  }
  assert.match((await ask(started, 'GET /robots.txt')).body, /^User-agent: \*\n/)
})

test('unclean paths are redirected as recorded in http.path.*', async (t) => {
  const started = await start(t)
  const get = await ask(started, 'GET /v1/sys//mounts?a=<b>&c')
  assert.equal(get.status, 307)
  assert.equal(get.headers.get('location'), '/v1/sys/mounts?a=<b>&c')
  assert.equal(get.headers.get('content-type'), undefined)
  assert.equal(get.body, '')
  const put = await ask(started, 'PUT /v1//sys/policies/acl/x', ROOT, '{"a":1}')
  assert.equal(put.status, 307)
  assert.equal(put.headers.get('location'), '/v1/sys/policies/acl/x')
  assert.equal(put.headers.get('content-type'), undefined)
  assert.equal(put.body, '')
  const elsewhere = await ask(started, 'GET //evil.example/v1/')
  assert.equal(elsewhere.headers.get('location'), '/evil.example/v1/')
  const dots = await ask(started, 'GET /v1/a/%2e%2e/b')
  assert.equal(dots.status, 400)
  assert.match(dots.body, /relative paths not supported/)
})

test('methods and queries make operations, and no others (GHSA-rh46-vc3j-w2w3)', async (t) => {
  const started = await start(t)
  const cases = [
    ['GET /v1/a/b', 'read', 'a/b', {}],
    ['GET /v1/', 'read', '', {}],
    ['GET /v1/a?list=true', 'list', 'a/', {}],
    ['GET /v1/a/?list=1&after=x', 'list', 'a/', { after: 'x' }],
    ['GET /v1/a?list=F&x=1&x=2', 'read', 'a', { x: ['1', '2'] }],
    ['GET /v1/a?list=', 'read', 'a', {}],
    ['GET /v1/a?scan=T', 'scan', 'a/', {}],
    ['GET /v1/a?help=1', 'help', 'a', {}],
    ['GET /v1/a?help=1&list=true', 'help', 'a', {}],
    ['LIST /v1/a', 'list', 'a/', {}],
    ['SCAN /v1/a', 'scan', 'a/', {}],
    ['DELETE /v1/a?x=y%20z', 'delete', 'a', { x: 'y z' }],
    ['DELETE /v1/a?list=true', 'delete', 'a', {}],
    ['OPTIONS /v1/a', 'options', 'a', {}],
    ['POST /v1/a?x=y', 'update', 'a', {}],
    ['PUT /v1/a?help=1', 'update', 'a', {}],
  ] as const
  for (const [line, operation, path, data] of cases) {
    const { body } = await ask(started, line)
    assert.deepEqual(JSON.parse(body), { operation, path, data }, line)
  }
  const bare = { errors: [] }
  for (const [line, status, expected] of [
    ['GET /v1/a?list=maybe', 400, bare],
    ['GET /v1/a?scan=2', 400, bare],
    ['FOO /v1/sys/mounts', 405, bare],
    ['PROPFIND /v1/sys/mounts', 405, bare],
    ['POST /v1/cubbyhole/foo/', 400, { errors: ["cannot write to a path ending in '/'"] }],
  ] as const) {
    const answer = await ask(started, line, ROOT)
    assert.equal(answer.status, status, line)
    assert.deepEqual(JSON.parse(answer.body), expected)
    assert.equal(answer.headers.get('cache-control'), 'no-store')
  }
  const both = await ask(started, 'GET /v1/a?list=1&scan=1')
  assert.equal(both.status, 400)
})

test('HEAD has no body, CONNECT is refused', async (t) => {
  const started = await start(t)
  const answer = await ask(started, 'HEAD /v1/sys/health')
  assert.equal(answer.status, 200)
  assert.equal(answer.headers.get('content-type'), 'application/json')
  assert.equal((await ask(started, 'CONNECT a:1')).status, 405)
  const upgrade = await ask(started, 'GET /v1/a', ['Connection: Upgrade', 'Upgrade: websocket'])
  assert.equal(upgrade.status, 200)
})

test('the token comes from its own header first, and Bearer is spelled exactly so', async (t) => {
  const started = await start(t)
  const tokenOf = async (...headers: string[]) =>
    JSON.parse((await ask(started, 'GET /v1/a', headers)).body).token
  assert.equal(await tokenOf('X-Vault-Token:  root '), 'root')
  assert.equal(await tokenOf('Authorization: Bearer root'), 'root')
  assert.equal(await tokenOf('Authorization: Bearer  root '), 'root')
  assert.equal(await tokenOf('X-Vault-Token: own', 'Authorization: Bearer bogus'), 'own')
  assert.equal(await tokenOf('X-Vault-Token:', 'Authorization: Bearer b'), 'b')
  assert.equal(await tokenOf('Authorization: bearer root'), undefined)
  assert.equal(await tokenOf('Authorization: Basic cm9vdA=='), undefined)
  assert.equal(await tokenOf('Authorization: Bearer'), undefined)
  assert.equal(await tokenOf(), undefined)
})

test('a wrap TTL is read in seconds, rounded up', async (t) => {
  const started = await start(t, {
    handle: async ({ wrapTtlSeconds }) => ({ kind: 'bare', status: 200, body: { wrapTtlSeconds } }),
  })
  const read = async (text: string) =>
    JSON.parse((await ask(started, 'GET /v1/a', [`X-Vault-Wrap-TTL: ${text}`])).body)
  assert.deepEqual(await read('120'), { wrapTtlSeconds: 120 })
  assert.deepEqual(await read('5m'), { wrapTtlSeconds: 300 })
  assert.deepEqual(await read('100ms'), { wrapTtlSeconds: 1 })
  assert.deepEqual(await read('0'), {})
  const prefix = 'error parsing X-Vault-Wrap-TTL header: '
  assert.deepEqual(await read('zz'), { errors: [`${prefix}time: invalid duration "zz"`] })
  for (const text of ['-5s', '-0.5s']) {
    assert.deepEqual(await read(text), {
      errors: [`${prefix}requested wrap ttl cannot be negative`],
    })
  }
})

test('GHSA-mwr2-wmgp-crj6: a namespace is echoed, and only the root is found, in its own spellings', async (t) => {
  const started = await start(t)
  for (const name of ['root', 'root/', '/', '']) {
    const answer = await ask(started, 'GET /v1/a', [`X-Vault-Namespace: ${name}`])
    assert.equal(answer.status, 200, name)
    assert.equal(answer.headers.get('x-vault-namespace'), name)
  }
  for (const name of ['nope', 'ns1/', 'root/x']) {
    const answer = await ask(started, 'GET /v1/a', [`X-Vault-Namespace: ${name}`])
    assert.equal(answer.status, 404)
    assert.equal(answer.body, '{"errors":["namespace not found"]}\n')
    assert.equal(answer.headers.get('x-vault-namespace'), name)
  }
})

test('an unexpected error is logged and told as internal error', async (t) => {
  const started = await start(t, {
    handle: async ({ path }) => {
      if (path === 'status') return { kind: 'empty', status: 42 }
      if (path === 'cause') {
        throw new PosternError('store_failed', undefined, { cause: new Error('disk') })
      }
      throw new Error('password hunter2')
    },
  })
  for (const path of ['throw', 'status', 'cause']) {
    const answer = await ask(started, `GET /v1/${path}`)
    assert.equal(answer.status, 500)
    assert.equal(answer.body, '{"errors":["internal error"]}\n')
  }
  assert.equal(started.log.length, 3)
  assert.match(String(started.log[0]?.cause), /hunter2/)
  assert.ok(started.log.every(({ message }) => !message.includes('hunter2')))
})

test('a request without Host is refused and its connection goes on', async (t) => {
  const started = await start(t)
  const client = started.open()
  await client.send('LIST /v1/a HTTP/1.1\r\n\r\n')
  assert.equal((await client.answer())?.status, 400)
  await client.send('GET /v1/a HTTP/1.1\r\nHost: a\r\n\r\n')
  assert.deepEqual(await client.json(), { operation: 'read', path: 'a', data: {} })
  const old = started.open()
  await old.send('GET /v1/a HTTP/1.0\r\n\r\n')
  assert.equal((await old.answer())?.status, 200)
})

test('the core sees headers with lower-case names, and copies of a request keep them', async (t) => {
  const started = await start(t, {
    handle: async (request) => {
      const { headers } = { ...request }
      assert.equal(headers.get('constructor'), undefined)
      return { kind: 'bare', status: 200, body: Object.fromEntries(headers) }
    },
  })
  const answer = await ask(started, 'GET /v1/a', ['X-Vault-Request: true', '__proto__: x'])
  const headers = JSON.parse(answer.body)
  assert.equal(headers['x-vault-request'], 'true')
  assert.equal(headers.host, 'test')
})
