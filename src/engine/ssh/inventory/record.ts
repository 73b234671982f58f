/** The inventory: one record for each certificate that a mount has signed, under its serial. */
import type { CertificateType } from '../../../ssh/certificate/certificate.ts'
import type { Write } from '../../../storage/store.ts'
import { decodeRecord, type StoreView } from '../../../storage/view.ts'
import { serialName } from './serial.ts'

export const CERTIFICATES = 'certs/'

/** What a certificate is limited to, by ids. */
export interface CertificateScope {
  readonly hosts: readonly string[]
  readonly groups: readonly string[]
  readonly tags: readonly string[]
}

/** As it is stored. Times are Unix seconds. */
export interface CertificateRecord {
  /** 16 hex digits. */
  readonly serial: string
  readonly issuerId: string
  readonly keyId: string
  readonly type: CertificateType
  readonly role: string
  /** Of the token that asked for it; empty where none did. */
  readonly accessor: string
  readonly tokenId: string
  readonly displayName: string
  readonly entityId: string
  readonly principals: readonly string[]
  readonly scope?: CertificateScope
  /** `SHA256:` and base64, as OpenSSH shows it. */
  readonly fingerprint: string
  readonly validAfter: number
  readonly validBefore: number
  readonly requestId: string
  readonly remoteAddress: string
}

export const ALL_TOKENS = 'cert-tokens/'
/** In the place of a token, for what none asked for. */
const NO_TOKEN = '-'

export const tokenIndex = (tokenId: string): string => `${ALL_TOKENS}${tokenId}/`

/**
 * The empty rows beside a record: under its token, and with the host behind the serial where it is for hosts, one for each.
 * A row costs nearly as much as the record, so that there is no index by host: who wants that reads all names.
 */
export function indexNames({ tokenId, scope, serial }: CertificateRecord): string[] {
  const hosts = scope?.hosts ?? []
  const name = tokenIndex(tokenId === '' ? NO_TOKEN : tokenId) + serial
  if (hosts.length > 0) return hosts.map((id) => `${name}/${id}`)
  return tokenId === '' ? [] : [name]
}

/** The serial in the name of a record, or of a row beside it. */
export function serialIn(name: string): string {
  const parts = name.split('/')
  return parts[name.startsWith(CERTIFICATES) ? 1 : 2] ?? ''
}

/** Whether a row beside a record says that it is for this host. */
export function isForHost(name: string, hostId: string): boolean {
  return name.split('/')[3] === hostId
}

/** The writes that remove a record. */
export function recordRemoval(store: StoreView, record: CertificateRecord): Write[] {
  return [CERTIFICATES + record.serial, ...indexNames(record)].map((name) => store.remove(name))
}

export async function findCertificate(
  store: StoreView,
  serial: bigint,
): Promise<CertificateRecord | undefined> {
  const entry = await store.get(CERTIFICATES + serialName(serial))
  return entry && decodeRecord<CertificateRecord>(entry.value)
}

/** The records of these serials, from one snapshot; those that are gone are left out. */
export async function readCertificates(
  store: StoreView,
  serials: readonly string[],
): Promise<CertificateRecord[]> {
  const entries = await store.getAll(serials.map((serial) => CERTIFICATES + serial))
  return entries.flatMap((entry) => (entry ? [decodeRecord<CertificateRecord>(entry.value)] : []))
}
