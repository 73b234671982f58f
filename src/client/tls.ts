/** TLS settings of a client: who is trusted, by which name, and with which own certificate. */
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { type ConnectionOptions, getCACertificates } from 'node:tls'

export interface ClientTls {
  /** A file of PEM certificates; trusted instead of the system's. */
  readonly caFile?: string | undefined
  /** The same as text. Wins over `caFile`, and that over `caFolder`. */
  readonly caText?: string | undefined
  /** A folder of such files. */
  readonly caFolder?: string | undefined
  readonly certificateFile?: string | undefined
  readonly keyFile?: string | undefined
  /** The name to check and to send, instead of the address's host. */
  readonly serverName?: string | undefined
  /** Accepts every certificate. */
  readonly skipsVerify?: boolean | undefined
}

/** Options for Node's `tls.connect`. Throws a TypeError that names an unreadable file or setting. */
export function connectionOptions(settings: ClientTls): ConnectionOptions {
  const options: ConnectionOptions = {
    ca: trustedCertificates(settings),
    minVersion: 'TLSv1.2',
    rejectUnauthorized: settings.skipsVerify !== true,
  }
  if (settings.serverName) options.servername = settings.serverName
  if (settings.certificateFile || settings.keyFile) {
    if (!settings.certificateFile || !settings.keyFile) {
      throw new TypeError('a client certificate and its key have to be given together')
    }
    options.cert = readText(settings.certificateFile, 'client certificate')
    options.key = readText(settings.keyFile, 'client key')
  }
  return options
}

function trustedCertificates({ caText, caFile, caFolder }: ClientTls): string[] {
  if (caText) return [pemText(caText, 'CA text')]
  if (caFile) return [pemText(readText(caFile, 'CA file'), caFile)]
  if (caFolder) return folderCertificates(caFolder)
  return [...new Set([...getCACertificates('default'), ...getCACertificates('system')])]
}

function folderCertificates(folder: string): string[] {
  let names: string[]
  try {
    names = readdirSync(folder)
  } catch (error) {
    throw new TypeError(`can't read CA folder ${folder}: ${(error as Error).message}`)
  }
  const texts = names
    .filter((name) => /\.(pem|crt|cer)$/.test(name))
    .map((name) => readText(path.join(folder, name), 'CA file'))
    .filter(isPem)
  if (texts.length === 0) throw new TypeError(`no certificates in CA folder ${folder}`)
  return texts
}

// Node takes text without a certificate for an empty list, and the failure would show elsewhere.
function pemText(text: string, name: string): string {
  if (!isPem(text)) throw new TypeError(`no certificates in ${name}`)
  return text
}

function isPem(text: string): boolean {
  return text.includes('-----BEGIN CERTIFICATE-----')
}

function readText(file: string, what: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new TypeError(`can't read ${what} ${file}: ${(error as Error).message}`)
  }
}
