/**
 * A self-signed certificate for `server -dev-tls` (RFC 5280, DER): ECDSA P-256, 30 days, for the listener's address
 * and localhost. Written to a temporary folder, whose path is printed for clients.
 */
import { createHash, createSign, generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { secretBytes } from '../../../random.ts'

const DAYS = 30
const DAY_MS = 86_400_000

/** The listener's TLS lines for a config text; the files go when the process ends. */
export function devTlsLines(listenAddress: string): string {
  const host = listenAddress.replace(/:[0-9]+$/, '').replace(/^\[|\]$/g, '')
  const { certificate, key } = selfSigned([host, 'localhost', '127.0.0.1', '::1'], Date.now())
  const folder = mkdtempSync(path.join(tmpdir(), 'postern-dev-tls-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const certFile = path.join(folder, 'cert.pem')
  const keyFile = path.join(folder, 'key.pem')
  writeFileSync(certFile, certificate)
  writeFileSync(keyFile, key, { mode: 0o600 })
  process.stdout.write(`CA certificate: ${certFile} (export POSTERN_CACERT=${certFile})\n`)
  return `tls_cert_file = ${JSON.stringify(certFile)}\n  tls_key_file = ${JSON.stringify(keyFile)}`
}

/** A certificate that is its own CA, with its key, both PEM. */
function selfSigned(names: readonly string[], now: number): { certificate: string; key: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const ecdsaWithSha256 = sequence(oid('2a8648ce3d040302'))
  const subject = sequence(
    set(sequence(oid('550403'), der(0x0c, Buffer.from('Postern dev server')))),
  )
  const serial = secretBytes(16)
  serial[0] = ((serial[0] as number) & 0x7f) | 0x40
  const tbs = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, serial),
    ecdsaWithSha256,
    subject,
    sequence(utcTime(now - DAY_MS), utcTime(now + DAYS * DAY_MS)),
    subject,
    spki,
    der(0xa3, sequence(...extensions(names, spki))),
  )
  const signature = createSign('sha256').update(tbs).sign(privateKey)
  const certificate = sequence(
    tbs,
    ecdsaWithSha256,
    der(0x03, Buffer.concat([Buffer.from([0]), signature])),
  )
  return {
    certificate: pem('CERTIFICATE', certificate),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

function extensions(names: readonly string[], spki: Buffer): Buffer[] {
  const keyId = createHash('sha1').update(spki).digest()
  const altNames = [...new Set(names)].filter((name) => name !== '').map(altName)
  return [
    // basicConstraints, critical: a CA, so that clients can be given this very certificate to trust.
    sequence(oid('551d13'), TRUE, octets(sequence(TRUE))),
    sequence(oid('551d0e'), octets(octets(keyId))),
    sequence(oid('551d25'), octets(sequence(oid('2b06010505070301')))),
    sequence(oid('551d11'), octets(sequence(...altNames))),
  ]
}

function altName(name: string): Buffer {
  const family = isIP(name)
  if (family === 0) return der(0x82, Buffer.from(name, 'latin1'))
  return der(0x87, family === 4 ? Buffer.from(name.split('.').map(Number)) : ipv6Bytes(name))
}

function ipv6Bytes(text: string): Buffer {
  const [head = '', tail] = text.split('::')
  const words = (part: string) =>
    part === '' ? [] : part.split(':').map((word) => Number.parseInt(word, 16))
  const front = words(head)
  const back = tail === undefined ? [] : words(tail)
  const all = [...front, ...new Array<number>(8 - front.length - back.length).fill(0), ...back]
  return Buffer.from(all.flatMap((word) => [word >> 8, word & 0xff]))
}

const TRUE = Buffer.from([0x01, 0x01, 0xff])

function der(tag: number, content: Buffer): Buffer {
  const { length } = content
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

const sequence = (...parts: Buffer[]): Buffer => der(0x30, Buffer.concat(parts))
const set = (...parts: Buffer[]): Buffer => der(0x31, Buffer.concat(parts))
const octets = (content: Buffer): Buffer => der(0x04, content)
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'))

function utcTime(milliseconds: number): Buffer {
  const digits = new Date(milliseconds).toISOString().replace(/[-:T]|\.[0-9]{3}/g, '')
  return der(0x17, Buffer.from(digits.slice(2), 'latin1'))
}

function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').replace(/(.{64})(?=.)/g, '$1\n')
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`
}
