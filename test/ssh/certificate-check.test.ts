import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type Certificate,
  type CertificateExpectation,
  type CertificateFields,
  parseCertificate,
  signCertificate,
  verifyCertificate,
} from '../../src/ssh/certificate/certificate.ts'
import { keyFields, type PublicKey } from '../../src/ssh/key/public-key.ts'
import { encodeSignature, sign, signingKey } from '../../src/ssh/signature.ts'
import { SshWriter } from '../../src/ssh/writer.ts'
import { caNames, vectorBlob, vectorPrivateKey, vectorPublicKey } from './support.ts'

const refusal = (message: RegExp) => ({ name: 'SshFormatError', message })
const in2026 = 1780000000n
const caKey = vectorPrivateKey('ed25519')
const ca = signingKey(caKey)
const expected: CertificateExpectation = {
  trustedCaKeys: [vectorPublicKey('rsa'), caKey.publicKey],
  type: 'user',
  principal: 'alice',
  now: in2026,
  enforcedCriticalOptions: ['force-command', 'source-address'],
}
const good = (): Certificate => parseCertificate(vectorBlob('rsa-cert.pub'))

/** Builds and signs a certificate field by field, so that what signCertificate refuses can be made. */
async function forged(parts: {
  readonly caBlob?: Buffer
  readonly options?: SshWriter
  readonly principals?: SshWriter
  readonly type?: number
  readonly tail?: Buffer
}): Promise<Buffer> {
  const subject = vectorPublicKey('ed25519')
  const writer = new SshWriter().string(subject.algorithm.certificateName).string(Buffer.alloc(32))
  writer
    .raw(keyFields(subject))
    .uint64(1n)
    .uint32(parts.type ?? 1)
    .string('id')
  writer.string((parts.principals ?? new SshWriter().string('alice')).bytes())
  writer.uint64(0n).uint64(in2026 * 2n)
  writer
    .string(parts.options?.bytes() ?? '')
    .string('')
    .string('')
  writer.string(parts.caBlob ?? caKey.publicKey.blob)
  writer.string(encodeSignature(await sign(ca, writer.bytes())))
  return writer.raw(parts.tail ?? Buffer.alloc(0)).bytes()
}

test('a certificate of ssh-keygen verifies, for every CA type', () => {
  verifyCertificate(good(), expected)
  for (const name of ['rsa-sha256', 'rsa-sha512', 'p256', 'p384', 'p521']) {
    const certificate = parseCertificate(vectorBlob(`by-${name}-cert.pub`))
    const trustedCaKeys = caNames.map(vectorPublicKey)
    verifyCertificate(certificate, { ...expected, trustedCaKeys })
  }
})

test('pam-ussh PR 18: a certificate of another CA is refused', () => {
  const trustedCaKeys = [vectorPublicKey('rsa'), vectorPublicKey('p256')]
  assert.throws(
    () => verifyCertificate(good(), { ...expected, trustedCaKeys }),
    refusal(/unknown CA/),
  )
  assert.throws(
    () => verifyCertificate(good(), { ...expected, trustedCaKeys: [] }),
    refusal(/unknown CA/),
  )
})

test('each check refuses by itself', () => {
  const cases: readonly (readonly [Partial<CertificateExpectation>, RegExp])[] = [
    [{ type: 'host' }, /a user certificate/],
    [{ principal: 'mallory' }, /principal/],
    [{ principal: 'alice,bob' }, /principal/],
    [{ principal: '' }, /principal/],
    [{ now: 1767225599n }, /not yet valid/],
    [{ now: 1798761600n }, /expired/],
    [{ enforcedCriticalOptions: ['force-command'] }, /unknown critical option/],
  ]
  for (const [change, message] of cases) {
    assert.throws(() => verifyCertificate(good(), { ...expected, ...change }), refusal(message))
  }
  verifyCertificate(good(), { ...expected, now: 1767225600n })
  verifyCertificate(good(), { ...expected, now: 1798761599n })
})

test('a certificate without principals is good for nobody', () => {
  const certificate = parseCertificate(vectorBlob('no-principals-cert.pub'))
  assert.throws(() => verifyCertificate(certificate, expected), refusal(/principal/))
})

test('SHA-1 signatures are refused unless allowed', () => {
  const certificate = parseCertificate(vectorBlob('by-rsa-sha1-cert.pub'))
  assert.throws(() => verifyCertificate(certificate, expected), refusal(/SHA-1/))
  verifyCertificate(certificate, { ...expected, allowSha1: true })
})

test('no changed bit leaves a certificate that still verifies', () => {
  for (const name of ['ed25519', 'sk-ecdsa']) {
    const blob = vectorBlob(`${name}-cert.pub`)
    for (let at = 0; at < blob.length; at += 1) {
      const changed = Buffer.from(blob)
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8))
      assert.throws(() => verifyCertificate(parseCertificate(changed), expected), {
        name: 'SshFormatError',
      })
    }
  }
})

test('a signature by the right key over another certificate is refused', async () => {
  const { signature } = good()
  const other = parseCertificate(await signCertificate(ca, { ...good(), serial: 1n }))
  assert.throws(
    () => verifyCertificate({ ...other, signature }, expected),
    refusal(/wrong signature/),
  )
})

test('CVE-2025-49825: a certificate as CA key is refused, though its own CA is trusted', async () => {
  const fields: CertificateFields = { ...good(), subject: caKey.publicKey }
  const nested = await signCertificate(ca, fields)
  const blob = await forged({ caBlob: nested })
  assert.throws(() => parseCertificate(blob), refusal(/certificate .* plain key/))
  const asKey: PublicKey = { ...caKey.publicKey, blob: nested }
  const certificate = parseCertificate(await forged({}))
  verifyCertificate(certificate, expected)
  assert.throws(
    () => verifyCertificate({ ...certificate, caKey: asKey }, expected),
    refusal(/unknown CA/),
  )
})

test('an ssh-dss CA, which can sign nothing here, never verifies', async () => {
  const dsa = vectorPublicKey('dsa')
  const certificate = parseCertificate(await forged({ caBlob: dsa.blob }))
  assert.throws(
    () => verifyCertificate(certificate, { ...expected, trustedCaKeys: [dsa] }),
    refusal(/wrong signature/),
  )
})

test('malformed certificates are refused by the parser', async () => {
  const option = (name: string) => new SshWriter().string(name).string('')
  const cases: readonly (readonly [Parameters<typeof forged>[0], RegExp])[] = [
    [{ tail: Buffer.of(0) }, /trailing bytes/],
    [{ type: 0 }, /type 0/],
    [{ type: 3 }, /type 3/],
    [{ options: option('b').raw(option('a').bytes()) }, /out of order/],
    [{ options: option('a').raw(option('a').bytes()) }, /given twice/],
    [{ options: option('') }, /out of order/],
    [{ options: option('a b') }, /valid name/],
    [{ options: new SshWriter().string('a') }, /short read/],
    [{ options: new SshWriter().string('a').string('plain') }, /short read/],
    [{ options: new SshWriter().string('a').string(Buffer.alloc(4)) }, /empty inner string/],
    [{ options: new SshWriter().string('a').string(Buffer.alloc(5)) }, /empty|trailing/],
    [{ principals: new SshWriter().uint32(9) }, /short read/],
    [{ principals: new SshWriter().string('a\0b') }, /NUL/],
    [{ principals: new SshWriter().raw(Buffer.alloc(4 * 257)) }, /256/],
  ]
  for (const [parts, message] of cases) {
    const blob = await forged(parts)
    assert.throws(() => parseCertificate(blob), refusal(message), String(message))
  }
})

test('a plain key and an endless blob are no certificates', () => {
  assert.throws(() => parseCertificate(caKey.publicKey.blob), refusal(/not a certificate/))
  assert.throws(() => parseCertificate(Buffer.alloc(200_000)), refusal(/too long/))
})
