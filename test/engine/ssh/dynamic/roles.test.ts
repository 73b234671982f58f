/** Roles of key_type dynamic, the keys that they name, and what decides when a key may go (contract 9, Decisions 3 and 12). */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { vector } from '../../../ssh/support.ts'
import type { Mounted } from '../../harness.ts'
import { assertDone, assertRefused, mountSsh, wrapped } from '../support.ts'

const ROLE = {
  key_type: 'dynamic',
  key: 'dev_key',
  admin_user: 'vaultadmin',
  default_user: 'ubuntu',
}
const HOST_KEY = vector('ed25519.pub').split(' ').slice(0, 2).join(' ')

async function mountWithKey(options: Parameters<typeof mountSsh>[0] = {}): Promise<Mounted> {
  const { ssh } = await mountSsh(options)
  assertDone(await ssh.write('keys/dev_key', { key: vector('rsa.key') }))
  return ssh
}

describe('a dynamic role that is refused', () => {
  const cases: readonly [string, Record<string, unknown>, string][] = [
    ['no key', { key: '' }, 'missing key name'],
    ['a key that is not there', { key: 'k' }, "invalid 'key': 'k'"],
    ['a key that no path could name', { key: 'k\0' }, "invalid 'key': 'k\0'"],
    ['no admin user', { admin_user: '' }, 'missing admin username'],
    ['no default user', { default_user: '' }, 'missing default user'],
    ['RSA of 1024 bits', { key_bits: 1024 }, 'invalid key_bits field: 2048 to 4096'],
    ['RSA of 8192 bits', { key_bits: 8192 }, 'invalid key_bits field: 2048 to 4096'],
    [
      'bits of Ed25519',
      { key_algorithm: 'ed25519', key_bits: 2048 },
      'invalid key_bits field: ed25519 keys have one size',
    ],
    ['another algorithm', { key_algorithm: 'dsa' }, 'invalid key_algorithm: one of rsa, ed25519'],
    ['another policy', { host_key_policy: 'no' }, 'invalid host_key_policy: one of strict, tofu'],
    ['a port that is none', { port: 65_536 }, 'invalid port'],
    [
      'host certificates',
      { host_keys: `@cert-authority * ${HOST_KEY}` },
      'invalid host_keys: line 1: @cert-authority is not supported: give the plain key of the host',
    ],
    [
      'ttl above max_ttl',
      { ttl: '2h', max_ttl: '1h' },
      '"ttl" value must be less than "max_ttl" when both are specified',
    ],
  ]
  for (const [name, fields, message] of cases) {
    test(name, async () => {
      const ssh = await mountWithKey()
      assertRefused(await ssh.write('roles/r', { ...ROLE, ...fields }), 400, message)
      assert.equal((await ssh.read('roles/r')).status, 404)
    })
  }

  test('protocols 4.2: names that are none, wherever they stand', async () => {
    const ssh = await mountWithKey()
    for (const field of ['admin_user', 'default_user', 'allowed_users']) {
      for (const name of ['0', '1000', 'Root', 'a b', '-x', '../x', 'a;b', 'x'.repeat(34)]) {
        const { status, error } = await ssh.write('roles/r', { ...ROLE, [field]: name })
        assert.equal(status, 400, `${field} ${name}`)
        assert.match(error ?? '', /is no user name/)
      }
    }
  })

  test('protocols 4.3: options that would make another line or another key', async () => {
    const ssh = await mountWithKey()
    for (const specs of [
      'restrict\nssh-ed25519 AAAA',
      'command="x',
      'no-pty, restrict',
      'cert-authority',
      'principals="root"',
      'unknown-option',
      'restrict ssh-ed25519 AAAA',
    ]) {
      const { status, error } = await ssh.write('roles/r', { ...ROLE, key_option_specs: specs })
      assert.equal(status, 400, specs)
      assert.match(error ?? '', /^invalid key_option_specs: /)
    }
  })

  test('protocols 4.5: a caller who may not write the key, whether or not it exists', async () => {
    const ssh = await mountWithKey()
    const asked: string[] = []
    ssh.allowsSudo = (operation, path) => {
      asked.push(`${operation} ${path}`)
      return false
    }
    for (const key of ['dev_key', 'other']) {
      const answer = await ssh.write('roles/r', { ...ROLE, key })
      assertRefused(answer, 403, wrapped('permission denied'))
    }
    assert.deepEqual(asked, ['update keys/dev_key', 'update keys/other'])
  })

  test('protocols 4.5: an install script where the server config does not allow it', async () => {
    const script = { ...ROLE, install_script: '#!/bin/sh\nexit 0\n' }
    const ssh = await mountWithKey({ allowInstallScripts: false })
    const { status, error } = await ssh.write('roles/r', script)
    assert.equal(status, 400)
    assert.match(error ?? '', /allow_install_scripts = true/)
    assertDone(await (await mountWithKey()).write('roles/r', script))
  })
})

describe('a dynamic role', () => {
  test('shows what the API says and ours', async () => {
    const ssh = await mountWithKey()
    assert.equal((await ssh.write('roles/r', { ...ROLE, cidr_list: '10.0.0.0/8' })).status, 204)
    assert.deepEqual((await ssh.read('roles/r')).data, {
      admin_user: 'vaultadmin',
      allowed_users: '',
      authorized_keys: 'user',
      cidr_list: '10.0.0.0/8',
      default_user: 'ubuntu',
      exclude_cidr_list: '',
      host_key_policy: 'tofu',
      host_keys: '',
      install_script: '',
      key: 'dev_key',
      key_algorithm: 'ed25519',
      key_bits: 0,
      key_option_specs: '',
      key_type: 'dynamic',
      port: 22,
      renew_rewrites_expiry: true,
    })
    const { data } = await ssh.list('roles')
    assert.deepEqual(data['key_info'], { r: { key_type: 'dynamic' } })
    assert.deepEqual((await ssh.write('lookup', { ip: '10.1.2.3' })).data, { roles: ['r'] })
  })

  test('has its times only when they are set, and is strict by default where host_keys are given', async () => {
    const ssh = await mountWithKey()
    const fields = { ttl: '5m', max_ttl: '1h', host_keys: `10.0.0.1 ${HOST_KEY}` }
    assertDone(await ssh.write('roles/r', { ...ROLE, ...fields }))
    const { data } = await ssh.read('roles/r')
    assert.deepEqual(
      [data['ttl'], data['max_ttl'], data['host_key_policy'], data['host_keys']],
      [300, 3600, 'strict', fields.host_keys],
    )
  })

  test('Decision 12: makes RSA pairs when key_bits is given or the mount is of 2015', async () => {
    const ssh = await mountWithKey()
    const choice = async (fields: Record<string, unknown>) => {
      assertDone(await ssh.write('roles/r', { ...ROLE, ...fields }))
      const { data } = await ssh.read('roles/r')
      return [data['key_algorithm'], data['key_bits']]
    }
    assert.deepEqual(await choice({}), ['ed25519', 0])
    assert.deepEqual(await choice({ key_bits: 3072 }), ['rsa', 3072])
    assert.deepEqual(await choice({ key_algorithm: 'rsa' }), ['rsa', 2048])
    ssh.tuning = { options: { compat: '2015' } }
    assert.deepEqual(await choice({}), ['rsa', 2048])
    assert.deepEqual(await choice({ key_bits: 1024 }), ['rsa', 1024])
    assert.deepEqual(await choice({ key_algorithm: 'ed25519' }), ['ed25519', 0])
  })

  test('Decision 3: is named in the log where compat=2015 widens it', async () => {
    const { ssh, logged } = await mountSsh()
    assertDone(await ssh.write('keys/dev_key', { key: vector('ed25519.key') }))
    ssh.tuning = { options: { compat: '2015' } }
    assertDone(await ssh.write('roles/r', ROLE))
    assert.deepEqual(
      logged.map(({ message }) => message),
      ['compat=2015: the role is for every address and any user'],
    )
    assert.deepEqual((await ssh.write('lookup', { ip: '192.0.2.1' })).data, { roles: ['r'] })
  })
})

describe('keys', () => {
  test('are taken in every form, and never shown', async () => {
    const { ssh } = await mountSsh()
    for (const name of ['rsa', 'p256', 'p384', 'p521', 'ed25519']) {
      const answer = await ssh.write(`keys/${name}`, { key: vector(`${name}.key`) })
      assert.equal(answer.status, 204, name)
    }
    assert.equal((await ssh.read('keys/rsa')).status, 405)
    assert.equal((await ssh.delete('keys/rsa')).status, 204)
    assert.equal((await ssh.delete('keys/rsa')).status, 204)
  })

  test('are refused when they are none, with what to do about a passphrase', async () => {
    const { ssh } = await mountSsh()
    assertRefused(await ssh.write('keys/k', {}), 400, 'missing key')
    assertRefused(await ssh.write('keys/k', { key: 'x' }), 400, 'invalid key: ssh: no key found')
    const encrypted =
      '-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n'
    const { error } = await ssh.write('keys/k', { key: encrypted })
    assert.match(error ?? '', /^invalid key: the private key has a passphrase; give a copy without/)
  })

  test('that no role and no lease needs are tidied away', async () => {
    const ssh = await mountWithKey()
    assertDone(await ssh.write('keys/idle', { key: vector('ed25519.key') }))
    assertDone(await ssh.write('roles/r', ROLE))
    const { data } = await ssh.delete('tidy/dynamic-keys')
    assert.deepEqual(data, { message: 'Removed 1 of 2 host keys.' })
    assertRefused(
      await ssh.write('roles/r', { ...ROLE, key: 'idle' }),
      400,
      "invalid 'key': 'idle'",
    )
    assertDone(await ssh.write('roles/r', ROLE))
  })
})

describe('host-pins', () => {
  test('are set, listed, read and deleted by address and port', async () => {
    const { ssh } = await mountSsh()
    assert.equal((await ssh.list('host-pins')).status, 404)
    assertDone(await ssh.write('host-pins/10.0.0.1', { key: `${HOST_KEY} root@web` }))
    assertDone(await ssh.write('host-pins/::ffff:10.0.0.1/2222', { key: HOST_KEY }))
    const { data } = await ssh.list('host-pins')
    assert.deepEqual(data['keys'], ['10.0.0.1/22', '10.0.0.1/2222'])
    const pin = (await ssh.read('host-pins/10.0.0.1')).data
    assert.deepEqual([pin['key'], pin['pinned_by']], [HOST_KEY, 'operator'])
    assert.match(String(pin['fingerprint']), /^SHA256:/)
    assert.equal((await ssh.delete('host-pins/10.0.0.1/2222')).status, 204)
    assert.equal((await ssh.read('host-pins/10.0.0.1/2222')).status, 404)
    assert.equal((await ssh.read('host-pins/10.0.0.1')).status, 200)
  })

  test('are refused for what is no address, no port and no key', async () => {
    const { ssh } = await mountSsh()
    const key = { key: HOST_KEY }
    assertRefused(await ssh.write('host-pins/web', key), 400, 'invalid IP "web"')
    assertRefused(await ssh.write('host-pins/10.0.0.1/0', key), 400, 'invalid port')
    assertRefused(await ssh.write('host-pins/10.0.0.1/70000', key), 400, 'invalid port')
    assertRefused(await ssh.write('host-pins/10.0.0.1', {}), 400, 'missing key')
    assert.match((await ssh.write('host-pins/10.0.0.1', { key: 'x' })).error ?? '', /^invalid key/)
  })

  test('are never taken for keys of the same name', async () => {
    const { ssh } = await mountSsh()
    assertDone(await ssh.write('host-pins/10.0.0.1', { key: HOST_KEY }))
    const role = { ...ROLE, key: '10.0.0.1' }
    assertRefused(await ssh.write('roles/r', role), 400, "invalid 'key': '10.0.0.1'")
  })
})

describe('config/lease', () => {
  test('gives passwords their life where neither role nor mount does', async () => {
    const { ssh } = await mountSsh()
    assert.equal((await ssh.read('config/lease')).status, 404)
    const life = async () => {
      const { outcome } = await ssh.write('creds/otp', { ip: '10.0.0.1' })
      return [outcome.lease?.terms.ttlSeconds, outcome.lease?.terms.maxTtlSeconds]
    }
    const role = { key_type: 'otp', default_user: 'u', cidr_list: '10.0.0.0/8' }
    assertDone(await ssh.write('roles/otp', role))
    assert.deepEqual(await life(), [600, 86_400])
    assert.equal((await ssh.write('config/lease', { lease: '1h', lease_max: '24h' })).status, 204)
    assert.deepEqual((await ssh.read('config/lease')).data, { lease: '3600s', lease_max: '86400s' })
    assert.deepEqual(await life(), [3600, 86_400])
    ssh.tuning = { defaultTtl: 60 }
    assert.deepEqual(await life(), [60, 86_400])
    assertDone(await ssh.write('roles/otp', { ...role, ttl: 30 }))
    assert.deepEqual(await life(), [30, 86_400])
  })

  test('is refused when a time is missing, no time, or the wrong way round', async () => {
    const { ssh } = await mountSsh()
    const cases: readonly [Record<string, unknown>, RegExp][] = [
      [{ lease_max: '1h' }, /^'lease' is a required parameter$/],
      [{ lease: '1h' }, /^'lease_max' is a required parameter$/],
      [{ lease: 'x', lease_max: '1h' }, /^invalid 'lease': /],
      [{ lease: '0', lease_max: '1h' }, /^invalid 'lease': /],
      [{ lease: '2h', lease_max: '1h' }, /^'lease' must not be above 'lease_max'$/],
    ]
    for (const [fields, message] of cases) {
      assert.match((await ssh.write('config/lease', fields)).error ?? '', message)
    }
  })
})
