/**
 * OpenSSH certificates (OpenSSH PROTOCOL.certkeys, version 01): signed, parsed and verified. A certificate
 * is never taken for a key, neither as subject nor as CA (CVE-2025-49825).
 */
import { randomBytes } from 'node:crypto'
import { SshFormatError } from '../../errors.ts'
import { certifiedKeyAlgorithm } from '../key/algorithm.ts'
import {
  isSameKey,
  keyFields,
  type PublicKey,
  parsePublicKey,
  readKeyFields,
} from '../key/public-key.ts'
import { SshReader } from '../reader.ts'
import {
  encodeSignature,
  parseSignature,
  type Signature,
  type SigningKey,
  sign,
  verifySignature,
} from '../signature.ts'
import { SshWriter } from '../writer.ts'
import {
  type CertificateOptions,
  parseCertificateOptions,
  writeCertificateOptions,
} from './certificate-options.ts'

const NONCE_BYTES = 32
const MAX_CERTIFICATE_BYTES = 131_072
/** OpenSSH refuses certificates with more. */
const MAX_PRINCIPALS = 256
const FIXED_FIELDS_BYTES = 768
/** Valid-before of a certificate that never expires. */
export const FOREVER: bigint = 0xffff_ffff_ffff_ffffn

const typeNumbers = { user: 1, host: 2 } as const

export type CertificateType = keyof typeof typeNumbers

/** What a CA vouches for. Times are Unix seconds: valid from `validAfter` on, up to just before `validBefore`. */
export interface CertificateFields {
  readonly subject: PublicKey
  readonly serial: bigint
  readonly type: CertificateType
  readonly keyId: string
  readonly principals: readonly string[]
  readonly validAfter: bigint
  readonly validBefore: bigint
  readonly criticalOptions: CertificateOptions
  readonly extensions: CertificateOptions
}

export interface CertificateRequest extends CertificateFields {
  /** 32 random bytes; made here when absent. */
  readonly nonce?: Uint8Array
  /** A certificate without principals is good for every account: only where that is really wanted. */
  readonly allowEmptyPrincipals?: boolean
}

export interface Certificate extends CertificateFields {
  readonly nonce: Buffer
  readonly caKey: PublicKey
  readonly signature: Signature
  /** All before the signature: what the CA signed. */
  readonly signedBytes: Buffer
  readonly blob: Buffer
}

export interface CertificateExpectation {
  readonly trustedCaKeys: readonly PublicKey[]
  readonly type: CertificateType
  readonly principal: string
  /** Unix seconds. */
  readonly now: bigint
  /** Names that the caller goes on to enforce; a certificate with any other is refused. */
  readonly enforcedCriticalOptions: readonly string[]
  /** Accept RSA signatures with SHA-1, as no OpenSSH does by default. */
  readonly allowSha1?: boolean
}

/**
 * Signs a certificate and returns its blob. Throws SshFormatError for what must not be signed, whatever
 * a caller has checked before: no principals, unsafe or repeated ones, an empty validity, a key that is
 * a certificate or too old a type.
 */
export async function signCertificate(
  ca: SigningKey,
  request: CertificateRequest,
): Promise<Buffer> {
  assertSubject(request.subject)
  assertPrincipals(request)
  if (request.validAfter >= request.validBefore) {
    throw new SshFormatError('the certificate would never be valid')
  }
  if (hasControlCharacters(request.keyId)) {
    throw new SshFormatError('the key id holds control characters')
  }
  const writer = writeUnsigned(ca.publicKey, request)
  const signature = encodeSignature(await sign(ca, writer.bytes()))
  const blob = writer.string(signature).bytes()
  if (blob.length > MAX_CERTIFICATE_BYTES) throw new SshFormatError('the certificate is too long')
  return blob
}

/** Parses a certificate blob; the signature is verified by `verifyCertificate` only. Throws SshFormatError. */
export function parseCertificate(blob: Uint8Array): Certificate {
  if (blob.length > MAX_CERTIFICATE_BYTES) throw new SshFormatError('the certificate is too long')
  const bytes = Buffer.from(blob)
  const reader = new SshReader(bytes)
  const algorithm = certifiedKeyAlgorithm(reader.string().toString('latin1'))
  if (!algorithm) throw new SshFormatError('not a certificate')
  const nonce = reader.string()
  const subject = readKeyFields(reader, algorithm)
  const fields = {
    subject,
    serial: reader.uint64(),
    type: parseType(reader.uint32()),
    keyId: reader.text(),
    principals: parsePrincipals(reader.string()),
    validAfter: reader.uint64(),
    validBefore: reader.uint64(),
    criticalOptions: parseCertificateOptions(reader.string()),
    extensions: parseCertificateOptions(reader.string()),
  }
  // The reserved field: this version of the format has it ignored.
  reader.string()
  const caKey = parsePublicKey(reader.string())
  const signedBytes = bytes.subarray(0, reader.offset)
  const signature = parseSignature(reader.string())
  reader.end()
  return { ...fields, nonce, caKey, signature, signedBytes, blob: bytes }
}

/**
 * Checks a certificate whole: CA, signature, type, validity, principal and critical options. Throws
 * SshFormatError that names the first check it fails; returning means that it is good.
 */
export function verifyCertificate(
  certificate: Certificate,
  expected: CertificateExpectation,
): void {
  const { caKey, signature, signedBytes } = certificate
  const refuse = (reason: string): never => {
    throw new SshFormatError(`certificate refused: ${reason}`)
  }
  if (!expected.trustedCaKeys.some((key) => isSameKey(key, caKey))) refuse('unknown CA')
  if (signature.algorithm.hash === 'sha1' && !expected.allowSha1) refuse('signed with SHA-1')
  if (!verifySignature(caKey, signature, signedBytes)) refuse('wrong signature')
  if (certificate.type !== expected.type) refuse(`a ${certificate.type} certificate`)
  if (expected.now < certificate.validAfter) refuse('not yet valid')
  if (expected.now >= certificate.validBefore) refuse('expired')
  if (!certificate.principals.includes(expected.principal)) refuse('not for this principal')
  for (const name of certificate.criticalOptions.keys()) {
    if (!expected.enforcedCriticalOptions.includes(name)) refuse('unknown critical option')
  }
}

/**
 * Throws SshFormatError for a principal that sshd, a principals file or a log could read as something
 * else: empty, or with a comma (CVE-2026-35414), a blank, a quote or a control character.
 */
export function assertPrincipal(principal: string): void {
  if (principal === '' || /[\s,"'`\p{Z}]/u.test(principal) || hasControlCharacters(principal)) {
    throw new SshFormatError(`principal ${JSON.stringify(principal)} is not a plain name`)
  }
}

function assertPrincipals({ principals, allowEmptyPrincipals }: CertificateRequest): void {
  if (principals.length === 0 && !allowEmptyPrincipals) {
    throw new SshFormatError('a certificate without principals would be good for every account')
  }
  if (principals.length > MAX_PRINCIPALS) {
    throw new SshFormatError(`more than ${MAX_PRINCIPALS} principals`)
  }
  if (new Set(principals).size !== principals.length) {
    throw new SshFormatError('a principal is given twice')
  }
  principals.forEach(assertPrincipal)
}

function assertSubject({ algorithm, blob }: PublicKey): void {
  if (algorithm.kind === 'dsa')
    throw new SshFormatError('ssh-dss keys are too weak to be certified')
  if (new SshReader(blob).string().toString('latin1') !== algorithm.name) {
    throw new SshFormatError('the key to certify is not a plain public key')
  }
}

function writeUnsigned(caKey: PublicKey, request: CertificateRequest): SshWriter {
  const { subject, nonce = randomBytes(NONCE_BYTES) } = request
  if (nonce.length !== NONCE_BYTES) throw new RangeError('a nonce has 32 bytes')
  const variableBytes = subject.blob.length + 2 * caKey.blob.length + request.keyId.length
  const writer = new SshWriter(FIXED_FIELDS_BYTES + variableBytes)
  writer.string(subject.algorithm.certificateName).string(nonce).raw(keyFields(subject))
  writer.uint64(request.serial).uint32(typeNumbers[request.type]).string(request.keyId)
  writer.nested(() => {
    for (const principal of request.principals) writer.string(principal)
  })
  writer.uint64(request.validAfter).uint64(request.validBefore)
  writeCertificateOptions(writer, request.criticalOptions)
  writeCertificateOptions(writer, request.extensions)
  return writer.string('').string(caKey.blob)
}

function parseType(value: number): CertificateType {
  if (value === typeNumbers.user) return 'user'
  if (value === typeNumbers.host) return 'host'
  throw new SshFormatError(`unknown certificate type ${value}`)
}

function parsePrincipals(bytes: Buffer): string[] {
  const principals: string[] = []
  const reader = new SshReader(bytes)
  while (!reader.isAtEnd) {
    if (principals.length === MAX_PRINCIPALS) {
      throw new SshFormatError(`more than ${MAX_PRINCIPALS} principals`)
    }
    principals.push(reader.text())
  }
  return principals
}

/** Also true for invisible format characters and for text that UTF-8 can't carry. */
function hasControlCharacters(text: string): boolean {
  return /[\p{Cc}\p{Cf}]/u.test(text) || !text.isWellFormed()
}
