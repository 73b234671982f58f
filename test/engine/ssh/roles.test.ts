/** Writing, reading, listing and deleting roles; the list of roles for every host. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { assertDone, assertRefused, mountSsh, wrapped } from './support.ts'

const CA = { key_type: 'ca', allow_user_certificates: true }
const OTP = { key_type: 'otp', default_user: 'u' }

describe('a role that is refused', () => {
  const cases: readonly [string, Record<string, unknown>, number, string][] = [
    ['no key type', { default_user: 'u' }, 400, 'missing key type'],
    ['an unknown key type', { key_type: 'foo' }, 400, 'invalid key type'],
    ['otp without default user', { key_type: 'otp' }, 400, 'missing default user'],
    [
      'otp with an admin user',
      { ...OTP, admin_user: 'root' },
      400,
      'admin user not required for OTP type',
    ],
    [
      'a bad cidr_list',
      { ...OTP, cidr_list: 'nonsense' },
      500,
      wrapped('failed to validate cidr_list: invalid CIDR address: nonsense'),
    ],
    [
      'a bad exclude_cidr_list',
      { ...OTP, exclude_cidr_list: 'x' },
      500,
      wrapped('failed to validate exclude_cidr_list entry: invalid CIDR address: x'),
    ],
    ['a port that is none', { ...OTP, port: 65_536 }, 400, 'invalid port'],
    [
      'ca for nobody',
      { key_type: 'ca' },
      400,
      "Either 'allow_user_certificates' or 'allow_host_certificates' must be set to 'true'",
    ],
    [
      'ttl above max_ttl',
      { ...CA, ttl: '2h', max_ttl: '1h' },
      400,
      '"ttl" value must be less than "max_ttl" when both are specified',
    ],
    [
      'otp ttl above max_ttl',
      { ...OTP, ttl: '2h', max_ttl: '1h' },
      400,
      '"ttl" value must be less than "max_ttl" when both are specified',
    ],
    [
      'an unknown signer',
      { ...CA, algorithm_signer: 'md5' },
      500,
      wrapped('unknown algorithm signer "md5"'),
    ],
    [
      'a length that is no number',
      { ...CA, allowed_user_key_lengths: { rsa: 'abc' } },
      400,
      'error processing allowed_user_key_lengths: strconv.ParseInt: parsing "abc": invalid syntax',
    ],
  ]
  for (const [name, fields, status, message] of cases) {
    test(name, async () => {
      const { ssh } = await mountSsh()
      assertRefused(await ssh.write('roles/r', fields), status, message)
      assert.equal((await ssh.read('roles/r')).status, 404)
    })
  }
})

describe('reading a role', () => {
  test('an otp role shows exactly its fields', async () => {
    const { ssh } = await mountSsh()
    const written = { ...OTP, key_type: 'OTP', cidr_list: '10.0.0.0/8', allowed_users: 'a, b' }
    assert.equal((await ssh.write('roles/r', written)).status, 204)
    assert.deepEqual((await ssh.read('roles/r')).data, {
      allowed_users: 'a, b',
      cidr_list: '10.0.0.0/8',
      default_user: 'u',
      exclude_cidr_list: '',
      key_type: 'otp',
      port: 22,
    })
  })

  test('an otp role shows its times when they are set (Decision 2)', async () => {
    const { ssh } = await mountSsh()
    assertDone(await ssh.write('roles/r', { ...OTP, ttl: '5m', max_ttl: '1h' }))
    const { data } = await ssh.read('roles/r')
    assert.deepEqual([data['ttl'], data['max_ttl']], [300, 3600])
  })

  test('a ca role shows the defaults of the API, and our fields only when set', async () => {
    const { ssh } = await mountSsh()
    const seed = {
      ...CA,
      allowed_users: '*',
      default_extensions: [{ 'permit-pty': '' }],
      default_user: 'ec2-user',
      ttl: '30m0s',
    }
    assert.equal((await ssh.write('roles/r', seed)).status, 204)
    const { data } = await ssh.read('roles/r')
    assert.equal(Object.keys(data).length, 26)
    assert.deepEqual(
      [
        data['ttl'],
        data['not_before_duration'],
        data['issuer_ref'],
        data['default_extensions'],
        data['allowed_user_key_lengths'],
        data['algorithm_signer'],
      ],
      [1800, 30, 'default', { 'permit-pty': '' }, {}, 'default'],
    )
    assertDone(await ssh.write('roles/r', { ...CA, required_extensions: { a: '' } }))
    assert.deepEqual((await ssh.read('roles/r')).data['required_extensions'], { a: '' })
  })

  test('lengths may be numbers, texts and lists', async () => {
    const { ssh } = await mountSsh()
    const lengths = { rsa: '2048,4096', ed25519: 0, ec: [256, '384'] }
    assertDone(await ssh.write('roles/r', { ...CA, allowed_user_key_lengths: lengths }))
    assert.deepEqual((await ssh.read('roles/r')).data['allowed_user_key_lengths'], {
      rsa: [2048, 4096],
      ed25519: [0],
      ec: [256, 384],
    })
  })

  test('a write replaces the whole role', async () => {
    const { ssh } = await mountSsh()
    assertDone(await ssh.write('roles/r', { ...CA, allowed_users: 'a' }))
    assertDone(await ssh.write('roles/r', CA))
    assert.equal((await ssh.read('roles/r')).data['allowed_users'], '')
  })

  test('names of JavaScript objects are names like others (protocols 3.1)', async () => {
    const { ssh } = await mountSsh()
    for (const name of ['__proto__', 'constructor']) {
      assert.equal((await ssh.read(`roles/${name}`)).status, 404)
      const extensions = JSON.parse(`{"${name}": "1"}`) as Record<string, unknown>
      assertDone(await ssh.write(`roles/${name}`, { ...CA, default_extensions: extensions }))
      const shown = (await ssh.read(`roles/${name}`)).data['default_extensions']
      assert.deepEqual(Object.entries(shown as object), [[name, '1']])
    }
    const { data } = await ssh.list('roles')
    assert.deepEqual(data['keys'], ['__proto__', 'constructor'])
    assert.deepEqual(Object.keys(data['key_info'] as object), data['keys'])
  })

  test('default_critical_options that a caller can drop are warned about (openbao calculateCriticalOptions)', async () => {
    const { ssh } = await mountSsh()
    const options = { default_critical_options: { 'force-command': '/bin/id' } }
    assert.equal((await ssh.write('roles/r', { ...CA, ...options })).warnings.length, 1)
    const listed = { ...options, allowed_critical_options: 'force-command' }
    assert.equal((await ssh.write('roles/r', { ...CA, ...listed })).status, 204)
  })
})

describe('listing roles', () => {
  test('shows kinds and issuers, in pages', async () => {
    const { ssh } = await mountSsh()
    assert.equal((await ssh.list('roles')).status, 404)
    assertDone(await ssh.write('roles/b', OTP))
    assertDone(await ssh.write('roles/a', CA))
    assertDone(await ssh.write('roles/c', OTP))
    assert.deepEqual((await ssh.list('roles')).data, {
      keys: ['a', 'b', 'c'],
      key_info: {
        a: { key_type: 'ca', issuer_ref: 'default' },
        b: { key_type: 'otp' },
        c: { key_type: 'otp' },
      },
    })
    const page = await ssh.list('roles', { after: 'a', limit: '1' })
    assert.deepEqual(page.data, { keys: ['b'], key_info: { b: { key_type: 'otp' } } })
    assert.equal((await ssh.list('roles', { after: 'c' })).status, 404)
  })
})

describe('config/zeroaddress', () => {
  test('is absent until it is written, and forgets a deleted role', async () => {
    const { ssh } = await mountSsh()
    assert.equal((await ssh.read('config/zeroaddress')).status, 404)
    assertRefused(await ssh.write('config/zeroaddress'), 400, 'Missing roles')
    assertRefused(
      await ssh.write('config/zeroaddress', { roles: 'nope' }),
      400,
      'Role "nope" does not exist',
    )
    for (const name of ['\0', 'a/b', '__proto__']) {
      const refusal = `Role ${JSON.stringify(name)} does not exist`
      assertRefused(await ssh.write('config/zeroaddress', { roles: [name] }), 400, refusal)
    }
    assertDone(await ssh.write('roles/r', OTP))
    assertDone(await ssh.write('config/zeroaddress', { roles: 'r' }))
    assert.deepEqual((await ssh.read('config/zeroaddress')).data, { roles: ['r'] })
    assertDone(await ssh.delete('roles/r'))
    assert.deepEqual((await ssh.read('config/zeroaddress')).data, { roles: [] })
    assertDone(await ssh.delete('config/zeroaddress'))
    assert.equal((await ssh.read('config/zeroaddress')).status, 404)
  })
})

test('deleting a role that is not there is no error', async () => {
  const { ssh } = await mountSsh()
  assert.equal((await ssh.delete('roles/nope')).status, 204)
})

test('unknown paths are not supported', async () => {
  const { ssh } = await mountSsh()
  for (const path of ['keys/a/b', 'keys', 'roles/a/b', 'roles/a b', 'nope']) {
    assert.equal((await ssh.write(path)).status, 404, path)
  }
  const tidy = await ssh.delete('tidy/dynamic-keys')
  assert.deepEqual(tidy.data, { message: 'Removed 0 of 0 host keys.' })
})
