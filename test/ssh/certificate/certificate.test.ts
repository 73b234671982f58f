import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  assertPrincipal,
  type CertificateRequest,
  FOREVER,
  parseCertificate,
  signCertificate,
} from '../../../src/ssh/certificate/certificate.ts'
import { encodeAuthorizedKey } from '../../../src/ssh/key/authorized-keys.ts'
import { fingerprint } from '../../../src/ssh/key/fingerprint.ts'
import { isSameKey, type PublicKey } from '../../../src/ssh/key/public-key.ts'
import { signingKey } from '../../../src/ssh/signature.ts'
import {
  caNames,
  sshKeygen,
  subjectNames,
  vectorBlob,
  vectorPrivateKey,
  vectorPublicKey,
} from '../support.ts'

const refusal = (message: RegExp) => ({ name: 'SshFormatError', message })
const from2026 = 1767225600n
const to2027 = 1798761600n
const ca = signingKey(vectorPrivateKey('ed25519'))
const request: CertificateRequest = {
  subject: vectorPublicKey('ed25519'),
  serial: 0n,
  type: 'user',
  keyId: 'an id',
  principals: ['alice'],
  validAfter: from2026,
  validBefore: to2027,
  criticalOptions: new Map(),
  extensions: new Map([['permit-pty', '']]),
}

/** What `ssh-keygen -L` says, which first verifies the signature. */
function shown(blob: Buffer): string {
  const text = sshKeygen(['-L', '-f', '-'], encodeAuthorizedKey(blob))
  return text.split('\n').slice(1).join('\n').replace(/^ {8}/gm, '').trim()
}

test('ssh-keygen -L reads a certificate of every subject type, the sk ones too', async () => {
  for (const name of subjectNames) {
    const subject = vectorPublicKey(name)
    const text = shown(await signCertificate(ca, { ...request, subject }))
    assert.match(
      text,
      new RegExp(`^Type: ${subject.algorithm.certificateName} user certificate$`, 'm'),
    )
    assert.ok(text.includes(`-CERT ${fingerprint(subject.blob)}\n`), name)
    const rest = text.slice(text.indexOf('Key ID:'))
    assert.equal(
      rest,
      [
        'Key ID: "an id"',
        'Serial: 0',
        'Valid: from 2026-01-01T00:00:00 to 2027-01-01T00:00:00',
        'Principals: ',
        '        alice',
        'Critical Options: (none)',
        'Extensions: ',
        '        permit-pty',
      ].join('\n'),
    )
  }
})

test('ssh-keygen -L verifies certificates of every CA type and RSA signature', async () => {
  const cases = [
    ...caNames.map((name) => [name, undefined] as const),
    ...(['rsa-sha2-256', 'rsa-sha2-512', 'ssh-rsa'] as const).map((name) => ['rsa', name] as const),
  ]
  const used: string[] = []
  for (const [name, algorithm] of cases) {
    const key = vectorPrivateKey(name)
    const text = shown(await signCertificate(signingKey(key, algorithm), request))
    assert.ok(text.includes(fingerprint(key.publicKey.blob)))
    used.push(/\(using (.*)\)/.exec(text)?.[1] ?? '')
  }
  assert.deepEqual(used, [
    'rsa-sha2-256',
    'ecdsa-sha2-nistp256',
    'ecdsa-sha2-nistp384',
    'ecdsa-sha2-nistp521',
    'ssh-ed25519',
    'rsa-sha2-256',
    'rsa-sha2-512',
    'ssh-rsa',
  ])
})

test('a host certificate, the largest serial, no expiry and options are read by ssh-keygen', async () => {
  const text = shown(
    await signCertificate(ca, {
      ...request,
      type: 'host',
      serial: 0x8000_0000_0000_0001n,
      principals: ['web-1.example.com', 'web-1'],
      validAfter: 0n,
      validBefore: FOREVER,
      criticalOptions: new Map([
        ['source-address', '192.0.2.0/24'],
        ['force-command', '/bin/échο "x"'],
      ]),
      extensions: new Map([
        ['permit-pty', ''],
        ['note@example.com', 'x'],
        ['permit-X11-forwarding', ''],
      ]),
    }),
  )
  assert.match(text, /host certificate/)
  assert.match(text, /^Serial: 9223372036854775809$/m)
  assert.match(text, /^Valid: forever$/m)
  assert.match(text, /^Principals: \n +web-1.example.com\n +web-1$/m)
  assert.match(text, /force-command .*\n +source-address 192.0.2.0\/24$/m)
  assert.match(text, /note@example.com .* 0000000178 .*\n +permit-X11-forwarding\n +permit-pty$/m)
})

test('certificates made by ssh-keygen are parsed field by field', () => {
  for (const name of [...subjectNames, 'dsa']) {
    const certificate = parseCertificate(vectorBlob(`${name}-cert.pub`))
    assert.ok(isSameKey(certificate.subject, vectorPublicKey(name)), name)
    assert.ok(isSameKey(certificate.caKey, ca.publicKey))
    assert.equal(certificate.keyId, `id of ${name}`)
    assert.equal(certificate.serial, 0xffff_ffff_ffff_ffffn)
    assert.equal(certificate.type, 'user')
    assert.equal(certificate.nonce.length, 32)
    assert.deepEqual(certificate.principals, ['alice', 'bob'])
    assert.deepEqual([certificate.validAfter, certificate.validBefore], [from2026, to2027])
    assert.deepEqual(
      [...certificate.criticalOptions],
      [
        ['force-command', '/bin/true'],
        ['source-address', '192.0.2.0/24'],
      ],
    )
    assert.equal(certificate.extensions.get('permit-pty'), '')
    assert.equal(certificate.extensions.size, 5)
  }
  const custom = parseCertificate(vectorBlob('custom-options-cert.pub'))
  assert.deepEqual([...custom.criticalOptions], [['box@example.com', 'web']])
  assert.equal(custom.extensions.get('note@example.com'), 'two words')
  assert.equal(parseCertificate(vectorBlob('host-cert.pub')).type, 'host')
})

test('with the nonce of ssh-keygen an Ed25519 certificate is the same to the last byte', async () => {
  for (const name of [...subjectNames, 'host', 'custom-options', 'no-principals']) {
    const blob = vectorBlob(`${name}-cert.pub`)
    const again = await signCertificate(ca, {
      ...parseCertificate(blob),
      allowEmptyPrincipals: true,
    })
    assert.deepEqual(again, blob, name)
  }
})

test('every field of a certificate comes back as it was signed', async () => {
  const uint64 = fc.bigInt(0n, FOREVER - 1n)
  const text = fc.string({ unit: 'grapheme' }).filter((value) => !/[\p{Cc}\p{Cf}]/u.test(value))
  const optionName = fc.stringMatching(/^[a-zA-Z0-9@.-]{1,20}$/)
  const options = fc.array(fc.tuple(optionName, text)).map((pairs) => new Map(pairs))
  const fields = fc.record({
    subject: fc.constantFrom(...subjectNames.map(vectorPublicKey)),
    serial: uint64,
    type: fc.constantFrom('user' as const, 'host' as const),
    keyId: text,
    principals: fc.uniqueArray(fc.stringMatching(/^[\w.@{}:/\\-]{1,12}$/), { minLength: 1 }),
    validAfter: uint64,
    criticalOptions: options,
    extensions: options,
  })
  await fc.assert(
    fc.asyncProperty(fields, async (some) => {
      const asked = { ...some, validBefore: some.validAfter + 1n }
      const got = parseCertificate(await signCertificate(ca, asked))
      assert.ok(isSameKey(got.subject, asked.subject))
      for (const name of ['serial', 'type', 'keyId', 'validAfter', 'validBefore'] as const) {
        assert.equal(got[name], asked[name])
      }
      assert.deepEqual(got.principals, asked.principals)
      for (const name of ['criticalOptions', 'extensions'] as const) {
        assert.deepEqual(new Map(got[name]), asked[name])
        assert.deepEqual([...got[name].keys()], [...asked[name].keys()].sort())
      }
    }),
    { numRuns: 150 },
  )
})

test('each certificate has a nonce of its own', async () => {
  const nonces = await Promise.all(
    [1, 2].map(async () =>
      parseCertificate(await signCertificate(ca, request)).nonce.toString('hex'),
    ),
  )
  assert.notEqual(nonces[0], nonces[1])
})

test('CVE-2024-7594: no certificate without principals unless that is asked for', async () => {
  const empty = { ...request, principals: [] }
  await assert.rejects(signCertificate(ca, empty), refusal(/without principals/))
  const blob = await signCertificate(ca, { ...empty, allowEmptyPrincipals: true })
  assert.match(shown(blob), /^Principals: \(none\)$/m)
})

test('CVE-2026-35414: a principal that could be read as another is not signed', async () => {
  const unsafe = [
    '',
    'a,b',
    'a b',
    ' a',
    'a\t',
    'a\n',
    'a"b',
    "a'b",
    'a`b',
    'a\0',
    '\x7f',
    'a\u0085',
  ]
  for (const principal of [...unsafe, 'a\u00a0b', 'a\u2028b', 'a\u200bb', '\ufeffa', 'a\ud800']) {
    assert.throws(() => assertPrincipal(principal), refusal(/not a plain name/))
    const asked = { ...request, principals: ['ok', principal] }
    await assert.rejects(
      signCertificate(ca, asked),
      refusal(/not a plain name/),
      JSON.stringify(principal),
    )
  }
})

test('repeated and too many principals are refused, 256 are not', async () => {
  await assert.rejects(
    signCertificate(ca, { ...request, principals: ['a', 'b', 'a'] }),
    refusal(/given twice/),
  )
  const many = Array.from({ length: 257 }, (_, index) => `user${index}`)
  await assert.rejects(signCertificate(ca, { ...request, principals: many }), refusal(/256/))
  const blob = await signCertificate(ca, { ...request, principals: many.slice(1) })
  assert.equal(parseCertificate(blob).principals.length, 256)
})

test('an empty validity, unsafe ids and options, and old keys are not signed', async () => {
  const cases: readonly (readonly [Partial<CertificateRequest>, RegExp])[] = [
    [{ validBefore: from2026 }, /never be valid/],
    [{ keyId: 'a\nb' }, /key id/],
    [{ keyId: 'a\0' }, /key id/],
    [{ criticalOptions: new Map([['', 'x']]) }, /valid name/],
    [{ extensions: new Map([['a,b', '']]) }, /valid name/],
    [{ extensions: new Map([['permit pty', '']]) }, /valid name/],
    [{ criticalOptions: new Map([['force-command', 'a\0b']]) }, /plain text/],
    [{ extensions: new Map([['x', 'y'.repeat(140_000)]]) }, /too long/],
    [{ subject: vectorPublicKey('dsa') }, /ssh-dss/],
  ]
  for (const [change, message] of cases) {
    await assert.rejects(signCertificate(ca, { ...request, ...change }), refusal(message))
  }
})

test('CVE-2025-49825: a certificate passed off as the subject key is not signed', async () => {
  const blob = vectorBlob('ed25519-cert.pub')
  const subject: PublicKey = { ...request.subject, blob }
  await assert.rejects(
    signCertificate(ca, { ...request, subject }),
    refusal(/not a plain public key/),
  )
})

test('serials and times beyond 64 bits are errors of the caller', async () => {
  await assert.rejects(signCertificate(ca, { ...request, serial: FOREVER + 1n }), RangeError)
  await assert.rejects(signCertificate(ca, { ...request, serial: -1n }), RangeError)
  await assert.rejects(signCertificate(ca, { ...request, nonce: Buffer.alloc(31) }), RangeError)
})
