/** CA keys: config/ca, issuers, their public keys. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parsePrivateKey } from '../../../../src/ssh/key/private-key.ts'
import { sshKeygen, vector } from '../../../ssh/support.ts'
import type { Mounted } from '../../harness.ts'
import { assertDone, assertRefused, mountCa, mountSsh, wrapped } from '../support.ts'

const NO_DEFAULT = 'no default issuer currently configured'
const CONFIGURED = 'keys are already configured; delete them before reconfiguring'
const ED25519 = { public_key: vector('ed25519.pub'), private_key: vector('ed25519.key') }
const P256 = { public_key: vector('p256.pub'), private_key: vector('p256.key') }

async function importIssuer(ssh: Mounted, path: string, fields: object): Promise<string> {
  const answer = await ssh.write(`issuers/import${path}`, { ...fields })
  assertDone(answer)
  return String(answer.data['issuer_id'])
}

describe('an unconfigured mount', () => {
  test('has no issuer to show', async () => {
    const { ssh } = await mountSsh()
    for (const path of ['config/ca', 'public_key', 'config/issuers']) {
      assertRefused(await ssh.read(path), 400, NO_DEFAULT)
    }
    assert.equal((await ssh.list('issuers')).status, 404)
    assert.equal((await ssh.delete('config/ca')).status, 204)
  })

  const bad: readonly [string, Record<string, unknown>, number, string][] = [
    [
      'generate and keys',
      { generate_signing_key: true, ...ED25519 },
      400,
      'public_key and private_key must not be set when generate_signing_key is set to true',
    ],
    [
      'a public key only',
      { public_key: ED25519.public_key },
      400,
      'only one of public_key and private_key set; both must be set to use, or both must be blank to auto-generate',
    ],
    [
      'a private key only',
      { generate_signing_key: false, private_key: ED25519.private_key },
      400,
      'only one of public_key and private_key set; both must be set to use, or both must be blank to auto-generate',
    ],
    ['nothing to do', { generate_signing_key: false }, 400, 'missing public_key'],
    [
      'a bad public key',
      { ...ED25519, public_key: 'nonsense' },
      400,
      'could not parse public_key provided value: ssh: short read',
    ],
    [
      'a bad private key',
      { ...ED25519, private_key: 'nonsense' },
      400,
      'could not parse private_key provided value: ssh: no key found',
    ],
    ...['\n', '\r', '\0', '\u2028'].map(
      (separator): [string, Record<string, unknown>, number, string] => [
        `a public key with a second line behind ${JSON.stringify(separator)}`,
        { ...ED25519, public_key: `${ED25519.public_key.trim()}${separator}${P256.public_key}` },
        400,
        'could not parse public_key provided value: it is not a single line',
      ],
    ),
    [
      'halves of two pairs (Decision 5)',
      { ...ED25519, public_key: P256.public_key },
      400,
      'public_key and private_key do not belong together',
    ],
    [
      'a weak RSA key',
      { key_type: 'rsa', key_bits: 1024 },
      500,
      wrapped('refusing to generate weak rsa key: 1024 bits < 2048 bits'),
    ],
    [
      'an endless RSA key',
      { key_type: 'rsa', key_bits: 65_536 },
      500,
      wrapped('refusing to generate slow rsa key: 65536 bits > 8192 bits'),
    ],
    ['an unknown type', { key_type: 'dsa' }, 500, wrapped('unknown ssh key pair algorithm: dsa')],
    [
      'an unknown curve',
      { key_type: 'ec', key_bits: 224 },
      500,
      wrapped('unknown ECDSA key pair algorithm and bits: ec / 224'),
    ],
  ]
  for (const [name, fields, status, message] of bad) {
    test(`refuses ${name}`, async () => {
      const { ssh } = await mountSsh()
      assertRefused(await ssh.write('config/ca', fields), status, message)
      assertRefused(await ssh.read('config/ca'), 400, NO_DEFAULT)
    })
  }

  test('refuses a certificate as the CA key (CVE-2025-49825)', async () => {
    const { ssh } = await mountSsh()
    const fields = { ...ED25519, public_key: vector('ed25519-cert.pub') }
    const answer = await ssh.write('config/ca', fields)
    assert.equal(answer.status, 400)
    assert.match(answer.error ?? '', /^could not parse public_key provided value: a certificate/)
  })
})

describe('config/ca', () => {
  const generated: readonly [Record<string, unknown>, RegExp, string][] = [
    [{ key_type: 'ed25519' }, /^ssh-ed25519 \S+\n$/, '256'],
    [{ key_type: 'ssh-ed25519', key_bits: 4096 }, /^ssh-ed25519 \S+\n$/, '256'],
    [{ key_type: 'ec' }, /^ecdsa-sha2-nistp256 \S+\n$/, '256'],
    [{ key_type: 'ec', key_bits: 384 }, /^ecdsa-sha2-nistp384 \S+\n$/, '384'],
    [{ key_type: 'ecdsa-sha2-nistp521', key_bits: 2048 }, /^ecdsa-sha2-nistp521 \S+\n$/, '521'],
    [{ key_type: 'rsa', key_bits: 2048 }, /^ssh-rsa \S+\n$/, '2048'],
  ]
  for (const [fields, form, bits] of generated) {
    test(`generates ${JSON.stringify(fields)}, as ssh-keygen reads it`, async () => {
      const { ssh } = await mountSsh()
      const { data } = await ssh.write('config/ca', fields)
      assert.match(String(data['public_key']), form)
      assert.match(String(data['issuer_id']), /^[0-9a-f-]{36}$/)
      assert.equal(data['issuer_name'], '')
      const line = sshKeygen(['-l', '-f', '-'], String(data['public_key']))
      assert.equal(line.split(' ')[0], bits)
      assert.equal((await ssh.read('public_key')).body, data['public_key'])
    })
  }

  test('empty texts and zeros are absent: hvac and Terraform send them', async () => {
    const { ssh } = await mountSsh()
    const fields = {
      generate_signing_key: true,
      private_key: '',
      public_key: '',
      key_type: 'ed25519',
      key_bits: 0,
    }
    assertDone(await ssh.write('config/ca', fields))
  })

  for (const name of ['rsa', 'p256', 'p384', 'p521', 'ed25519']) {
    test(`imports a ${name} pair and gives its public half back to the byte`, async () => {
      const ssh = await mountCa(name)
      assert.equal((await ssh.read('public_key')).body, vector(`${name}.pub`))
      const { data } = await ssh.read('config/ca')
      assert.equal(data['public_key'], vector(`${name}.pub`))
    })
  }

  test('takes the base64 of a public key alone', async () => {
    const { ssh } = await mountSsh()
    const base64 = ED25519.public_key.split(' ')[1]
    assertDone(await ssh.write('config/ca', { ...ED25519, public_key: base64 }))
    assert.equal((await ssh.read('public_key')).body, base64)
  })

  test('refuses another key as long as there is a default (Decision 4)', async () => {
    const ssh = await mountCa()
    for (const fields of [{}, { key_type: 'ed25519' }, P256]) {
      assertRefused(await ssh.write('config/ca', fields), 400, CONFIGURED)
    }
    assert.equal((await ssh.read('public_key')).body, ED25519.public_key)
  })

  test('importing the very same pair again gives the issuer that is there', async () => {
    const ssh = await mountCa()
    const { data } = await ssh.read('config/ca')
    const again = await ssh.write('config/ca', ED25519)
    assert.equal(again.data['issuer_id'], data['issuer_id'])
    assert.deepEqual(again.warnings, [
      'An issuer with the provided public key already exists, returning the existing issuer',
    ])
  })

  test('deleting removes all issuers and says how many', async () => {
    const ssh = await mountCa()
    await importIssuer(ssh, '', P256)
    assert.deepEqual((await ssh.delete('config/ca')).warnings, [
      'Deleted 2 issuers, including default issuer if configured.',
    ])
    assert.equal((await ssh.list('issuers')).status, 404)
  })

  test('shows the private key nowhere', async () => {
    const ssh = await mountCa()
    const secret = parsePrivateKey(ED25519.private_key).keyObject.export({ format: 'jwk' }).d
    const answers = [
      await ssh.read('config/ca'),
      await ssh.list('issuers'),
      await ssh.read('issuer/default'),
    ]
    const shown = JSON.stringify(answers.map(({ data }) => data))
    assert.ok(!shown.includes('PRIVATE') && !shown.includes(String(secret)))
  })
})

describe('issuers', () => {
  test('the first becomes the default, later ones where asked', async () => {
    const { ssh } = await mountSsh()
    const first = await importIssuer(ssh, '/one', ED25519)
    const second = await importIssuer(ssh, '', P256)
    assert.deepEqual((await ssh.read('config/issuers')).data, { default: first })
    const third = await importIssuer(ssh, '', { key_type: 'ed25519', set_default: true })
    assert.deepEqual((await ssh.read('config/issuers')).data, { default: third })
    const { data } = await ssh.list('issuers')
    assert.deepEqual(data['keys'], [first, second, third].sort())
    const info = (data['key_info'] as Record<string, unknown>)[first]
    assert.deepEqual(info, {
      issuer_name: 'one',
      is_default: false,
      public_key: ED25519.public_key,
    })
  })

  test('are listed in pages', async () => {
    const { ssh } = await mountSsh()
    const ids = [await importIssuer(ssh, '', ED25519), await importIssuer(ssh, '', P256)].sort()
    const page = await ssh.list('issuers', { after: ids[0], limit: 1 })
    assert.deepEqual(page.data['keys'], [ids[1]])
    assert.deepEqual(Object.keys(page.data['key_info'] as object), [ids[1]])
  })

  test('names are checked', async () => {
    const { ssh } = await mountSsh()
    await importIssuer(ssh, '/one', ED25519)
    const reserved = "reserved keyword 'default' can not be used as issuer name"
    assertRefused(await ssh.write('issuers/import/default', P256), 400, reserved)
    assertRefused(await ssh.write('issuers/import/one', P256), 400, 'issuer name already in use')
    const invalid = 'issuer name contained invalid characters'
    assertRefused(await ssh.write('issuers/import', { ...P256, issuer_name: 'a b!' }), 400, invalid)
  })

  test('are read by id, by name and as default, and renamed', async () => {
    const { ssh } = await mountSsh()
    const id = await importIssuer(ssh, '/one', ED25519)
    await importIssuer(ssh, '/two', P256)
    for (const ref of [id, 'one', 'default']) {
      assert.equal((await ssh.read(`issuer/${ref}`)).data['issuer_id'], id)
      assert.equal((await ssh.read(`issuer/${ref}/public_key`)).body, ED25519.public_key)
    }
    const rename = (ref: string, name: string) => ssh.write(`issuer/${ref}`, { issuer_name: name })
    assert.equal((await rename('one', 'three')).data['issuer_name'], 'three')
    assert.equal((await rename(id, 'three')).data['issuer_name'], 'three')
    assert.equal((await ssh.read('issuer/three')).data['issuer_id'], id)
    assertRefused(await rename(id, 'two'), 400, 'issuer name already in use')
    assertRefused(await rename(id, ''), 400, 'expected non-empty issuer name')
    assertRefused(await rename(id, 'a b!'), 400, 'issuer name contained invalid characters')
    const missing = 'unable to find issuer for reference: nope'
    assertRefused(await rename('nope', 'x'), 400, missing)
    assertRefused(await ssh.read('issuer/nope'), 400, missing)
    assertRefused(await ssh.read('issuer/nope/public_key'), 400, missing)
  })

  test('the default is chosen in config/issuers', async () => {
    const { ssh } = await mountSsh()
    const one = await importIssuer(ssh, '/one', ED25519)
    const two = await importIssuer(ssh, '/two', P256)
    const choose = (ref: string) => ssh.write('config/issuers', { default: ref })
    const chosen = await choose('two')
    assert.deepEqual(chosen.data, { default: two })
    assert.deepEqual(chosen.warnings, [
      `Previous default (${one}) has been updated with the issuer 'two' (resolved to ${two})`,
    ])
    assert.deepEqual((await choose(two)).warnings, [
      'The default issuer is already set to the specified issuer.',
    ])
    const invalid = "invalid issuer specification; must be non-empty and can't be 'default'."
    for (const ref of ['default', '']) assertRefused(await choose(ref), 400, invalid)
    const unknown = 'error resolving issuer reference: unable to find issuer for reference: nope'
    assertRefused(await choose('nope'), 500, wrapped(unknown))
  })

  test('deleting the default, or one that roles name, warns', async () => {
    const { ssh } = await mountSsh()
    const one = await importIssuer(ssh, '/one', ED25519)
    await importIssuer(ssh, '/two', P256)
    const role = { key_type: 'ca', allow_user_certificates: true, issuer_ref: 'two' }
    assertDone(await ssh.write('roles/r', role))
    assert.equal((await ssh.delete('issuer/nope')).status, 204)
    assert.deepEqual((await ssh.delete('issuer/two')).warnings, ["1 roles reference 'two'"])
    assert.deepEqual((await ssh.delete('issuer/one')).warnings, [
      `Deleted issuer ${one} (via issuer_ref one); this was configured as the default issuer. Operations without an explicit issuer will not work until a new default is configured.`,
    ])
    assertRefused(await ssh.read('config/ca'), 400, NO_DEFAULT)
    assert.equal((await ssh.list('issuers')).status, 404)
  })
})
