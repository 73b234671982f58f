/** Signing: every check in its order, and certificates as ssh-keygen reads them. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { PosternError } from '../../../../src/errors.ts'
import { decodeBase64 } from '../../../../src/ssh/base64.ts'
import { parseCertificate, verifyCertificate } from '../../../../src/ssh/certificate/certificate.ts'
import { caNames, subjectNames, vector, vectorPublicKey } from '../../../ssh/support.ts'
import type { Answer, Mounted, Sent } from '../../harness.ts'
import { assertDone, assertRefused, inspect, mountCa, mountSsh } from '../support.ts'

const KEY = vector('p256.pub')
const UNSAFE =
  'refusing to issue unsafe, globally-valid certificate with no principals specified; set valid_principals or default_user'
const USERS = {
  key_type: 'ca',
  allow_user_certificates: true,
  allowed_users: 'alice,bob',
  default_user: 'alice',
}

async function mountRole(role: object = {}, caName = 'ed25519'): Promise<Mounted> {
  const ssh = await mountCa(caName)
  assertDone(await ssh.write('roles/r', { ...USERS, ...role }))
  return ssh
}

const sign = (ssh: Mounted, fields: object = {}, sent?: Sent): Promise<Answer> =>
  ssh.write('sign/r', { public_key: KEY, ...fields }, sent)

async function signed(ssh: Mounted, fields: object = {}, sent?: Sent) {
  const answer = await sign(ssh, fields, sent)
  assertDone(answer)
  return certificateOf(answer)
}

function certificateOf({ data }: Answer) {
  return parseCertificate(decodeBase64(String(data['signed_key']).split(' ')[1] ?? ''))
}

describe('a certificate', () => {
  for (const subject of subjectNames) {
    for (const ca of subject === 'ed25519' ? caNames : ['ed25519']) {
      test(`for ${subject} by a ${ca} CA is what ssh-keygen reads and our check accepts`, async () => {
        const ssh = await mountRole({}, ca)
        const answer = await sign(ssh, { public_key: vector(`${subject}.pub`) })
        const { data } = answer
        assert.deepEqual(Object.keys(data).sort(), ['issuer_id', 'serial_number', 'signed_key'])
        assert.match(String(data['signed_key']), /^\S+-cert-v01@openssh\.com [A-Za-z0-9+/=]+\n$/)
        const shown = inspect(data['signed_key'])
        assert.deepEqual(shown.get('Principals'), ['alice'])
        assert.equal(shown.get('Serial'), BigInt(`0x${data['serial_number']}`).toString())
        verifyCertificate(certificateOf(answer), {
          trustedCaKeys: [vectorPublicKey(ca)],
          type: 'user',
          principal: 'alice',
          now: BigInt(ssh.now / 1000),
          enforcedCriticalOptions: [],
        })
      })
    }
  }

  test('is valid from 30 s ago for exactly its ttl (vault#11849)', async () => {
    const ssh = await mountRole({ ttl: '30m0s' })
    const { validAfter, validBefore } = await signed(ssh)
    const now = BigInt(ssh.now / 1000)
    assert.deepEqual([validAfter, validBefore], [now - 30n, now + 1800n])
  })

  test('has a serial of its own each time, written without padding', async () => {
    const ssh = await mountRole()
    const serials = new Set<string>()
    for (let count = 0; count < 20; count += 1) {
      const serial = String((await sign(ssh)).data['serial_number'])
      assert.match(serial, /^[1-9a-f][0-9a-f]{0,15}$/)
      serials.add(serial)
    }
    assert.equal(serials.size, 20)
  })

  test('takes a line, a line with its comment, or the base64 alone', async () => {
    const ssh = await mountRole()
    const [type, base64] = KEY.split(' ')
    for (const text of [KEY, `${type} ${base64} me@x`, base64]) {
      assertDone(await sign(ssh, { public_key: text }))
    }
  })

  test('for a host carries its domains and the default extensions', async () => {
    const host = {
      allow_host_certificates: true,
      allowed_domains: 'example.com',
      allow_subdomains: true,
      default_extensions: { 'x@y': '1' },
    }
    const ssh = await mountRole(host)
    const answer = await sign(ssh, {
      cert_type: 'host',
      valid_principals: 'b.example.com,a.example.com',
    })
    const shown = inspect(answer.data['signed_key'])
    assert.match(String(shown.get('Type')), /host certificate$/)
    assert.deepEqual(shown.get('Principals'), ['a.example.com', 'b.example.com'])
    assert.equal(certificateOf(answer).extensions.get('x@y'), '1')
  })
})

describe('checks come in their order', () => {
  const KEYS = 'public_key failed to meet the key requirements'
  // Each request breaks the check it names and all that come after it.
  const broken: Record<string, unknown> = { extensions: { bad: '' } }
  const steps: readonly [Record<string, unknown>, string][] = [
    [{}, 'extensions [bad] are not on allowed list'],
    [
      { critical_options: { 'source-address': '1.2.3.4/32' } },
      'critical options not on allowed list: [source-address]',
    ],
    [{ ttl: '2h' }, 'ttl is larger than maximum allowed 3600'],
    [{ valid_principals: 'root' }, 'root is not a valid value for valid_principals'],
    [{ cert_type: 'host' }, "cert_type 'host' is not allowed by role"],
    [{ cert_type: 'foo' }, "cert_type must be either 'user' or 'host'"],
    [{ key_id: 'x' }, 'setting key_id is not allowed by role'],
    [{ public_key: vector('p384.pub') }, `${KEYS}: key is of an invalid size: 384`],
    [{ public_key: vector('ed25519.pub') }, `${KEYS}: key of type ed25519 is not allowed`],
    [
      { public_key: 'garbage' },
      'failed to parse public_key as SSH key: illegal base64 data at input byte 4',
    ],
    [{ public_key: 'ssh-rsa AAAA' }, 'failed to parse public_key as SSH key: ssh: short read'],
    [{ public_key: '' }, 'missing public_key'],
  ]
  const role = {
    max_ttl: '1h',
    allowed_critical_options: 'force-command',
    allowed_user_key_lengths: { ec: 256, rsa: [3072] },
  }
  for (const [fields, message] of steps) {
    Object.assign(broken, fields)
    const request = { ...broken }
    test(message, async () => {
      // Without a CA: that is looked for last of all.
      const { ssh } = await mountSsh()
      assertDone(await ssh.write('roles/r', { ...USERS, ...role }))
      assertRefused(await sign(ssh, request), 400, message)
    })
  }

  test('the role is the first', async () => {
    const { ssh } = await mountSsh()
    assertRefused(await ssh.write('sign/nope'), 400, 'Unknown role: nope')
  })

  test('the issuer is the last', async () => {
    const { ssh } = await mountSsh()
    assertDone(await ssh.write('roles/r', USERS))
    assertRefused(await sign(ssh), 400, 'no default issuer currently configured')
    assertDone(await ssh.write('roles/r', { ...USERS, issuer_ref: 'nope' }))
    assertRefused(await sign(ssh), 400, 'unable to find issuer for reference: nope')
  })

  test('an otp role signs nothing', async () => {
    const { ssh } = await mountSsh()
    assertDone(await ssh.write('roles/r', { key_type: 'otp', default_user: 'u' }))
    assertRefused(await sign(ssh), 400, "cert_type 'user' is not allowed by role")
  })

  test('a role for hosts only refuses the default type', async () => {
    const ssh = await mountRole({
      allow_user_certificates: false,
      allow_host_certificates: true,
      allowed_domains: '*',
    })
    assertRefused(await sign(ssh), 400, "cert_type 'user' is not allowed by role")
    assertRefused(await sign(ssh, { cert_type: 'host' }), 400, UNSAFE)
    assertDone(await sign(ssh, { cert_type: 'host', valid_principals: 'any.thing' }))
  })

  test('a certificate is no key to sign (CVE-2025-49825)', async () => {
    const ssh = await mountRole()
    const answer = await sign(ssh, { public_key: vector('ed25519-cert.pub') })
    assert.equal(answer.status, 400)
    assert.match(answer.error ?? '', /^failed to parse public_key as SSH key: a certificate/)
  })

  test('an ssh-dss key is refused', async () => {
    const ssh = await mountRole()
    assert.equal((await sign(ssh, { public_key: vector('dsa.pub') })).status, 400)
  })
})

describe('principals', () => {
  test('are the default user where the field is absent or null, not where it is empty', async () => {
    const ssh = await mountRole()
    assert.deepEqual((await signed(ssh)).principals, ['alice'])
    assert.deepEqual((await signed(ssh, { valid_principals: null })).principals, ['alice'])
    assertRefused(await sign(ssh, { valid_principals: '' }), 400, UNSAFE)
  })

  test('none without default user, whatever is allowed (CVE-2024-7594)', async () => {
    const ssh = await mountRole({ default_user: '', allowed_users: '*' })
    assertRefused(await sign(ssh), 400, UNSAFE)
  })

  test('none is signed with allow_empty_principals only', async () => {
    const ssh = await mountRole({ default_user: '', allow_empty_principals: true })
    assert.deepEqual((await signed(ssh)).principals, [])
  })

  test('the default user has to be allowed too', async () => {
    const ssh = await mountRole({ default_user: 'carol' })
    assertRefused(await sign(ssh), 400, 'carol is not a valid value for valid_principals')
    assertDone(await ssh.write('roles/r', { ...USERS, allowed_users: '' }))
    assertRefused(await sign(ssh), 400, 'role is not configured to allow any principals')
  })

  test('no certificate carries a name that is unsafe or not allowed, or none', async () => {
    const ssh = await mountRole({ allowed_users: '*', default_user: '' })
    assertDone(await ssh.write('roles/few', { ...USERS, default_user: '' }))
    const name = fc.oneof(
      fc.constantFrom('alice', 'bob', '*', '', 'a b'),
      fc.string({ unit: 'binary', maxLength: 6 }),
    )
    const list = fc.array(name, { maxLength: 4 }).map((names) => names.join(','))
    await fc.assert(
      fc.asyncProperty(list, fc.boolean(), async (principals, isFew) => {
        const path = isFew ? 'sign/few' : 'sign/r'
        const answer = await ssh.write(path, { public_key: KEY, valid_principals: principals })
        if (answer.status !== 200) return
        const signedFor = certificateOf(answer).principals
        assert.ok(signedFor.length > 0)
        for (const one of signedFor) {
          assert.doesNotMatch(one, /[\s,"'\p{Cc}\p{Z}]/u)
          assert.ok(!isFew || ['alice', 'bob'].includes(one))
        }
      }),
      { numRuns: 100 },
    )
  })
})

describe('identity templates', () => {
  const ROLE = {
    allowed_users: '{{identity.entity.name}},fixed',
    allowed_users_template: true,
    default_user: '{{identity.entity.name}}',
    default_user_template: true,
    default_extensions: { 'permit-pty': '', 'login@x': '{{identity.entity.name}}' },
    default_extensions_template: true,
  }
  const SKIPPED = /templating enabled with at least one extension requiring identity templating/

  test('without an entity nothing is signed literally (Decision 6)', async () => {
    const ssh = await mountRole(ROLE)
    const literal = '{{identity.entity.name}}'
    assert.match((await sign(ssh)).error ?? '', /could not be rendered/)
    assert.equal((await sign(ssh, { valid_principals: literal })).status, 400)
  })

  test('plain names of the same role are signed, and templated extensions left out with a warning', async () => {
    const ssh = await mountRole(ROLE)
    const answer = await sign(ssh, { valid_principals: 'fixed' })
    assert.match(answer.warnings[0] ?? '', SKIPPED)
    assert.deepEqual([...certificateOf(answer).extensions], [['permit-pty', '']])
  })

  test('are filled with the values of the caller’s entity', async () => {
    const values = new Map([['identity.entity.name', 'carol']])
    const ssh = await mountCa('ed25519', { identityOf: async () => (path) => values.get(path) })
    assertDone(await ssh.write('roles/r', { ...USERS, ...ROLE }))
    const sent = { caller: { entityId: 'e1' } }
    const certificate = await signed(ssh, {}, sent)
    assert.deepEqual(certificate.principals, ['carol'])
    assert.equal(certificate.extensions.get('login@x'), 'carol')
    values.set('identity.entity.name', 'carol,root')
    assert.match((await sign(ssh, {}, sent)).error ?? '', /forbidden value/)
    assert.match(
      (await sign(ssh, { valid_principals: 'root' }, sent)).error ?? '',
      /forbidden value/,
    )
  })
})

describe('times', () => {
  const cases: readonly [string, object, object, object, number][] = [
    ["the request's", { ttl: 60 }, {}, {}, 60],
    ["the role's", {}, { ttl: '10m' }, {}, 600],
    ["the mount's default", {}, {}, { defaultTtl: 300 }, 300],
    ["the role's, cut to its max_ttl", {}, { max_ttl: '1h' }, {}, 3600],
    ["the mount's default, cut to its maximum", {}, {}, { maxTtl: 86_400 }, 86_400],
    ["the mount's default for an empty text", { ttl: '' }, { ttl: '1m' }, { defaultTtl: 300 }, 300],
    ["the role's for null", { ttl: null }, { ttl: '1m' }, {}, 60],
  ]
  for (const [name, request, role, tuning, expected] of cases) {
    test(`the life is ${name}`, async () => {
      const ssh = await mountRole(role)
      ssh.tuning = tuning
      const { validBefore } = await signed(ssh, request)
      assert.equal(Number(validBefore) - ssh.now / 1000, expected)
    })
  }

  test('a request for more than the limit is refused, an explicit 0 like the default', async () => {
    const ssh = await mountRole()
    ssh.tuning = { maxTtl: 86_400 }
    const message = 'ttl is larger than maximum allowed 86400'
    assertRefused(await sign(ssh, { ttl: '25h' }), 400, message)
    assertRefused(await sign(ssh, { ttl: 0 }), 400, message)
  })

  test('not_before_duration moves the start', async () => {
    const ssh = await mountRole({ not_before_duration: '2m' })
    assert.equal(Number((await signed(ssh)).validAfter), ssh.now / 1000 - 120)
  })
})

describe('options and extensions', () => {
  const OPTIONS = {
    default_critical_options: { 'force-command': '/bin/id' },
    default_extensions: { 'permit-pty': '' },
    allowed_extensions: 'permit-pty,permit-port-forwarding',
  }

  test('are the defaults where none is asked for', async () => {
    const { criticalOptions, extensions } = await signed(await mountRole(OPTIONS))
    assert.deepEqual([...criticalOptions], [['force-command', '/bin/id']])
    assert.deepEqual([...extensions], [['permit-pty', '']])
  })

  test('asked for replace the defaults entirely', async () => {
    const ssh = await mountRole(OPTIONS)
    const asked = {
      critical_options: { 'source-address': '1.2.3.4/32' },
      extensions: { 'permit-port-forwarding': '' },
    }
    const { criticalOptions, extensions } = await signed(ssh, asked)
    assert.deepEqual([...criticalOptions], [['source-address', '1.2.3.4/32']])
    assert.deepEqual([...extensions.keys()], ['permit-port-forwarding'])
  })

  test('that the role requires can be neither dropped nor changed (Decision 9, default_critical_options)', async () => {
    const required = {
      required_critical_options: { 'force-command': '/bin/id' },
      required_extensions: { 'permit-pty': '' },
    }
    const ssh = await mountRole({ ...required, allowed_extensions: '*' })
    const asked = {
      critical_options: { 'force-command': '/bin/sh', 'verify-required': '' },
      extensions: { 'permit-X11-forwarding': '' },
    }
    const { criticalOptions, extensions } = await signed(ssh, asked)
    assert.deepEqual(
      [...criticalOptions],
      [
        ['force-command', '/bin/id'],
        ['verify-required', ''],
      ],
    )
    assert.deepEqual([...extensions.keys()], ['permit-X11-forwarding', 'permit-pty'])
  })

  test('that the role requires come along with the defaults, and before them (default_critical_options)', async () => {
    const ssh = await mountRole({
      ...OPTIONS,
      default_extensions: { 'permit-pty': '', 'permit-user-rc': 'default' },
      required_critical_options: { 'source-address': '10.0.0.0/8' },
      required_extensions: { 'permit-user-rc': '' },
    })
    const { criticalOptions, extensions } = await signed(ssh)
    assert.deepEqual(
      [...criticalOptions],
      [
        ['force-command', '/bin/id'],
        ['source-address', '10.0.0.0/8'],
      ],
    )
    assert.deepEqual(
      [...extensions],
      [
        ['permit-pty', ''],
        ['permit-user-rc', ''],
      ],
    )
  })

  test('a role without a list of extensions refuses any', async () => {
    const ssh = await mountRole()
    const message = 'extensions [permit-pty foo] are not on allowed list'
    assertRefused(await sign(ssh, { extensions: { 'permit-pty': '', foo: '' } }), 400, message)
  })

  test('names that no certificate can hold are refused', async () => {
    const ssh = await mountRole({ allowed_extensions: '*' })
    for (const name of ['', 'a b', 'a\u0000']) {
      assert.equal((await sign(ssh, { extensions: { [name]: '' } })).status, 400)
    }
    const prototype = JSON.parse('{"__proto__": "x"}') as object
    assert.equal((await signed(ssh, { extensions: prototype })).extensions.get('__proto__'), 'x')
  })
})

describe('the key ID', () => {
  const HASH = '[0-9a-f]{64}'
  const cases: readonly [string, object, object, string, RegExp][] = [
    [
      'by default names the token and the key',
      {},
      {},
      'token-alice',
      new RegExp(`^postern-token-alice-${HASH}$`),
    ],
    ['names the key alone without a display name', {}, {}, '', new RegExp(`^postern-${HASH}$`)],
    [
      "has the role's format",
      { key_id_format: 'x-{{token_display_name}}-{{role_name}}-{{public_key_hash}}-{{y}}' },
      {},
      'bob',
      new RegExp(`^x-bob-r-${HASH}-\\{\\{y\\}\\}$`),
    ],
    [
      'is not formatted twice',
      {},
      {},
      '{{role_name}}',
      new RegExp(`^postern-\\{\\{role_name\\}\\}-${HASH}$`),
    ],
    [
      'may be asked for where allowed',
      { allow_user_key_ids: true },
      { key_id: 'my-key' },
      'bob',
      /^my-key$/,
    ],
  ]
  for (const [name, role, request, displayName, expected] of cases) {
    test(name, async () => {
      const ssh = await mountRole(role)
      assert.match((await signed(ssh, request, { caller: { displayName } })).keyId, expected)
    })
  }

  test('with a line break is refused: sshd logs it', async () => {
    const ssh = await mountRole({ allow_user_key_ids: true })
    assertRefused(await sign(ssh, { key_id: 'a\nb' }), 400, 'the key id holds control characters')
  })
})

describe('the signer', () => {
  for (const [signer, expected] of [
    ['default', 'rsa-sha2-256'],
    ['rsa-sha2-512', 'rsa-sha2-512'],
    ['ssh-rsa', 'ssh-rsa'],
  ] as const) {
    test(`${signer} of an RSA CA signs with ${expected}`, async () => {
      const ssh = await mountRole({ algorithm_signer: signer }, 'rsa')
      const shown = inspect((await sign(ssh)).data['signed_key'])
      assert.match(String(shown.get('Signing CA')), new RegExp(`\\(using ${expected}\\)$`))
    })
  }

  test('that fits no other CA is refused', async () => {
    const ssh = await mountRole({ algorithm_signer: 'rsa-sha2-512' })
    assert.equal((await sign(ssh)).status, 400)
  })

  test('is asked again whether the token is still good, before the signature (protocols 1.4)', async () => {
    const ssh = await mountRole()
    ssh.stillAllowed = async () => {
      throw new PosternError('permission_denied')
    }
    assertRefused(await sign(ssh), 403, 'permission denied')
  })
})
