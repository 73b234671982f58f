/**
 * A lease as it is stored: what ends, when, and what to do then. Its keys: `lease/<id>` (the record),
 * `exp/<time>/<id>` (due order), `held/<token>/<id>` (what dies with a token), `irrevocable/<id>` (could not be ended).
 */
import type { Condition, Entry, Store, Write } from '../storage/store.ts'
import { decodeRecord, encodeRecord } from '../storage/view.ts'

/** Who works at a lease outside the store: nobody else may until then (protocols 1.6). */
export interface Claim {
  /** Random: finishing the work asks for it. */
  readonly id: string
  /** The process. */
  readonly owner: string
  /** Milliseconds since the epoch. */
  readonly until: number
}

/** How it stands with a lease whose end needs work outside the store (protocols 1.5). */
export interface ExternalState {
  readonly state: 'pending' | 'active'
  /** Where it stands in `exp/`, in milliseconds since the epoch: its end, the next try, or the end of a claim. */
  readonly dueAt: number
  /** Nothing but its end may happen to it any more. */
  readonly ending?: true
  readonly claim?: Claim
  /** Failed tries to end it. */
  readonly tries?: number
  /** Printable, and short. */
  readonly lastError?: string
}

export interface LeaseRecord {
  /** A `token` lease ends its token (storage id in `tokenId`); a `secret` lease belongs to the token. */
  readonly kind: 'secret' | 'token'
  readonly tokenId: string
  /** Of the mount that has to revoke it; '' for tokens. */
  readonly mountUuid: string
  /** Milliseconds since the epoch. */
  readonly issuedAt: number
  readonly expiresAt: number
  readonly maxExpiresAt: number
  readonly lastRenewedAt?: number
  /** The life that it was granted with, in milliseconds; only where a renewal has moved the end. */
  readonly periodMs?: number
  readonly renewable: boolean
  /** The engine's own, sealed with the record. */
  readonly data?: unknown
  /** Absent where the end is a commit and nothing more. */
  readonly external?: ExternalState
}

export interface StoredLease extends LeaseRecord {
  readonly id: string
  readonly version: number
}

export const LEASE_PREFIX = 'lease/'
export const EXPIRY_PREFIX = 'exp/'
export const IRREVOCABLE_PREFIX = 'irrevocable/'

const EMPTY = new Uint8Array(0)
const TIME_DIGITS = 12
/** A mount's path, two names of 512 characters, what stands between them, a token's storage id. */
const MAX_ID_CHARACTERS = 2048

export const leaseKey = (id: string): string => LEASE_PREFIX + id
export const heldPrefix = (tokenId: string): string => `held/${tokenId}/`

/** Sorts by time: twelve hex digits of milliseconds last until the year 10889. */
function expiryKey(expiresAt: number, id: string): string {
  return `${EXPIRY_PREFIX}${expiresAt.toString(16).padStart(TIME_DIGITS, '0')}/${id}`
}

export function parseExpiryKey(key: string): { expiresAt: number; id: string } {
  const rest = key.slice(EXPIRY_PREFIX.length)
  return {
    expiresAt: Number.parseInt(rest.slice(0, TIME_DIGITS), 16),
    id: rest.slice(TIME_DIGITS + 1),
  }
}

/** When the lease is looked at, in milliseconds since the epoch. */
export function dueAt(lease: Pick<LeaseRecord, 'expiresAt' | 'external'>): number {
  return lease.external?.dueAt ?? lease.expiresAt
}

/** The writes that store a new lease; its id must not be there yet. */
export function leaseCreation(
  id: string,
  record: LeaseRecord,
): { writes: Write[]; condition: Condition } {
  const writes: Write[] = [
    { key: leaseKey(id), value: encodeRecord(record) },
    { key: expiryKey(dueAt(record), id), value: EMPTY },
  ]
  if (record.kind === 'secret') {
    writes.push({ key: heldPrefix(record.tokenId) + id, value: EMPTY })
  }
  return { writes, condition: { key: leaseKey(id), is: 'absent' } }
}

/** The writes that remove a lease. */
export function leaseRemoval(
  lease: Pick<StoredLease, 'id' | 'expiresAt' | 'tokenId' | 'external'>,
): Write[] {
  const writes: Write[] = [
    { key: leaseKey(lease.id) },
    { key: expiryKey(dueAt(lease), lease.id) },
    { key: heldPrefix(lease.tokenId) + lease.id },
  ]
  if (lease.external) writes.push({ key: IRREVOCABLE_PREFIX + lease.id })
  return writes
}

/** The life that a lease was granted with, in milliseconds, however often it was renewed. */
export function leasePeriodMs({ periodMs, expiresAt, issuedAt }: LeaseRecord): number {
  return periodMs ?? expiresAt - issuedAt
}

/** The writes that move a lease's end. */
export function leaseRenewal(lease: StoredLease, expiresAt: number, now: number): Write[] {
  return leaseChange(lease, { expiresAt, lastRenewedAt: now, periodMs: leasePeriodMs(lease) })
}

/** The writes that change a lease, and its place among the due. */
export function leaseChange(lease: StoredLease, changes: Partial<LeaseRecord>): Write[] {
  const { id, version: _version, ...record } = lease
  const changed: LeaseRecord = { ...record, ...changes }
  const writes: Write[] = [{ key: leaseKey(id), value: encodeRecord(changed) }]
  if (dueAt(changed) !== dueAt(lease)) writes.push({ key: expiryKey(dueAt(lease), id) })
  writes.push({ key: expiryKey(dueAt(changed), id), value: EMPTY })
  return writes
}

export async function readLease(store: Store, id: string): Promise<StoredLease | undefined> {
  // Ids are made of canonical paths: nothing else can be one, and the store refuses some of it.
  if (id.length > MAX_ID_CHARACTERS || !/^\P{C}+$/u.test(id)) return undefined
  const [entry] = await store.get([leaseKey(id)])
  return entry && decodeLease(id, entry)
}

/** The same for many, from one snapshot. */
export async function readLeases(
  store: Store,
  ids: readonly string[],
): Promise<(StoredLease | undefined)[]> {
  const entries = await store.get(ids.map(leaseKey))
  return entries.map((entry, at) => entry && decodeLease(ids[at] as string, entry))
}

function decodeLease(id: string, entry: Entry): StoredLease {
  return { ...decodeRecord<LeaseRecord>(entry.value), id, version: entry.version }
}
