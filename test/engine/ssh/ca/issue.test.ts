/** Issuing key pairs. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { decodeBase64 } from '../../../../src/ssh/base64.ts'
import { parseCertificate } from '../../../../src/ssh/certificate/certificate.ts'
import { encodeAuthorizedKey } from '../../../../src/ssh/key/authorized-keys.ts'
import { sshKeygenOnFile } from '../../../ssh/support.ts'
import type { Mounted } from '../../harness.ts'
import { assertDone, assertRefused, mountCa, mountSsh } from '../support.ts'

const ROLE = {
  key_type: 'ca',
  allow_user_certificates: true,
  allowed_users: '*',
  default_user: 'u',
}

async function mountRole(role: object = {}): Promise<Mounted> {
  const ssh = await mountCa()
  assertDone(await ssh.write('roles/r', { ...ROLE, ...role }))
  return ssh
}

describe('issue', () => {
  const kinds: readonly [Record<string, unknown>, string, RegExp][] = [
    [{ key_bits: 2048 }, 'rsa', /^-----BEGIN RSA PRIVATE KEY-----\n/],
    [{ key_type: 'ed25519' }, 'ed25519', /^-----BEGIN OPENSSH PRIVATE KEY-----\n/],
    [{ key_type: 'ec', key_bits: 384 }, 'ec', /^-----BEGIN EC PRIVATE KEY-----\n/],
    [
      { key_type: 'ecdsa-sha2-nistp256' },
      'ecdsa-sha2-nistp256',
      /^-----BEGIN EC PRIVATE KEY-----\n/,
    ],
  ]
  for (const [fields, type, form] of kinds) {
    test(`${JSON.stringify(fields)} gives a key that ssh-keygen reads, with its certificate`, async () => {
      const ssh = await mountRole()
      const { data } = await ssh.write('issue/r', fields)
      const names = ['issuer_id', 'private_key', 'private_key_type', 'serial_number', 'signed_key']
      assert.deepEqual(Object.keys(data).sort(), names)
      assert.equal(data['private_key_type'], type)
      assert.match(String(data['private_key']), form)
      const publicLine = sshKeygenOnFile(['-y'], String(data['private_key'])).trim()
      const { subject, principals } = parseCertificate(
        decodeBase64(String(data['signed_key']).split(' ')[1] ?? ''),
      )
      assert.equal(encodeAuthorizedKey(subject.blob), publicLine.split(' ').slice(0, 2).join(' '))
      assert.deepEqual(principals, ['u'])
    })
  }

  const bad: readonly [string, Record<string, unknown>, object, string][] = [
    [
      'a weak key',
      { key_bits: 1024 },
      {},
      'refusing to generate weak rsa key: 1024 bits < 2048 bits',
    ],
    ['an unknown type', { key_type: 'foo' }, {}, 'unknown ssh key pair algorithm: foo'],
    [
      'a type that is not listed',
      { key_type: 'ed25519' },
      { rsa: [3072] },
      'provided key_type value not in allowed_user_key_types',
    ],
    [
      'the default size where sizes are listed',
      {},
      { rsa: [3072] },
      "provided key_bits value not in list of role's allowed_user_key_types",
    ],
    [
      'ec, which no entry is for',
      { key_type: 'ec', key_bits: 256 },
      { ec: 256 },
      'provided key_type value not in allowed_user_key_types',
    ],
    [
      'a principal that is not allowed',
      { valid_principals: 'a b' },
      {},
      '"a b" is not a valid value for valid_principals: names hold no blanks, quotes, commas, control characters or unfilled templates',
    ],
  ]
  for (const [name, fields, lengths, message] of bad) {
    test(`refuses ${name}`, async () => {
      const ssh = await mountRole({ allowed_user_key_lengths: lengths })
      assertRefused(await ssh.write('issue/r', fields), 400, message)
    })
  }

  test('takes a listed size', async () => {
    const ssh = await mountRole({ allowed_user_key_lengths: { 'ssh-rsa': [2048], ed25519: 0 } })
    assertDone(await ssh.write('issue/r', { key_bits: 2048 }))
    assertDone(await ssh.write('issue/r', { key_type: 'ed25519' }))
  })

  test('is for ca roles', async () => {
    const { ssh } = await mountSsh()
    assertRefused(await ssh.write('issue/nope'), 400, 'unknown role: nope')
    assertDone(await ssh.write('roles/r', { key_type: 'otp', default_user: 'u' }))
    const message = "role key type 'otp' not allowed to issue key pairs"
    assertRefused(await ssh.write('issue/r'), 400, message)
  })

  test('stores its record, and the private key is in the answer only', async () => {
    const ssh = await mountRole()
    const { outcome } = await ssh.write('issue/r', { key_type: 'ed25519' })
    const stored = (outcome.writes ?? []).map(({ value }) => Buffer.from(value ?? []).toString())
    assert.equal(stored.length, 2)
    for (const text of stored) assert.doesNotMatch(text, /PRIVATE KEY|private_key/)
    const body = String(outcome.data?.['private_key']).split('\n')[2] as string
    for (const text of stored) assert.ok(!text.includes(body))
  })
})
