import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import {
  keysIn,
  mountSsh,
  refusalOf,
  startTestCore,
  type TestCore,
  tokenWith,
} from '../../support/core.ts'

const EMPTY = { kind: 'empty', status: 204 }
const ROLE = { key_type: 'otp', default_user: 'ubuntu', cidr_list: '10.0.0.0/8' }
let server: TestCore

before(async () => {
  server = await startTestCore()
  await mountSsh(server)
})
after(() => server.close())

const mount = (path: string, data: object = {}) =>
  server.send('update', `sys/mounts/${path}`, { type: 'ssh', ...data })
const read = async (path: string) => (await server.call('read', path)).data ?? {}
const textOf = async (answer: Promise<unknown>) => {
  const { status, message } = await refusalOf(answer)
  assert.equal(status, 400)
  return message
}

describe('enabling', () => {
  test('makes a mount that is listed with all its settings', async () => {
    const config = { default_lease_ttl: '30m', max_lease_ttl: 7200, listing_visibility: 'unauth' }
    const data = { description: 'for hosts', config, local: true, seal_wrap: null, options: null }
    assert.deepEqual(await mount('full', data), EMPTY)
    const {
      uuid,
      accessor,
      running_plugin_version: _version,
      ...rest
    } = await read('sys/mounts/full')
    assert.match(String(uuid), /^[0-9a-f-]{36}$/)
    assert.match(String(accessor), /^ssh_[0-9a-z]{8}$/)
    assert.deepEqual(rest, {
      config: {
        default_lease_ttl: 1800,
        force_no_cache: false,
        listing_visibility: 'unauth',
        max_lease_ttl: 7200,
      },
      deprecation_status: 'supported',
      description: 'for hosts',
      external_entropy_access: false,
      local: true,
      options: {},
      plugin_version: '',
      running_sha256: '',
      seal_wrap: false,
      type: 'ssh',
    })
    const all = await read('sys/mounts')
    assert.deepEqual((all['full/'] as { uuid: string }).uuid, uuid)
    assert.deepEqual(await server.send('delete', 'sys/mounts/full'), EMPTY)
  })

  test('the built-in mounts are there from the start', async () => {
    const fresh = await startTestCore()
    const { data } = await fresh.call('read', 'sys/mounts')
    assert.deepEqual(Object.keys(data ?? {}), ['cubbyhole/', 'sys/'])
    const auth = await fresh.call('read', 'sys/auth')
    assert.deepEqual(Object.keys(auth.data ?? {}), ['token/'])
    const token = auth.data?.['token/'] as { config: { token_type: string } } | undefined
    assert.equal(token?.config.token_type, 'default-service')
    await fresh.close()
  })

  const rows: [string, object, string][] = [
    ['ssh', {}, 'path is already in use at ssh/'],
    ['ssh/below', {}, 'path is already in use at ssh/'],
    ['x', { type: 'nosuch' }, 'plugin not found in the catalog: nosuch'],
    ['x', { type: 'cubbyhole' }, 'plugin not found in the catalog: cubbyhole'],
    ['x', { type: '' }, 'backend type must be specified as a string'],
    ['sys/foo', {}, 'cannot mount "sys/foo/"'],
    ['cubbyhole', {}, 'cannot mount "cubbyhole/"'],
    ['auth/foo', {}, 'cannot mount "auth/foo/"'],
    ['identity', {}, 'cannot mount "identity/"'],
    ['audit', {}, 'cannot mount "audit/"'],
    [
      'x',
      { config: { default_lease_ttl: '2h', max_lease_ttl: '1h' } },
      'given default lease TTL greater than given max lease TTL',
    ],
    [
      'x',
      { config: { default_lease_ttl: '9999h' } },
      'given default lease TTL greater than system max lease TTL of 2764800',
    ],
    [
      'x',
      { config: { default_lease_ttl: 'soon' } },
      'unable to parse default TTL of soon: time: invalid duration "soon"',
    ],
    [
      'x',
      { config: { max_lease_ttl: 'soon' } },
      'unable to parse max TTL of soon: time: invalid duration "soon"',
    ],
    ['x', { config: { listing_visibility: 'foo' } }, 'invalid listing_visibility foo'],
    ['x', { options: { version: '2' } }, 'secrets engine "ssh" does not allow setting a version'],
  ]
  for (const [path, data, message] of rows) {
    test(`${path} ${JSON.stringify(data)}: ${message}`, async () => {
      assert.equal(await textOf(mount(path, data)), message)
      assert.deepEqual(Object.keys(await read('sys/mounts')), ['cubbyhole/', 'ssh/', 'sys/'])
    })
  }

  test('a path above another mount is in use too', async () => {
    await mount('team/ssh')
    assert.equal(await textOf(mount('team')), 'path is already in use at team/ssh/')
    await server.send('delete', 'sys/mounts/team/ssh')
  })

  test('of 8 at one path at once one is made', async () => {
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => mount('wanted')))
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
    await server.send('delete', 'sys/mounts/wanted')
  })

  test('paths that policies could not spell are refused', async () => {
    for (const path of ['a*', 'a+b', 'a%b', ' a', 'a ', 'é', '..', 'x'.repeat(256)]) {
      assert.match((await textOf(mount(path))) ?? '', /mount path holds/)
    }
  })
})

describe('Decision 3: compat=2015', () => {
  const compat = (value: unknown) => ({ options: { compat: value } })

  test('is set at mount time and shown, and tune neither adds, changes nor drops it', async () => {
    await mount('old', compat('2015'))
    assert.deepEqual((await read('sys/mounts/old'))['options'], { compat: '2015' })
    const text = 'the option "compat" is set when the engine is mounted, and not changed later'
    const tune = (path: string, options: object) =>
      server.send('update', `sys/mounts/${path}/tune`, { options })
    for (const options of [{ compat: '' }, { compat: '2016' }, { compat: null }]) {
      assert.equal(await textOf(tune('old', options)), text)
    }
    assert.equal(await textOf(tune('ssh', { compat: '2015' })), text)
    await tune('old', { other: 'x' })
    const options = { compat: '2015', other: 'x' }
    assert.deepEqual((await read('sys/mounts/old'))['options'], options)
    await server.send('delete', 'sys/mounts/old')
  })

  test('knows no other value', async () => {
    for (const value of ['2016', '', 'true', null]) {
      assert.match((await textOf(mount('old', compat(value)))) ?? '', /can only be "2015"/)
    }
  })

  test('needs the server’s leave', async () => {
    const strict = await startTestCore({ allowCompat2015: false })
    const data = { type: 'ssh', ...compat('2015') }
    const text = await textOf(strict.send('update', 'sys/mounts/old', data))
    assert.match(text ?? '', /allow_compat_2015/)
    await strict.close()
  })

  test('gives leases a UUID', async () => {
    await mount('old', compat('2015'))
    await server.send('update', 'old/roles/web', { key_type: 'otp', default_user: 'u' })
    const { lease_id } = await server.call('update', 'old/creds/web', { ip: '192.0.2.1' })
    assert.match(lease_id, /^old\/creds\/web\/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
    await server.send('delete', 'sys/mounts/old')
  })
})

describe('tuning', () => {
  const tune = (data: object, path = 'ssh') =>
    server.send('update', `sys/mounts/${path}/tune`, data)

  test('changes what is given, keeps on empty text, resets on system', async () => {
    await tune({ default_lease_ttl: '1h', max_lease_ttl: '2h', description: 'mine' })
    await tune({ default_lease_ttl: '', listing_visibility: 'unauth' })
    const tuned = await read('sys/mounts/ssh/tune')
    assert.deepEqual(tuned, {
      default_lease_ttl: 3600,
      description: 'mine',
      force_no_cache: false,
      listing_visibility: 'unauth',
      max_lease_ttl: 7200,
    })
    await tune({ listing_visibility: '' })
    assert.equal((await read('sys/mounts/ssh/tune'))['listing_visibility'], undefined)
    const keys = { audit_non_hmac_request_keys: 'a, b', audit_non_hmac_response_keys: ['c'] }
    await tune({ default_lease_ttl: 'system', max_lease_ttl: 'system', description: '', ...keys })
    const reset = await read('sys/mounts/ssh/tune')
    assert.equal(reset['default_lease_ttl'], 2_764_800)
    assert.equal(reset['description'], '')
    assert.deepEqual(reset['audit_non_hmac_request_keys'], ['a', 'b'])
    assert.deepEqual(reset['audit_non_hmac_response_keys'], ['c'])
  })

  test('tuned times are those of new leases (Decision 2)', async () => {
    await tune({ default_lease_ttl: '7m' })
    const { lease_duration } = await server.call('update', 'ssh/creds/web', { ip: '10.0.0.1' })
    assert.equal(lease_duration, 420)
    await tune({ default_lease_ttl: 'system' })
    const untuned = await server.call('update', 'ssh/creds/web', { ip: '10.0.0.1' })
    assert.equal(untuned.lease_duration, 600)
  })

  test('auth methods are reached both ways', async () => {
    await tune({ description: 'tokens' }, 'auth/token')
    const { description } = await read('sys/auth/token/tune')
    assert.equal(description, 'tokens')
  })

  test('refusals', async () => {
    const rows: [string, object, string][] = [
      ['nope', {}, 'tune of path "nope/" failed: no mount entry found'],
      ['sys', { default_lease_ttl: '1h' }, 'cannot tune parameter default_lease_ttl of sys/'],
      ['ssh', { listing_visibility: 'foo' }, 'invalid listing_visibility foo'],
      [
        'ssh',
        { default_lease_ttl: '2h', max_lease_ttl: '1h' },
        'backend max lease TTL of 3600 would be less than backend default lease TTL of 7200',
      ],
    ]
    for (const [path, data, message] of rows) assert.equal(await textOf(tune(data, path)), message)
    const missing = await textOf(server.send('read', 'sys/mounts/nope/tune'))
    assert.equal(missing, 'cannot fetch sysview for path "nope/"')
    const none = await textOf(server.send('read', 'sys/mounts/nope'))
    assert.equal(none, 'No secret engine mount at nope/')
    assert.equal(await textOf(server.send('read', 'sys/auth/nope')), 'No auth engine at nope/')
  })
})

describe('disabling', () => {
  test('ends every lease of the mount and deletes all that it stored', async () => {
    const before = await keysIn(server.raw, '')
    await mount('brief')
    await server.send('update', 'brief/roles/web', ROLE)
    const otps: unknown[] = []
    for (let i = 0; i < 3; i++) {
      const { data } = await server.call('update', 'brief/creds/web', { ip: '10.0.0.1' })
      otps.push(data?.['key'])
    }
    await server.send('update', 'brief/creds/web', { ip: '10.0.0.1' }, { wrapTtlSeconds: 60 })
    assert.deepEqual(await server.send('delete', 'sys/mounts/brief'), EMPTY)
    assert.deepEqual(await keysIn(server.raw, ''), before)
    await mount('brief')
    const refusal = await refusalOf(server.send('read', 'brief/roles/web'))
    assert.equal(refusal.status, 404, 'a new mount at the path is a new mount')
    for (const otp of otps) await textOf(server.send('update', 'brief/verify', { otp }))
    await server.send('delete', 'sys/mounts/brief')
  })

  test('of what is not there is a success, of the built-in ones is refused', async () => {
    assert.deepEqual(await server.send('delete', 'sys/mounts/nope'), EMPTY)
    assert.equal(await textOf(server.send('delete', 'sys/mounts/sys')), 'cannot unmount "sys/"')
    const token = 'token credential backend cannot be disabled'
    assert.equal(await textOf(server.send('delete', 'sys/auth/token')), token)
  })

  test('with a slash at the end is no success that does nothing', async () => {
    await mount('slashed')
    const refusal = { status: 404, message: '1 error occurred:\n\t* unsupported path\n\n' }
    for (const operation of ['delete', 'read'] as const) {
      assert.deepEqual(await refusalOf(server.send(operation, 'sys/mounts/slashed/')), refusal)
    }
    assert.deepEqual(await refusalOf(server.send('delete', 'sys/auth/nope/')), refusal)
    assert.deepEqual(await refusalOf(server.send('delete', 'sys/audit/nope/')), refusal)
    await server.send('delete', 'sys/mounts/slashed')
  })
})

describe('moving', () => {
  const move = (from: unknown, to: unknown) => server.call('update', 'sys/remount', { from, to })

  test('keeps roles and settings, ends leases, and the old path is free', async () => {
    await mount('from', { config: { default_lease_ttl: '1h' } })
    await server.send('update', 'from/roles/web', ROLE)
    const creds = await server.call('update', 'from/creds/web', { ip: '10.0.0.1' })
    const { data, warnings } = await move('from', '/to/there/')
    assert.equal(warnings?.length, 1)
    assert.equal((await read('to/there/roles/web'))['default_user'], 'ubuntu')
    assert.equal((await refusalOf(server.send('read', 'from/roles/web'))).status, 404)
    const otp = creds.data?.['key']
    await textOf(server.send('update', 'to/there/verify', { otp }))
    assert.deepEqual(await keysIn(server.raw, 'lease/from/'), [])
    const status = await read(`sys/remount/status/${data?.['migration_id']}`)
    assert.deepEqual(status['migration_info'], {
      source_mount: 'from/',
      status: 'success',
      target_mount: 'to/there/',
    })
    await mount('from')
    await server.send('delete', 'sys/mounts/from')
    await server.send('delete', 'sys/mounts/to/there')
  })

  test('into its own path works, and refusals', async () => {
    await mount('a')
    await move('a', 'a/b')
    await move('a/b', 'a')
    const rows: [unknown, unknown, string | RegExp][] = [
      ['nope', 'x', 'no matching mount at "nope/"'],
      [undefined, 'x', "both 'from' and 'to' path must be specified as a string"],
      ['a', '', "both 'from' and 'to' path must be specified as a string"],
      ['a', 'ssh', 'path already in use at "ssh/"'],
      ['a', 'ssh/x', 'path already in use at "ssh/"'],
      ['a', 'sys/x', /cannot remount to/],
      ['sys', 'x', /cannot remount/],
      ['auth/token', 'auth/x', /cannot remount/],
      ['a', 'auth/x', /auth path/],
      ['a', 'x*', /mount path holds/],
      ['a', 'x//y', /mount path holds/],
      ['a', 'x\u202ey', /mount path holds/],
    ]
    for (const [from, to, expected] of rows) {
      const text = (await textOf(move(from, to))) ?? ''
      if (typeof expected === 'string') assert.equal(text, expected)
      else assert.match(text, expected)
    }
    const unknown = await refusalOf(server.send('read', 'sys/remount/status/nope'))
    assert.deepEqual(unknown, { status: 404, message: undefined })
    await server.send('delete', 'sys/mounts/a')
  })
})

describe('internal/ui', () => {
  test('mounts shows what the caller may see, and without a token what is unauth', async () => {
    await mount('seen', { config: { listing_visibility: 'unauth' }, description: 'open' })
    const shown = async (token: string) =>
      (await server.call('read', 'sys/internal/ui/mounts', {}, { token })).data
    const none = await shown('')
    const open = { seen: { type: 'ssh', description: 'open', options: {} } }
    assert.deepEqual(none, { auth: {}, secret: { 'seen/': open.seen } })
    const token = await tokenWith(server, 'path "ssh/roles/*" { capabilities = ["read"] }')
    assert.deepEqual(Object.keys((await shown(token))?.['secret'] as object), ['seen/', 'ssh/'])
    const all = Object.keys((await shown(server.rootToken))?.['secret'] as object)
    assert.deepEqual(all, ['cubbyhole/', 'seen/', 'ssh/', 'sys/'])
    await server.send('delete', 'sys/mounts/seen')
  })

  test('one mount is shown to who has a rule below it, else it is as if it were not there', async () => {
    const policy = 'path "ssh/roles/*" { capabilities = ["read"] }'
    const token = await tokenWith(server, policy)
    const path = 'sys/internal/ui/mounts/'
    const { data } = await server.call('read', `${path}ssh/roles/x`, {}, { token })
    assert.equal(data?.['path'], 'ssh/')
    const texts: (string | undefined)[] = []
    for (const name of ['cubbyhole', 'nope']) {
      const refusal = await refusalOf(server.send('read', path + name, {}, { token }))
      assert.equal(refusal.status, 403)
      texts.push(refusal.message?.replace(name, 'X'))
    }
    assert.equal(texts[0], texts[1])
  })

  test('resultant-acl', async () => {
    const policy =
      'path "sys/internal/ui/resultant-acl" { capabilities = ["read"] } path "a/*" { capabilities = ["list", "read"] } path "b" { capabilities = ["deny"] }'
    const token = await tokenWith(server, policy)
    const { data } = await server.call('read', 'sys/internal/ui/resultant-acl', {}, { token })
    assert.deepEqual(JSON.parse(JSON.stringify(data)), {
      exact_paths: {
        b: { capabilities: ['deny'] },
        'sys/internal/ui/resultant-acl': { capabilities: ['read'] },
      },
      glob_paths: { 'a/': { capabilities: ['list', 'read'] } },
      root: false,
    })
    const root = await read('sys/internal/ui/resultant-acl')
    assert.deepEqual(root, { root: true })
  })

  test('the OpenAPI document holds what the caller may see: for nobody the open paths of open mounts', async () => {
    const paths = async (token: string) => {
      const answer = await server.send('read', 'sys/internal/specs/openapi', {}, { token })
      assert.equal(answer.kind, 'bare')
      return Object.keys((answer as { body: { paths: object } }).body.paths)
    }
    const all = await paths(server.rootToken)
    const open = await paths('')
    assert.ok(all.includes('/ssh/creds/{role}') && all.includes('/sys/mounts/{path}'))
    assert.ok(open.includes('/sys/health') && !open.some((path) => path.startsWith('/ssh/')))
    await server.send('update', 'sys/mounts/ssh/tune', { listing_visibility: 'unauth' })
    const listed = await paths('')
    assert.ok(listed.includes('/ssh/verify') && !listed.includes('/ssh/creds/{role}'))
    await server.send('update', 'sys/mounts/ssh/tune', { listing_visibility: '' })
    const stranger = await paths(
      await tokenWith(server, 'path "other/*" { capabilities = ["read"] }'),
    )
    assert.ok(!stranger.some((path) => path.startsWith('/ssh/')))
  })
})
