/** One-time passwords: creds, lookup, verify, and what `compat=2015` makes of them. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Answer, Mounted } from '../harness.ts'
import { assertDone, assertRefused, mountSsh, wrapped } from './support.ts'

const RANGE = 'Error validating IP: IP does not belong to role'
const NOT_FOUND = 'OTP not found'
const OTP_FORM = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

async function mountOtp(): Promise<Mounted> {
  const { ssh } = await mountSsh()
  assertDone(
    await ssh.write('roles/web', {
      key_type: 'otp',
      default_user: 'ubuntu',
      cidr_list: '10.0.0.0/8,127.0.0.1/32,2001:db8::/32',
      exclude_cidr_list: '10.9.0.0/16',
      allowed_users: 'ubuntu, root ,dev',
      port: 2222,
    }),
  )
  assertDone(await ssh.write('roles/bare', { key_type: 'otp', default_user: 'u' }))
  assertDone(
    await ssh.write('roles/ca', {
      key_type: 'ca',
      allow_user_certificates: true,
      default_user: 'u',
    }),
  )
  return ssh
}

async function otpFor(ssh: Mounted, data: Record<string, unknown> = {}): Promise<string> {
  const answer = await ssh.write('creds/web', { ip: '10.1.2.3', ...data })
  assertDone(answer)
  return String(answer.data['key'])
}

const verify = (ssh: Mounted, otp: unknown, more = {}): Promise<Answer> =>
  ssh.write('verify', { otp, ...more })

describe('creds', () => {
  test('answers with a password in the form of a UUID and a lease of ten minutes', async () => {
    const ssh = await mountOtp()
    const { data, outcome } = await ssh.write('creds/web', { ip: '10.1.2.3' })
    const { key, ...rest } = data
    assert.match(String(key), OTP_FORM)
    assert.deepEqual(rest, { ip: '10.1.2.3', key_type: 'otp', port: 2222, username: 'ubuntu' })
    const { ttlSeconds, maxTtlSeconds, renewable } = outcome.lease?.terms ?? {}
    assert.deepEqual([ttlSeconds, maxTtlSeconds, renewable], [600, 86_400, false])
  })

  test('stores nothing from which the password can be read', async () => {
    const ssh = await mountOtp()
    const { data, outcome } = await ssh.write('creds/web', { ip: '10.1.2.3' })
    const stored = outcome.writes?.map(
      ({ key, value }) => key + Buffer.from(value ?? []).toString(),
    )
    assert.equal(stored?.length, 1)
    assert.ok(!stored?.join().includes(String(data['key'])))
    assert.ok(!JSON.stringify(outcome.lease).includes(String(data['key'])))
    assert.deepEqual(
      outcome.issuedKeys,
      outcome.writes?.map(({ key }) => key),
    )
  })

  const cases: readonly [string, string, Record<string, unknown>, number, string][] = [
    ['no ip', 'web', {}, 400, 'Missing ip'],
    ['no ip, before the role', 'nope', {}, 400, 'Missing ip'],
    ['an unknown role', 'nope', { ip: '10.1.2.3' }, 400, 'Role "nope" not found'],
    [
      'a user not listed',
      'web',
      { ip: 'x', username: 'evil' },
      400,
      'Username is not present is allowed users list',
    ],
    [
      'a user where none is listed',
      'bare',
      { ip: 'x', username: 'evil' },
      400,
      'Username has to be either in allowed users list or has to be a default username',
    ],
    ['a host name', 'web', { ip: 'host.example' }, 400, 'Invalid IP "host.example"'],
    ['leading zeros', 'web', { ip: '010.1.2.3' }, 400, 'Invalid IP "010.1.2.3"'],
    ['an excluded address', 'web', { ip: '10.9.1.1' }, 400, RANGE],
    ['an excluded address in its mapped form', 'web', { ip: '::ffff:10.9.1.1' }, 400, RANGE],
    ['an address outside', 'web', { ip: '192.168.1.1' }, 400, RANGE],
    ['an IPv6 address outside', 'web', { ip: '::1' }, 400, RANGE],
    ['a role without networks', 'bare', { ip: '10.1.2.3' }, 400, RANGE],
    ['a ca role', 'ca', { ip: '10.1.2.3' }, 400, RANGE],
  ]
  for (const [name, role, data, status, message] of cases) {
    test(`refuses ${name}`, async () => {
      const ssh = await mountOtp()
      assertRefused(await ssh.write(`creds/${role}`, data), status, message)
    })
  }

  test('takes a listed user and the canonical form of the address', async () => {
    const ssh = await mountOtp()
    const mapped = await ssh.write('creds/web', { ip: '::ffff:10.0.0.1', username: 'root' })
    assert.deepEqual([mapped.data['ip'], mapped.data['username']], ['10.0.0.1', 'root'])
    const six = await ssh.write('creds/web', { ip: '2001:DB8:0::1' })
    assert.equal(six.data['ip'], '2001:db8::1')
  })

  test('takes any address for a role of config/zeroaddress', async () => {
    const ssh = await mountOtp()
    assertDone(await ssh.write('config/zeroaddress', { roles: 'bare,ca,web' }))
    assertDone(await ssh.write('creds/bare', { ip: '192.168.1.1' }))
    assertDone(await ssh.write('creds/web', { ip: '10.9.1.1' }))
    assertRefused(await ssh.write('creds/ca', { ip: '1.2.3.4' }), 500, wrapped('key type unknown'))
  })

  test('needs a user where the role names none', async () => {
    const ssh = await mountOtp()
    assertDone(await ssh.write('roles/ca', { key_type: 'ca', allow_user_certificates: true }))
    const message = "No default username registered. Use 'username' option"
    assertRefused(await ssh.write('creds/ca', { ip: '1.2.3.4' }), 400, message)
  })

  const lives: readonly [string, object, object, number, number][] = [
    ["the role's ttl", { ttl: '5m' }, { defaultTtl: 60 }, 300, 86_400],
    ["the mount's tuned default", {}, { defaultTtl: 60, maxTtl: 3600 }, 60, 3600],
    ["the mount's tuned maximum", { ttl: '2h' }, { maxTtl: 3600 }, 3600, 3600],
    [
      "the role's max_ttl before the mount's",
      { ttl: '1h', max_ttl: '2h' },
      { maxTtl: 60 },
      3600,
      7200,
    ],
    ["the role's max_ttl below the default", { max_ttl: '1m' }, {}, 60, 60],
    ['24 hours at most', { ttl: '48h' }, {}, 86_400, 86_400],
  ]
  for (const [name, role, tuning, ttl, max] of lives) {
    test(`lives as long as ${name} (Decision 2)`, async () => {
      const { ssh } = await mountSsh()
      ssh.tuning = tuning
      const fields = { key_type: 'otp', default_user: 'u', cidr_list: '0.0.0.0/0', ...role }
      assertDone(await ssh.write('roles/r', fields))
      const { outcome } = await ssh.write('creds/r', { ip: '10.0.0.1' })
      const terms = outcome.lease?.terms
      assert.deepEqual([terms?.ttlSeconds, terms?.maxTtlSeconds], [ttl, max])
    })
  }

  test('a life that is cut is warned about in the words of the API', async () => {
    const { ssh } = await mountSsh()
    ssh.tuning = { maxTtl: 86_400 }
    const fields = { key_type: 'otp', default_user: 'u', cidr_list: '0.0.0.0/0', ttl: '48h' }
    assertDone(await ssh.write('roles/r', fields))
    assert.deepEqual((await ssh.write('creds/r', { ip: '10.0.0.1' })).warnings, [
      'TTL of "48h" exceeded the effective max_ttl of "24h"; TTL value is capped accordingly',
    ])
  })
})

describe('lookup', () => {
  test('names roles by their networks, excludes aside, then those for every host', async () => {
    const ssh = await mountOtp()
    assertDone(await ssh.write('config/zeroaddress', { roles: 'bare,web' }))
    const roles = async (ip: string) => (await ssh.write('lookup', { ip })).data['roles']
    assert.deepEqual(await roles('10.9.2.3'), ['web', 'bare'])
    assert.deepEqual(await roles('192.168.1.1'), ['bare', 'web'])
    assertDone(await ssh.delete('config/zeroaddress'))
    assert.equal(await roles('192.168.1.1'), null)
  })

  test('refuses what is no address', async () => {
    const ssh = await mountOtp()
    assertRefused(await ssh.write('lookup'), 400, 'Missing ip')
    assertRefused(await ssh.write('lookup', { ip: 'zzz' }), 400, 'Invalid IP "<nil>"')
  })
})

describe('verify', () => {
  test('says for whom and where, once, and ends the lease', async () => {
    const ssh = await mountOtp()
    const { data, outcome } = await ssh.write('creds/web', { ip: '10.1.2.3' })
    const first = await verify(ssh, data['key'])
    assert.deepEqual(first.data, { ip: '10.1.2.3', role_name: 'web', username: 'ubuntu' })
    assert.deepEqual(
      first.outcome.endedLeases?.map(({ id }) => id),
      [outcome.lease?.id],
    )
    assertRefused(await verify(ssh, data['key']), 400, NOT_FOUND)
    assert.deepEqual(await ssh.dataKeys(), [])
  })

  test('of 64 parallel tries one is answered (pitfalls, vault#956)', async () => {
    const ssh = await mountOtp()
    const otp = await otpFor(ssh)
    const answers = await Promise.all(Array.from({ length: 64 }, () => verify(ssh, otp)))
    assert.equal(answers.filter(({ status }) => status === 200).length, 1)
    assert.equal(answers.filter(({ error }) => error === NOT_FOUND).length, 63)
  })

  test('answers the echo', async () => {
    const ssh = await mountOtp()
    const { data } = await verify(ssh, 'verify-echo-request')
    assert.deepEqual(data, { message: 'verify-echo-response' })
  })

  const malformed = [
    'nonsense',
    '',
    undefined,
    'C7123F1A-DF4E-5A39-E84F-8F4D1A3836F9',
    '00000000-0000-0000-0000-000000000000',
  ]
  for (const otp of malformed) {
    test(`${JSON.stringify(otp)} is not found`, async () => {
      const ssh = await mountOtp()
      assertRefused(await verify(ssh, otp), 400, NOT_FOUND)
    })
  }

  test('refuses an expired password before it is removed', async () => {
    const ssh = await mountOtp()
    const otp = await otpFor(ssh)
    ssh.now += 600_000
    assertRefused(await verify(ssh, otp), 400, NOT_FOUND)
  })

  test('refuses a password whose lease was revoked', async () => {
    const ssh = await mountOtp()
    const { data, outcome } = await ssh.write('creds/web', { ip: '10.1.2.3' })
    assert.ok(outcome.lease)
    await ssh.revoke(outcome.lease)
    assert.deepEqual(await ssh.dataKeys(), [])
    assertRefused(await verify(ssh, data['key']), 400, NOT_FOUND)
  })

  test('a password outlives its role', async () => {
    const ssh = await mountOtp()
    const otp = await otpFor(ssh)
    assertDone(await ssh.delete('roles/web'))
    assert.equal((await verify(ssh, otp)).data['role_name'], 'web')
  })

  const wrongHosts: readonly [string, Record<string, unknown>, string][] = [
    ['another user', { username: 'root' }, 'the OTP was issued for another username'],
    ['no user', { username: '' }, 'the OTP was issued for another username'],
    ['another address', { ip: '10.1.2.4' }, 'the OTP was issued for another IP'],
    ['none of its addresses', { ips: ['10.1.2.4', '::1'] }, 'the OTP was issued for another IP'],
    ['no address at all', { ips: [] }, 'the OTP was issued for another IP'],
  ]
  for (const [name, more, message] of wrongHosts) {
    test(`a host that sends ${name} is refused, and the password is kept`, async () => {
      const ssh = await mountOtp()
      const otp = await otpFor(ssh)
      assertRefused(await verify(ssh, otp, more), 400, message)
      const right = { username: 'ubuntu', ip: '::ffff:10.1.2.3', ips: 'fe80::1,10.1.2.3' }
      assertDone(await verify(ssh, otp, right))
    })
  }
})

describe('compat=2015', () => {
  async function mount2015(allowCompat2015 = true) {
    const mounted = await mountSsh({ allowCompat2015 })
    mounted.ssh.tuning = { options: { compat: '2015' } }
    assertDone(await mounted.ssh.write('roles/r', { key_type: 'otp', default_user: 'u' }))
    return mounted
  }

  test('empty lists are every address and any user, and the log names the role', async () => {
    const { ssh, logged } = await mount2015()
    assertDone(await ssh.write('creds/r', { ip: '8.8.8.8', username: 'anybody' }))
    assert.deepEqual((await ssh.write('lookup', { ip: '::1' })).data['roles'], ['r'])
    assert.deepEqual(logged, [
      {
        details: { mount: 'ssh/', role: 'r' },
        message: 'compat=2015: the role is for every address and any user',
      },
    ])
  })

  test('excluded networks and lists that are not empty still count', async () => {
    const { ssh } = await mount2015()
    const fields = {
      key_type: 'otp',
      default_user: 'u',
      exclude_cidr_list: '10.0.0.0/8',
      allowed_users: 'a',
    }
    assertDone(await ssh.write('roles/r', fields))
    assertRefused(await ssh.write('creds/r', { ip: '10.0.0.1' }), 400, RANGE)
    assert.equal((await ssh.write('creds/r', { ip: '8.8.8.8', username: 'b' })).status, 400)
  })

  test('a wrong password is 204 for old clients, and counted as a miss; today’s clients get the 400', async () => {
    const { ssh } = await mount2015()
    const old = await verify(ssh, 'nonsense')
    assert.deepEqual([old.status, old.outcome.missed], [204, true])
    const today = await ssh.write(
      'verify',
      { otp: 'nonsense' },
      { headers: { 'x-vault-request': 'true' } },
    )
    assertRefused(today, 400, NOT_FOUND)
  })

  test('has no effect where the server does not allow it', async () => {
    const { ssh, logged } = await mount2015(false)
    assertRefused(await ssh.write('creds/r', { ip: '8.8.8.8' }), 400, RANGE)
    assertRefused(await verify(ssh, 'nonsense'), 400, NOT_FOUND)
    assert.deepEqual(logged, [])
  })

  test('does not touch ca roles', async () => {
    const { ssh } = await mount2015()
    assertDone(
      await ssh.write('roles/ca', {
        key_type: 'ca',
        allow_user_certificates: true,
        default_user: 'u',
      }),
    )
    assertRefused(await ssh.write('creds/ca', { ip: '8.8.8.8' }), 400, RANGE)
    assert.equal((await ssh.write('creds/ca', { ip: '8.8.8.8', username: 'x' })).status, 400)
  })
})
