/**
 * What a mount with hosts keeps of the dynamic keys and one-time passwords that it issued, so that a login with one is known
 * again when its lease has ended. Certificates have the inventory.
 */
import { hash } from 'node:crypto'
import type { Call } from '../../../mount/call.ts'
import type { Write } from '../../../storage/store.ts'
import { decodeRecord, encodeRecord, type StoreView } from '../../../storage/view.ts'
import { hostsConfig } from '../host/config-hosts.ts'
import { newSerial, serialName } from '../inventory/serial.ts'

/** In the order of issuing; each names a record. */
export const CREDENTIAL_TIMES = 'credential-times/'
const CREDENTIALS = 'credential/'

export interface CredentialRecord {
  readonly kind: 'key' | 'otp'
  /** 16 hex digits that sort by time, like the serial of a certificate. */
  readonly serial: string
  readonly leaseId: string
  readonly role: string
  readonly user: string
  /** Of the host that it is for. */
  readonly address: string
  readonly displayName: string
  readonly entityId: string
  /** Whom it was issued to. */
  readonly remoteAddress: string
  /** Unix seconds: when its lease ended, or the time beyond which no renewal goes. */
  readonly until: number
}

/** What issues a credential knows of it; `name` is the SHA-256 in hex of the public key, or of the password's lease. */
export interface IssuedCredential
  extends Pick<CredentialRecord, 'kind' | 'leaseId' | 'role' | 'user' | 'address'> {
  readonly name: string
  /** Milliseconds since the epoch. */
  readonly endsAt: number
}

/** The writes that go with the lease; none where the mount knows no hosts, since none reports then. */
export async function rememberCredential(call: Call, issued: IssuedCredential): Promise<Write[]> {
  const { config, store, caller, remoteAddress, now } = call
  if (!(await hostsConfig(config)).hostScope) return []
  const { name, endsAt, ...known } = issued
  const record: CredentialRecord = {
    ...known,
    serial: serialName(newSerial(now)),
    displayName: caller?.displayName ?? '',
    entityId: caller?.entityId ?? '',
    remoteAddress,
    until: Math.ceil(endsAt / 1000),
  }
  return [
    store.put(CREDENTIALS + name, encodeRecord(record)),
    store.put(CREDENTIAL_TIMES + record.serial, encodeRecord(name)),
  ]
}

export function leaseCredential(leaseId: string): string {
  return hash('sha256', leaseId, 'hex')
}

/** The name of a key with this fingerprint, `SHA256:` and base64. */
export function keyCredential(fingerprint: string): string {
  return Buffer.from(fingerprint.slice('SHA256:'.length), 'base64').toString('hex')
}

export async function findCredential(
  store: StoreView,
  name: string,
): Promise<CredentialRecord | undefined> {
  const entry = await store.get(CREDENTIALS + name)
  return entry && decodeRecord<CredentialRecord>(entry.value)
}

/** The records behind names of `CREDENTIAL_TIMES`, with their own names. */
export async function credentialsAt(
  store: StoreView,
  times: readonly string[],
): Promise<{ readonly name: string; readonly record: CredentialRecord }[]> {
  const pointers = await store.getAll(times)
  const names = pointers.flatMap((entry) => (entry ? [decodeRecord<string>(entry.value)] : []))
  const entries = await store.getAll(names.map((name) => CREDENTIALS + name))
  return entries.flatMap((entry, at) =>
    entry
      ? [{ name: names[at] as string, record: decodeRecord<CredentialRecord>(entry.value) }]
      : [],
  )
}

export function forgetCredential(
  store: StoreView,
  { name, record }: { readonly name: string; readonly record: CredentialRecord },
): Write[] {
  return [store.remove(CREDENTIALS + name), store.remove(CREDENTIAL_TIMES + record.serial)]
}

/** The writes that go with the end of its lease. */
export async function endCredential(store: StoreView, name: string, now: number): Promise<Write[]> {
  const record = await findCredential(store, name)
  const until = Math.floor(now / 1000)
  if (!record || record.until <= until) return []
  return [store.put(CREDENTIALS + name, encodeRecord({ ...record, until }))]
}
