/** Audit lines, member by member (contract 10.3). */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { LineEncoder, type LineType, type ShownHeaders } from '../../src/audit/entry.ts'
import { Hasher } from '../../src/audit/hash.ts'
import type { LineFormat } from '../../src/audit/options.ts'
import type { AuditedRequest, AuditRecord } from '../../src/audit/record.ts'
import { parseExactJson } from '../../src/mount/exact-json.ts'
import { caller, NOW, OTP, requestOf, SALT, sshMount, TOKEN } from './records.ts'

const hasher = new Hasher(SALT)
const h = (text: string) => hasher.hash(text)
const usual: LineFormat = { logRaw: false, hmacAccessor: true, elideListResponses: false }

function textOf(
  type: LineType,
  record: AuditRecord,
  format: Partial<LineFormat> = {},
  headers: ShownHeaders = new Map(),
): string {
  return new LineEncoder({ ...usual, ...format }, hasher).encode(type, NOW, record, headers)
}

function lineOf(...args: Parameters<typeof textOf>) {
  const text = textOf(...args)
  assert.ok(!text.includes('\n'), 'a line is one line')
  return JSON.parse(text)
}

const requestData = (data: object, changes: Partial<AuditedRequest> = {}) => {
  const request = requestOf({
    data: new Map(Object.entries(data)),
    declared: new Set(Object.keys(data)),
    ...changes,
  })
  return lineOf('request', { request, caller: undefined }).request.data
}

const responseData = (
  data: Record<string, unknown>,
  changes: Partial<AuditedRequest> = {},
  format: Partial<LineFormat> = {},
) => {
  const record = { request: requestOf(changes), caller: undefined, response: { data } }
  return lineOf('response', record, format).response.data
}

describe('lines of one token', () => {
  it('differ in what changes, though the rest is made once (decision 14)', () => {
    const encoder = new LineEncoder(usual, hasher)
    const record = {}
    const line = (changes: Partial<AuditRecord>, id: string) => {
      const request = requestOf({ id, token: TOKEN, data: new Map([['ip', id]]) })
      const text = encoder.encode(
        'request',
        NOW,
        { request, caller: { ...caller, record }, ...changes },
        new Map(),
      )
      return JSON.parse(text)
    }
    const first = line({ policyResults: { allowed: true, grantingPolicies: ['ssh'] } }, 'one')
    const second = line({ caller: { ...caller, record, tokenTtlSeconds: 7 } }, 'two')
    assert.equal(first.auth.client_token, h(TOKEN))
    assert.equal(second.auth.client_token, h(TOKEN))
    assert.equal(first.auth.policy_results.allowed, true)
    assert.equal(second.auth.policy_results, undefined)
    assert.equal(second.auth.token_ttl, 7)
    assert.deepEqual([first.request.data.ip, second.request.data.ip], [h('one'), h('two')])
    const renewed = { ...caller, record: {}, displayName: 'other', remainingUses: 1 }
    const third = line({ caller: renewed }, 'three')
    assert.equal(third.auth.display_name, 'other')
    assert.equal(third.auth.remaining_uses, 1)
  })
})

describe('a request line', () => {
  it('has all that is known of caller and request', () => {
    const request = requestOf({
      token: TOKEN,
      data: new Map<string, unknown>([['ip', '10.0.0.1']]),
      declared: new Set(['ip']),
      wrapTtlSeconds: 60,
      clientCertificateSerial: '42',
      hostId: 'web-1',
      headers: new Map([
        ['user-agent', 'curl/8'],
        ['x-trace', 'abc'],
        ['cookie', 'none of ours'],
      ]),
    })
    const headers = new Map([
      ['user-agent', { hmac: false }],
      ['x-trace', { hmac: true }],
      ['x-absent', { hmac: false }],
    ])
    const policyResults = { allowed: true, grantingPolicies: ['ssh'] }
    assert.deepEqual(lineOf('request', { request, caller, policyResults }, {}, headers), {
      time: '2026-01-02T03:04:05.678Z',
      type: 'request',
      auth: {
        client_token: h(TOKEN),
        accessor: h('accessor-1'),
        display_name: 'token-alice',
        policies: ['default', 'ssh'],
        token_policies: ['default', 'ssh'],
        policy_results: {
          allowed: true,
          granting_policies: [{ name: 'ssh', namespace_id: 'root', type: 'acl' }],
        },
        metadata: { team: 'blue' },
        num_uses: 5,
        remaining_uses: 4,
        token_type: 'service',
        token_ttl: 3600,
        token_issue_time: '2026-01-02T03:00:00Z',
      },
      request: {
        id: 'id-1',
        operation: 'update',
        mount_point: 'ssh/',
        mount_type: 'ssh',
        mount_accessor: 'ssh_12345678',
        mount_class: 'secret',
        client_token: h(TOKEN),
        client_token_accessor: h('accessor-1'),
        namespace: { id: 'root' },
        path: 'ssh/creds/otp',
        data: { ip: h('10.0.0.1') },
        remote_address: '127.0.0.1',
        remote_port: 4711,
        wrap_ttl: 60,
        headers: { 'user-agent': ['curl/8'], 'x-trace': [h('abc')] },
        client_certificate_serial_number: '42',
        host_id: 'web-1',
      },
    })
  })

  it('leaves out what is empty, and says `default` when nobody asks', () => {
    const request = requestOf({ path: 'nowhere', mount: undefined })
    assert.deepEqual(lineOf('request', { request, caller: undefined }), {
      time: '2026-01-02T03:04:05.678Z',
      type: 'request',
      auth: { token_type: 'default' },
      request: {
        id: 'id-1',
        operation: 'update',
        namespace: { id: 'root' },
        path: 'nowhere',
        remote_address: '127.0.0.1',
        remote_port: 4711,
      },
    })
  })

  it('names the mount’s accessor for writes only, response lines always do', () => {
    const accessor = (type: LineType, operation: string, error?: string) =>
      lineOf(type, {
        request: requestOf({ operation }),
        caller: undefined,
        ...(error === undefined ? {} : { error }),
      }).request.mount_accessor
    for (const operation of ['create', 'update', 'patch', 'delete']) {
      assert.equal(accessor('request', operation), 'ssh_12345678', operation)
    }
    for (const operation of ['read', 'list', 'help']) {
      assert.equal(accessor('request', operation), undefined, operation)
      assert.equal(accessor('response', operation), 'ssh_12345678', operation)
    }
    assert.equal(accessor('request', 'update', 'permission denied'), undefined)
  })

  it('shows the text of a denial, and has no response', () => {
    const line = lineOf('request', {
      request: requestOf(),
      caller: undefined,
      error: 'permission denied',
      policyResults: { allowed: false, grantingPolicies: [] },
      response: { data: { error: 'permission denied' } },
    })
    assert.equal(line.error, 'permission denied')
    assert.deepEqual(line.auth, { policy_results: { allowed: false }, token_type: 'default' })
    assert.equal(line.response, undefined)
  })
})

describe('the data of a line (CVE-2025-62513, CVE-2025-62705, CVE-2026-46358)', () => {
  it('has every text hashed at any depth, names, numbers and booleans not', () => {
    const data = {
      text: 'a',
      empty: '',
      number: 5,
      yes: true,
      nothing: null,
      list: ['a', 1, ['b']],
      map: { inner: 'c', deeper: [{ d: 'd' }] },
    }
    const expected = {
      text: h('a'),
      empty: h(''),
      number: 5,
      yes: true,
      nothing: null,
      list: [h('a'), 1, [h('b')]],
      map: { inner: h('c'), deeper: [{ d: h('d') }] },
    }
    assert.deepEqual(requestData(data), expected)
    assert.deepEqual(responseData(data), expected)
  })

  it('shows times in clear, and nothing that only begins like one', () => {
    const times = ['2026-01-02T03:04:05Z', '2026-01-02T03:04:05.123456789+02:00']
    const others = ['2026-01-02', '2026-01-02T03:04:05Z secret', '2026-01-02T03:04:05']
    assert.deepEqual(responseData({ times, others }), { times, others: others.map(h) })
  })

  it('shows the values of exempt top-level names in clear, in its own direction only', () => {
    const mount = { ...sshMount, plainRequestKeys: ['a'], plainResponseKeys: ['b'] }
    const data = { a: 'x', b: { a: 'y' } }
    assert.deepEqual(requestData(data, { mount }), { a: 'x', b: { a: h('y') } })
    assert.deepEqual(responseData(data, { mount }), { a: h('x'), b: { a: 'y' } })
  })

  it('keeps big numbers as they were written', () => {
    const data = parseExactJson('{"n":12345678901234567890}') as Record<string, unknown>
    const record = { request: requestOf(), caller: undefined, response: { data } }
    assert.match(textOf('response', record), /"n":12345678901234567890/)
  })

  it('hashes the name and value of members called __proto__ and constructor like any other', () => {
    const data = JSON.parse('{"__proto__":{"a":"x"},"constructor":"y","m":{"__proto__":"z"}}')
    const expected = JSON.parse(
      `{"__proto__":{"a":"${h('x')}"},"constructor":"${h('y')}","m":{"__proto__":"${h('z')}"}}`,
    )
    assert.deepEqual(requestData(data), expected)
    assert.deepEqual(responseData(data), expected)
  })

  it('gives one password the same hash where it was issued and where it is used', () => {
    const issued = responseData({ key: OTP }).key
    assert.equal(issued, h(OTP))
    assert.equal(requestData({ otp: OTP }).otp, issued)
  })

  it('is the same in both lines of a request, and follows the mount when that was tuned between', () => {
    const encoder = new LineEncoder(usual, hasher)
    const request = requestOf({ data: new Map([['a', 'x']]), declared: new Set(['a']) })
    const dataOf = (changed: AuditedRequest) =>
      JSON.parse(encoder.encode('request', NOW, { request: changed, caller: undefined }, new Map()))
        .request.data
    assert.deepEqual(dataOf(request), { a: h('x') })
    assert.deepEqual(dataOf(request), { a: h('x') })
    const tuned = { ...request, mount: { ...sshMount, plainRequestKeys: ['a'] } }
    assert.deepEqual(dataOf(tuned), { a: 'x' })
  })
})

describe('what a device remembers (protocols 2.3)', () => {
  it('are accessors, and nothing of tokens, data, paths and errors', () => {
    const own = new Hasher(SALT)
    const encoder = new LineEncoder(usual, own)
    for (let i = 0; i < 50; i++) {
      const request = requestOf({
        token: `${TOKEN}${i}`,
        path: `auth/token/renew/secret-part-${i}`,
        secretParts: [`secret-part-${i}`],
        data: new Map([[`${OTP}-${i}`, `value ${i}`]]),
        headers: new Map([['x-trace', `trace ${i}`]]),
      })
      const response = { data: { key: `${OTP}${i}`, list: [`element ${i}`] } }
      const record = { request, caller, response, error: `secret-part-${i}` }
      const headers = new Map([['x-trace', { hmac: true }]])
      encoder.encode('request', NOW, record, headers)
      encoder.encode('response', NOW, record, headers)
    }
    assert.equal(own.size, 1)
    own.remembered(caller.accessor)
    assert.equal(own.size, 1)
  })
})

describe('secrets in the wrong place (protocols 2.4)', () => {
  const undeclared = (name: string) =>
    Object.keys(requestData({ [name]: '' }, { declared: new Set(['otp']) }))[0]

  it('hashes an undeclared name that is long or looks like a token or a password', () => {
    const secrets = [OTP, TOKEN, `hvs.${'Aa0_-'.repeat(18)}`, 'x'.repeat(33), `otp:${OTP}`]
    for (const secret of secrets) assert.equal(undeclared(secret), h(secret), secret)
    assert.equal(undeclared('unknown_field'), 'unknown_field')
    assert.equal(undeclared('x'.repeat(32)), 'x'.repeat(32))
  })

  it('leaves declared names alone, however long', () => {
    const name = 'a_declared_name_of_more_than_32_characters'
    assert.deepEqual(Object.keys(requestData({ [name]: 1 })), [name])
  })

  it('hashes a credential that is the name of a member further down', () => {
    assert.deepEqual(requestData({ map: { [OTP]: 1, 'login@example.org': 2 } }), {
      map: { [h(OTP)]: 1, 'login@example.org': 2 },
    })
  })

  it('hashes a credential that was stored as a name when it is read back, not ids of issuers', () => {
    assert.deepEqual(responseData({ [OTP]: '', [TOKEN]: '', key_info: { [OTP]: {} } }), {
      [h(OTP)]: h(''),
      [h(TOKEN)]: h(''),
      key_info: { [OTP]: {} },
    })
  })

  it('hashes secret parts of the path, and whatever looks like a token', () => {
    const pathOf = (path: string, secretParts: string[]) =>
      lineOf('request', { request: requestOf({ path, secretParts }), caller: undefined }).request
        .path
    assert.equal(pathOf('auth/token/renew/tok', ['tok']), `auth/token/renew/${h('tok')}`)
    assert.equal(pathOf('a/tok/tok/token', ['tok']), `a/${h('tok')}/${h('tok')}/token`)
    assert.equal(pathOf('a/b/c/d', ['b/c/d']), `a/${h('b/c/d')}`)
    assert.equal(pathOf(`nowhere/${TOKEN}/x`, []), `nowhere/${h(TOKEN)}/x`)
    assert.equal(pathOf(`ssh/creds/otp/${OTP}`, []), `ssh/creds/otp/${OTP}`)
    assert.equal(pathOf('sys/x/', ['']), 'sys/x/')
  })

  it('hashes them in errors, warnings and the path of a wrapped answer as well', () => {
    const long = 'a "quoted" secret of more than 32 characters'
    const request = requestOf({
      path: 'auth/token/renew/root-token-text',
      secretParts: ['root-token-text'],
      data: new Map([[long, '']]),
    })
    const line = textOf('response', {
      request,
      caller: undefined,
      error: 'no lease for root-token-text',
      response: {
        warnings: [
          `Endpoint ignored these unrecognized parameters: [${JSON.stringify(long)} ${OTP}]`,
        ],
        wrapInfo: {
          ttl: 60,
          token: TOKEN,
          accessor: 'accessor-2',
          creationTime: '2026-01-02T03:04:05Z',
          creationPath: request.path,
          wrappedAccessor: 'accessor-3',
        },
      },
    })
    for (const secret of ['root-token-text', 'quoted', OTP, TOKEN, 'accessor-2', 'accessor-3']) {
      assert.ok(!line.includes(secret), `${secret} stands in ${line}`)
    }
  })

  it('does not tear words of an error for a short part of the path', () => {
    const request = requestOf({ path: 'sys/renew/e', secretParts: ['e'] })
    const line = lineOf('request', { request, caller: undefined, error: 'permission denied' })
    assert.equal(line.error, 'permission denied')
  })
})

describe('a response line', () => {
  it('has what was issued: token, lease, data, warnings, wrapping', () => {
    const line = lineOf('response', {
      request: requestOf(),
      caller,
      response: {
        auth: {
          clientToken: TOKEN,
          accessor: 'accessor-2',
          displayName: 'token-bob',
          policies: ['default'],
          tokenTtlSeconds: 60,
          tokenType: 'service',
          metadata: undefined,
          numUses: 0,
          entityId: '',
        },
        leaseId: 'ssh/creds/otp/abc',
        data: { key: OTP, port: 22 },
        warnings: ['mind the gap'],
        wrapInfo: {
          ttl: 60,
          token: TOKEN,
          accessor: 'accessor-2',
          creationTime: '2026-01-02T03:04:05Z',
          creationPath: 'ssh/creds/otp',
          wrappedAccessor: undefined,
        },
      },
    })
    assert.equal(line.type, 'response')
    assert.deepEqual(line.response, {
      mount_point: 'ssh/',
      mount_type: 'ssh',
      mount_accessor: 'ssh_12345678',
      mount_class: 'secret',
      auth: {
        client_token: h(TOKEN),
        accessor: h('accessor-2'),
        display_name: 'token-bob',
        policies: ['default'],
        token_policies: ['default'],
        token_type: 'service',
        token_ttl: 60,
      },
      secret: { lease_id: 'ssh/creds/otp/abc' },
      data: { key: h(OTP), port: 22 },
      warnings: ['mind the gap'],
      wrap_info: {
        ttl: 60,
        token: h(TOKEN),
        accessor: h('accessor-2'),
        creation_time: '2026-01-02T03:04:05Z',
        creation_path: 'ssh/creds/otp',
      },
    })
  })

  it('shows a raw answer by type, status and the hash of its body', () => {
    const raw = { contentType: 'text/plain', body: 'ssh-ed25519 AAAA', status: 200 }
    const record = { request: requestOf(), caller: undefined, response: { raw } }
    assert.deepEqual(lineOf('response', record).response.data, {
      http_content_type: 'text/plain',
      http_raw_body: h('ssh-ed25519 AAAA'),
      http_status_code: 200,
    })
  })

  it('has counts for the keys of lists when elide_list_responses is set, and for lists only', () => {
    const data = { keys: ['a', 'b'], key_info: { a: {}, b: {} }, other: 'x' }
    const elide = { elideListResponses: true }
    const counted = { keys: 2, key_info: 2, other: h('x') }
    assert.deepEqual(responseData(data, { operation: 'list' }, elide), counted)
    assert.deepEqual(responseData(data, { operation: 'read' }, elide).keys, [h('a'), h('b')])
    assert.deepEqual(responseData(data, { operation: 'list' }).keys, [h('a'), h('b')])
  })

  it('leaves accessors plain without hmac_accessor, and everything with log_raw', () => {
    const request = requestOf({
      token: TOKEN,
      data: new Map([[OTP, 'value']]),
      path: `a/${TOKEN}`,
      headers: new Map([['x-trace', 'abc']]),
    })
    const record = { request, caller, response: { data: { key: OTP } } }
    const headers = new Map([['x-trace', { hmac: true }]])
    const plainAccessor = lineOf('response', record, { hmacAccessor: false }, headers)
    assert.equal(plainAccessor.auth.accessor, 'accessor-1')
    assert.equal(plainAccessor.request.client_token_accessor, 'accessor-1')
    assert.equal(plainAccessor.auth.client_token, h(TOKEN))
    const raw = textOf('response', record, { logRaw: true }, headers)
    assert.ok(!raw.includes('hmac-sha256:'), raw)
    assert.deepEqual(JSON.parse(raw).request.data, { [OTP]: 'value' })
    assert.deepEqual(JSON.parse(raw).response.data, { key: OTP })
  })
})
