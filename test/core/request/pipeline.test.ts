import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import {
  issuedKeys,
  keysIn,
  mountSsh,
  refusalOf,
  startTestCore,
  type TestCore,
  tokenWith,
} from '../../support/core.ts'

const LIST = (text: string) => `1 error occurred:\n\t* ${text}\n\n`
let server: TestCore

before(async () => {
  server = await startTestCore()
  await mountSsh(server)
})
beforeEach(() => {
  server.audit.requests.length = 0
  server.audit.responses.length = 0
})
after(() => server.close())

describe('error forms of contract 1.4', () => {
  const denied = { status: 403, message: 'permission denied' }
  const rows: [string, Parameters<TestCore['send']>, { status: number; message: string }][] = [
    ['no token', ['read', 'sys/mounts', {}, { token: '' }], denied],
    ['an unknown token', ['read', 'sys/mounts', {}, { token: 's.nosuch' }], denied],
    ['no token on an unknown mount', ['read', 'nosuch/x', {}, { token: '' }], denied],
    [
      'an unknown path in a mount',
      ['read', 'sys/nosuch'],
      { status: 404, message: LIST('unsupported path') },
    ],
    [
      'a method that the path does not offer',
      ['delete', 'ssh/creds/web'],
      { status: 405, message: LIST('unsupported operation') },
    ],
    [
      'a method that an unauthenticated path does not offer',
      ['read', 'ssh/verify', {}, { token: '' }],
      { status: 405, message: 'unsupported operation' },
    ],
    [
      'no mount there',
      ['read', 'nosuch/x'],
      { status: 404, message: 'no handler for route "nosuch/x". route entry not found.' },
    ],
    [
      'a field of the wrong type',
      ['update', 'auth/token/create', { num_uses: 'abc' }],
      {
        status: 400,
        message: `Field validation failed: error converting input for field "num_uses": '' cannot parse value as 'int': strconv.ParseInt: invalid syntax`,
      },
    ],
    ['HEAD', ['header', 'sys/mounts'], { status: 405, message: 'unsupported operation' }],
    [
      'OPTIONS',
      ['options', 'sys/mounts'],
      { status: 400, message: 'cannot handle internal-only request operation' },
    ],
  ]
  for (const [name, request, expected] of rows) {
    test(`${name}: ${expected.status} ${expected.message.trim()}`, async () => {
      assert.deepEqual(await refusalOf(server.send(...request)), expected)
    })
  }

  test('a valid token that no policy allows gets the list form, whether or not the path exists', async () => {
    const token = await tokenWith(server, 'path "secret/*" { capabilities = ["read"] }')
    for (const path of ['sys/mounts', 'sys/nosuch', 'nosuch/x', 'ssh/roles/nosuch']) {
      assert.deepEqual(await refusalOf(server.send('read', path, {}, { token })), {
        status: 403,
        message: LIST('permission denied'),
      })
    }
  })

  test('GET sys/seal is a 405 without any text', async () => {
    const expected = { status: 405, message: undefined }
    assert.deepEqual(await refusalOf(server.send('read', 'sys/seal')), expected)
  })

  test('sudo paths refuse a token that may everything but sudo', async () => {
    const all = '["create", "read", "update", "delete", "list", "patch", "scan"]'
    const token = await tokenWith(server, `path "*" { capabilities = ${all} }`)
    const paths: [Parameters<TestCore['send']>[0], string][] = [
      ['list', 'auth/token/accessors/'],
      ['update', 'auth/token/revoke-orphan'],
      ['read', 'sys/audit'],
      ['update', 'sys/audit/file'],
      ['update', 'sys/auth/x'],
      ['read', 'sys/auth/token'],
      ['read', 'sys/config/auditing/request-headers'],
      ['read', 'sys/leases'],
      ['list', 'sys/leases/lookup/ssh/'],
      ['update', 'sys/leases/revoke-prefix/ssh/creds'],
      ['update', 'sys/leases/revoke-force/ssh/creds'],
      ['update', 'sys/revoke-prefix/ssh/creds'],
      ['update', 'sys/revoke-force/ssh/creds'],
      ['update', 'sys/remount'],
      ['update', 'sys/rotate'],
      ['update', 'sys/rotate/keyring'],
      ['update', 'sys/seal'],
    ]
    for (const [operation, path] of paths) {
      const refusal = await refusalOf(server.send(operation, path, {}, { token }))
      assert.deepEqual(refusal, { status: 403, message: LIST('permission denied') }, path)
    }
  })
})

describe('audit', () => {
  test('a success writes a request line, then a response line, with one id', async () => {
    await server.send('read', 'sys/mounts')
    const [request] = server.audit.requests
    const [response] = server.audit.responses
    assert.equal(server.audit.requests.length, 1)
    assert.equal(server.audit.responses.length, 1)
    assert.equal(request?.request.id, response?.request.id)
    assert.equal(request?.response, undefined)
    assert.ok(response?.response?.data)
    assert.deepEqual(request?.policyResults, { allowed: true, grantingPolicies: ['root'] })
  })

  test('a denial is on both lines, with its text', async () => {
    const token = await tokenWith(server, 'path "secret/*" { capabilities = ["read"] }')
    server.audit.requests.length = 0
    server.audit.responses.length = 0
    await refusalOf(server.send('read', 'sys/mounts', {}, { token }))
    for (const lines of [server.audit.requests, server.audit.responses]) {
      assert.equal(lines.length, 1)
      assert.equal(lines[0]?.error, LIST('permission denied'))
      assert.equal(lines[0]?.policyResults?.allowed, false)
      assert.ok(lines[0]?.caller)
    }
  })

  test('an unknown token is on both lines, without a caller', async () => {
    await refusalOf(server.send('read', 'sys/mounts', {}, { token: 's.nosuch' }))
    for (const lines of [server.audit.requests, server.audit.responses]) {
      assert.equal(lines.length, 1)
      assert.equal(lines[0]?.error, 'permission denied')
      assert.equal(lines[0]?.caller, undefined)
    }
  })

  test('a field that does not fit is found after the request line', async () => {
    await refusalOf(server.send('update', 'auth/token/create', { num_uses: 'abc' }))
    assert.equal(server.audit.requests[0]?.error, undefined)
    assert.match(String(server.audit.responses[0]?.response?.data?.['error']), /Field validation/)
  })

  test('health and its like write no line', async () => {
    for (const path of ['sys/health', 'sys/seal-status', 'sys/leader', 'sys/init']) {
      await server.send('read', path, {}, { token: '' })
    }
    assert.equal(server.audit.requests.length + server.audit.responses.length, 0)
  })

  test('protocols 2.1: when the request line fails nothing is executed', async () => {
    const before = await issuedKeys(server)
    server.audit.failRequests = true
    try {
      const requests: Parameters<TestCore['send']>[] = [
        ['update', 'ssh/creds/web', { ip: '10.0.0.1' }],
        ['update', 'auth/token/create', {}],
        ['update', 'sys/mounts/other', { type: 'ssh' }],
        ['delete', 'sys/mounts/ssh'],
        ['update', 'sys/seal'],
        ['read', 'sys/nosuch'],
      ]
      for (const request of requests) {
        const expected = { status: 500, message: 'internal error' }
        assert.deepEqual(await refusalOf(server.send(...request)), expected)
      }
    } finally {
      server.audit.failRequests = false
    }
    assert.deepEqual(await issuedKeys(server), before)
    const { data } = await server.call('read', 'sys/mounts')
    assert.ok(data?.['ssh/'])
    assert.equal(data?.['other/'], undefined)
  })
})

test('protocols 2.1: without a request line nothing changes, whatever the path does by itself', async () => {
  const own = await tokenWith(server, 'path "*" { capabilities = ["update"] }')
  const other = await tokenWith(server, 'path "nothing" {}')
  const { data } = await server.call('update', 'auth/token/lookup', { token: other })
  const { lease_id } = await server.call('update', 'ssh/creds/web', { ip: '10.0.0.1' })
  const accessor = data?.['accessor']
  const state = async () => {
    const entries = await server.raw.get(await keysIn(server.raw, ''))
    return entries.map((entry) => `${entry?.key} ${entry?.version}`)
  }
  const before = await state()
  const requests: Parameters<TestCore['send']>[] = [
    ['update', 'auth/token/revoke', { token: other }],
    ['update', 'auth/token/revoke-self', {}, { token: own }],
    ['update', 'auth/token/revoke-accessor', { accessor }],
    ['update', 'auth/token/revoke-orphan', { token: other }],
    ['update', 'auth/token/renew', { token: other }],
    ['update', 'sys/leases/revoke', { lease_id }],
    ['update', `sys/revoke/${lease_id}`, { sync: false }],
    ['update', 'sys/leases/revoke-prefix/ssh'],
    ['update', 'sys/revoke-force/ssh'],
    ['update', 'sys/rotate'],
    ['update', 'sys/rotate/keyring'],
    ['update', 'sys/generate-root/attempt', { key: server.unsealKey }, { token: '' }],
    ['update', 'sys/generate-root-token/attempt', { key: server.unsealKey }],
    ['update', 'sys/rotate/root/init', { secret_shares: 1, secret_threshold: 1 }],
    ['update', 'sys/rekey/init', { secret_shares: 1, secret_threshold: 1, key: server.unsealKey }],
    ['update', 'sys/remount', { from: 'ssh', to: 'moved' }],
    ['update', 'sys/mounts/ssh/tune', { description: 'x' }],
    ['update', 'sys/audit/new', { type: 'file', options: { file_path: '/nowhere' } }],
    ['update', 'ssh/config/ca', { generate_signing_key: true }],
    ['update', 'ssh/creds/nosuch', { ip: '10.0.0.1' }],
    ['update', 'cubbyhole/x', { a: 1 }],
    ['read', 'sys/mounts'],
    ['help', 'sys/mounts'],
  ]
  server.audit.failRequests = true
  try {
    for (const request of requests) {
      const expected = { status: 500, message: 'internal error' }
      assert.deepEqual(await refusalOf(server.send(...request)), expected, request[1])
      assert.deepEqual(await state(), before, request[1])
      assert.deepEqual(server.audit.tried, [], 'no file of a device is opened')
    }
  } finally {
    server.audit.failRequests = false
  }
})

describe('warnings about fields', () => {
  test('names that the path ignores and replaces are told, in order', async () => {
    const body = { zebra: 1, ip: '10.0.0.1', apple: 2, role: 'other' }
    const { warnings } = await server.call('update', 'ssh/creds/web', body)
    assert.deepEqual(warnings, [
      'Endpoint ignored these unrecognized parameters: [apple zebra]',
      "Endpoint replaced the value of these parameters with the values captured from the endpoint's path: [role]",
    ])
  })

  test('an empty answer carries none', async () => {
    const body = { policy: 'path "a" {}', bogus: 1 }
    const response = await server.send('update', 'sys/policies/acl/quiet', body)
    assert.deepEqual(response, { kind: 'empty', status: 204 })
  })
})

describe('create and update', () => {
  const token = (capability: string) =>
    tokenWith(server, `path "cubbyhole/*" { capabilities = ["${capability}"] }`)

  test('a write of something absent needs create, and of something there update', async () => {
    const creator = await token('create')
    await server.send('update', 'cubbyhole/a', { k: 'v' }, { token: creator })
    const again = server.send('update', 'cubbyhole/a', { k: 'w' }, { token: creator })
    assert.equal((await refusalOf(again)).status, 403)
    const updater = await token('update')
    const first = server.send('update', 'cubbyhole/a', { k: 'v' }, { token: updater })
    assert.equal((await refusalOf(first)).status, 403)
  })

  test('trap 6: a path that cannot tell needs update, and create is not enough', async () => {
    const policy = (name: string) => `path "ssh/creds/*" { capabilities = ["${name}"] }`
    const creator = await tokenWith(server, policy('create'))
    const body = { ip: '10.0.0.1' }
    const refused = server.send('update', 'ssh/creds/web', body, { token: creator })
    assert.equal((await refusalOf(refused)).status, 403)
    const updater = await tokenWith(server, policy('update'))
    const { lease_id } = await server.call('update', 'ssh/creds/web', body, { token: updater })
    assert.match(lease_id, /^ssh\/creds\/web\/[0-9A-Za-z]{24}$/)
  })
})

describe('help', () => {
  const text = async (path: string, token?: string) => {
    const response = await server.send('help', path, {}, token === undefined ? {} : { token })
    assert.equal(response.kind, 'bare')
    return (response as { body: { help: string; see_also: null; openapi: object } }).body
  }

  test('names request, route and parameters, and needs no capability', async () => {
    const token = await tokenWith(server, 'path "nothing" {}')
    const { help, see_also, openapi } = await text('ssh/creds/web', token)
    assert.match(help, /^Request: +ssh\/creds\/web\nMatching Route: \^creds\//)
    assert.match(help, /PARAMETERS[\s\S]* ip \(string\)/)
    assert.equal(see_also, null)
    assert.ok('paths' in openapi)
  })

  test('the root of a mount lists its paths', async () => {
    for (const path of ['ssh', 'ssh/', 'sys', 'auth/token', 'cubbyhole/']) {
      assert.match((await text(path)).help, /## DESCRIPTION[\s\S]*## PATHS/)
    }
  })

  test('every declared path has a help text of its own', async () => {
    for (const { paths } of server.core.backends) {
      for (const { pattern, synopsis, description, fields } of paths) {
        assert.match(synopsis, /^.+\.$/, pattern)
        assert.match(description, /\S/, pattern)
        for (const [name, field] of Object.entries(fields)) {
          assert.ok(field.description, `${pattern} ${name}`)
        }
      }
    }
  })

  test('needs a token, on paths that else need none too', async () => {
    for (const path of ['sys/mounts', 'ssh/verify', 'sys/wrapping/unwrap', 'sys/health']) {
      const refusal = await refusalOf(server.send('help', path, {}, { token: '' }))
      assert.deepEqual(refusal, { status: 403, message: 'permission denied' }, path)
    }
  })

  test('an unknown path has none', async () => {
    assert.equal((await refusalOf(server.send('help', 'sys/nosuch'))).status, 404)
  })
})
