/**
 * Reads the fields of an OpenSSH certificate (PROTOCOL.certkeys) for comparison. Apart from the server's
 * own parser on purpose: an error there must not hide here.
 */
import { createHash } from 'node:crypto'

/** Every field but nonce, serial, key material and the absolute times, which differ from run to run. */
export interface CertificateFields {
  readonly type: string
  readonly serial: string
  readonly publicKey: string
  readonly certificateType: number
  readonly keyId: string
  readonly principals: readonly string[]
  readonly validSeconds: number
  readonly criticalOptions: readonly string[]
  readonly extensions: readonly string[]
  readonly caType: string
  readonly signatureAlgorithm: string
}

/** Number of key fields (strings or mpints) between the nonce and the serial, by certificate type. */
const KEY_FIELD_COUNTS: Readonly<Record<string, number>> = {
  'ssh-rsa': 2,
  'ssh-ed25519': 1,
  'ecdsa-sha2-nistp256': 2,
  'ecdsa-sha2-nistp384': 2,
  'ecdsa-sha2-nistp521': 2,
  'sk-ssh-ed25519': 2,
  'sk-ecdsa-sha2-nistp256': 3,
}

export function isCertificateLine(text: string): boolean {
  return /^[a-z0-9-]+-cert-v01@openssh\.com [A-Za-z0-9+/=]+\n$/.test(text)
}

/** Throws when the line is not exactly one certificate. */
export function readCertificate(line: string): CertificateFields {
  const [lineType = '', base64 = ''] = line.trim().split(' ')
  const reader = new Reader(Buffer.from(base64, 'base64'))
  const type = reader.text()
  if (type !== lineType) throw new Error(`the line says ${lineType}, the certificate ${type}`)
  reader.string() // nonce
  const keyFieldCount = KEY_FIELD_COUNTS[type.replace('-cert-v01@openssh.com', '')]
  if (keyFieldCount === undefined) throw new Error(`unknown certificate type ${type}`)
  const keyFields = Array.from({ length: keyFieldCount }, () => reader.string())
  const serial = reader.uint64()
  const certificateType = reader.uint32()
  const keyId = reader.text()
  const principals = new Reader(reader.string()).allTexts()
  const validAfter = reader.uint64()
  const validBefore = reader.uint64()
  const criticalOptions = readOptions(reader.string())
  const extensions = readOptions(reader.string())
  reader.string() // reserved
  const caType = new Reader(reader.string()).text()
  const signatureAlgorithm = new Reader(reader.string()).text()
  reader.end()
  return {
    type,
    serial: serial.toString(16),
    publicKey: createHash('sha256').update(Buffer.concat(keyFields)).digest('hex'),
    certificateType,
    keyId,
    principals,
    validSeconds: Number(validBefore - validAfter),
    criticalOptions,
    extensions,
    caType,
    signatureAlgorithm,
  }
}

function readOptions(bytes: Buffer): string[] {
  const reader = new Reader(bytes)
  const options: string[] = []
  while (!reader.isAtEnd()) {
    const name = reader.text()
    const data = reader.string()
    options.push(data.length === 0 ? name : `${name}=${new Reader(data).text()}`)
  }
  return options
}

class Reader {
  readonly #bytes: Buffer
  #offset = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  uint32(): number {
    this.#offset += 4
    return this.#bytes.readUInt32BE(this.#offset - 4)
  }

  uint64(): bigint {
    this.#offset += 8
    return this.#bytes.readBigUInt64BE(this.#offset - 8)
  }

  string(): Buffer {
    const length = this.uint32()
    if (this.#offset + length > this.#bytes.length) throw new Error('short certificate')
    this.#offset += length
    return this.#bytes.subarray(this.#offset - length, this.#offset)
  }

  text(): string {
    return this.string().toString('utf8')
  }

  allTexts(): string[] {
    const texts: string[] = []
    while (!this.isAtEnd()) texts.push(this.text())
    return texts
  }

  isAtEnd(): boolean {
    return this.#offset === this.#bytes.length
  }

  end(): void {
    if (!this.isAtEnd()) throw new Error('bytes left over in a certificate')
  }
}
