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

export const tokenIndex = (tokenId: string): string => `cert-tokens/${tokenId}/`
export const hostIndex = (hostId: string): string => `cert-hosts/${hostId}/`

/** The empty rows beside a record. */
export function indexNames({ tokenId, scope, serial }: CertificateRecord): string[] {
  const folders = scope ? scope.hosts.map(hostIndex) : []
  if (tokenId !== '') folders.push(tokenIndex(tokenId))
  return folders.map((folder) => folder + serial)
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
