/** No input makes a parser throw anything but SshFormatError, or keeps it busy. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SshFormatError } from '../../src/errors.ts'
import { parseCertificate, verifyCertificate } from '../../src/ssh/certificate/certificate.ts'
import { parseCertificateOptions } from '../../src/ssh/certificate/certificate-options.ts'
import { parseAuthorizedKey } from '../../src/ssh/key/authorized-keys.ts'
import { parseOpensshKey } from '../../src/ssh/key/openssh-key.ts'
import { parsePrivateKey } from '../../src/ssh/key/private-key.ts'
import { parsePublicKey, toKeyObject } from '../../src/ssh/key/public-key.ts'
import { isSerialRevoked, parseKrl } from '../../src/ssh/krl/parse-krl.ts'
import { parseSignature } from '../../src/ssh/signature.ts'
import { unarmor, verifyMessage } from '../../src/ssh/sshsig.ts'
import { fuzz } from '../fuzz/runs.ts'
import { cpuMilliseconds } from '../support/cpu-time.ts'
import { caNames, subjectNames, vector, vectorBlob, vectorFile } from './support.ts'

const MAX_MILLISECONDS = 2000

function check(parse: () => unknown): void {
  const took = cpuMilliseconds(() => {
    try {
      parse()
    } catch (error) {
      if (!(error instanceof SshFormatError)) throw error
    }
  })
  assert.ok(took < MAX_MILLISECONDS, 'the parser was kept busy')
}

/** Parses, and uses what was parsed: a value that node:crypto chokes on is as bad as a parser that throws. */
const byteParsers: readonly ((bytes: Buffer) => unknown)[] = [
  (bytes) => toKeyObject(parsePublicKey(bytes)),
  (bytes) => {
    const certificate = parseCertificate(bytes)
    const { caKey, type, principals, validAfter, criticalOptions } = certificate
    verifyCertificate(certificate, {
      trustedCaKeys: [caKey],
      type,
      principal: principals[0] ?? '',
      now: validAfter,
      enforcedCriticalOptions: [...criticalOptions.keys()],
    })
  },
  parseCertificateOptions,
  parseSignature,
  parseOpensshKey,
  (bytes) => isSerialRevoked(parseKrl(bytes), Buffer.alloc(0), 1n),
  (bytes) => verifyMessage(bytes, { namespace: 'bundle@postern', message: bytes }),
]

const certificates = [...subjectNames, 'by-p256', 'by-p521', 'by-rsa-sha256'].map(
  (name) => `${name}-cert.pub`,
)
const blobs = [...[...subjectNames, 'dsa'].map((name) => `${name}.pub`), ...certificates].map(
  vectorBlob,
)
const signatures = certificates.map((file) => {
  const certificate = parseCertificate(vectorBlob(file))
  return certificate.blob.subarray(certificate.signedBytes.length + 4)
})
const krls = ['serials', 'bitmap', 'key-ids', 'keys'].map((name) => vectorFile(`krl/${name}.krl`))
const armored = [...caNames, 'certificate'].map((name) =>
  vectorFile(`sshsig/${name}.sig`).toString(),
)
const opensshKeys = caNames.map((name) =>
  Buffer.from(vector(`${name}.key`).replace(/-----.*-----/g, ''), 'base64'),
)
const texts = [
  ...caNames.flatMap((name) => [`${name}.key`, `${name}.PKCS8.pem`, `${name}.pub`]),
  'rsa.PEM.pem',
  'p256.PEM.pem',
  'locked.PKCS8.pem',
].map(vector)
texts.push(...armored)

const edit = fc.record({
  at: fc.nat(),
  value: fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 0x7f, 0x80, 0xff)),
  kind: fc.constantFrom('set', 'set', 'set', 'cut', 'double', 'drop'),
})

function edited(
  source: Buffer,
  edits: readonly { readonly at: number; readonly value: number; readonly kind: string }[],
): Buffer {
  return edits.reduce<Buffer>((bytes, { at, value, kind }) => {
    const place = bytes.length === 0 ? 0 : at % bytes.length
    if (kind === 'cut') return bytes.subarray(0, place)
    if (kind === 'double') return Buffer.concat([bytes, bytes.subarray(place)])
    if (kind === 'drop') return Buffer.concat([bytes.subarray(0, place), bytes.subarray(place + 1)])
    const copy = Buffer.from(bytes)
    if (copy.length > 0) copy[place] = value
    return copy
  }, source)
}

test('random bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      for (const parse of byteParsers) check(() => parse(Buffer.from(bytes)))
    }),
    fuzz(300),
  )
})

test('valid keys, certificates, signatures, private keys and KRLs with bytes changed, cut, dropped or added', () => {
  const source = fc.constantFrom(
    ...blobs,
    ...signatures,
    ...opensshKeys,
    ...krls,
    ...armored.map(unarmor),
  )
  fc.assert(
    fc.property(source, fc.array(edit, { minLength: 1, maxLength: 3 }), (bytes, edits) => {
      for (const parse of byteParsers) check(() => parse(edited(bytes, edits)))
    }),
    fuzz(1500),
  )
})

test('every valid input cut short at every byte is refused', () => {
  for (const bytes of [...blobs, ...signatures, ...opensshKeys]) {
    for (let length = 0; length < bytes.length; length += 1) {
      for (const parse of [parsePublicKey, parseCertificate, parseSignature, parseOpensshKey]) {
        assert.throws(() => parse(bytes.subarray(0, length)), { name: 'SshFormatError' })
      }
    }
  }
})

test('PEM and authorized_keys texts with characters changed, cut, dropped or added', () => {
  const source = fc.constantFrom(...texts)
  fc.assert(
    fc.property(source, fc.array(edit, { minLength: 1, maxLength: 3 }), (text, edits) => {
      const changed = edited(Buffer.from(text), edits).toString('latin1')
      check(() => parsePrivateKey(changed))
      check(() => parseAuthorizedKey(changed))
      check(() => unarmor(changed))
    }),
    fuzz(400),
  )
})

test('random text, and long text of one kind, do not keep the text parsers busy', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      check(() => parsePrivateKey(text))
      check(() => parseAuthorizedKey(text))
      check(() => unarmor(text))
    }),
    fuzz(300),
  )
  for (const piece of [
    ' ',
    '\t',
    '=',
    'A',
    '-----BEGIN ',
    '-----BEGIN RSA PRIVATE KEY-----\n',
    '-----BEGIN SSH SIGNATURE-----\n',
    '\n-----END SSH SIGNATURE-----',
    '\n',
  ]) {
    for (const length of [30_000, 1_000_000]) {
      const text = piece.repeat(Math.ceil(length / piece.length))
      check(() => parsePrivateKey(text))
      check(() => parseAuthorizedKey(text))
      check(() => unarmor(text))
    }
  }
})
