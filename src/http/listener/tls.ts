/** TLS of a listener: 1.2 or later, HTTP/1.1 only (contract, Decision 17), certificates of clients when a CA is named. */
import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import {
  createSecureContext,
  type SecureContextOptions,
  type TLSSocket,
  type TlsOptions,
} from 'node:tls'

export type TlsVersion = 'TLSv1.2' | 'TLSv1.3'

/** Certificate chain, its key and the CAs of clients, as PEM. */
export interface TlsMaterial {
  readonly certificate: string | Buffer
  readonly key: string | Buffer
  readonly clientCa?: string | Buffer
}

export interface TlsSettings {
  /** Reads the material, at start and at every reload. Throws when it cannot be read. */
  readonly load: () => TlsMaterial
  readonly minVersion?: TlsVersion
  readonly maxVersion?: TlsVersion
  /** In OpenSSL's names, separated by `:`. */
  readonly cipherSuites?: string
  /** Refuses clients without a certificate of the named CA; without it their certificate is only looked at. */
  readonly requireClientCertificate?: boolean
}

/** The `load` of settings that name files. */
export function tlsFiles(certificate: string, key: string, clientCa?: string): () => TlsMaterial {
  return () => ({
    certificate: readFileSync(certificate),
    key: readFileSync(key),
    ...(clientCa === undefined ? undefined : { clientCa: readFileSync(clientCa) }),
  })
}

/** Loads the material and checks that key and certificate belong together. Throws when it is of no use. */
export function secureContextOf(settings: TlsSettings): SecureContextOptions {
  const { certificate, key, clientCa } = settings.load()
  const options: SecureContextOptions = {
    cert: certificate,
    key,
    minVersion: settings.minVersion ?? 'TLSv1.2',
    ...(clientCa === undefined ? undefined : { ca: clientCa }),
    ...(settings.maxVersion === undefined ? undefined : { maxVersion: settings.maxVersion }),
    ...(settings.cipherSuites === undefined ? undefined : { ciphers: settings.cipherSuites }),
  }
  createSecureContext(options)
  return options
}

/** Options of a TLS server with these settings. */
export function tlsOptions(settings: TlsSettings): TlsOptions {
  const context = secureContextOf(settings)
  return {
    ...context,
    ALPNProtocols: ['http/1.1'],
    requestCert: context.ca !== undefined,
    rejectUnauthorized: settings.requireClientCertificate ?? false,
  }
}

/** The serial number of a client's verified certificate, in decimal. */
export function clientSerial(socket: Socket): string | undefined {
  const { authorized, getPeerCertificate } = socket as Partial<TLSSocket>
  if (authorized !== true || getPeerCertificate === undefined) return undefined
  const { serialNumber } = getPeerCertificate.call(socket)
  return serialNumber ? BigInt(`0x${serialNumber}`).toString() : undefined
}
