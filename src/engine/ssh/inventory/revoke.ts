/**
 * Puts certificates and keys on a mount's KRL (protocols 1.4, 2.1, 5.6). Each revocation is one commit on the head of the
 * list; what was revoked stays so, and is not listed twice.
 */
import type { ConfigView } from '../../../mount/call.ts'
import { hexFingerprint } from '../../../ssh/key/fingerprint.ts'
import type { Entry, Write } from '../../../storage/store.ts'
import { decodeRecord, encodeRecord, type StoreView } from '../../../storage/view.ts'
import { issuerOf } from '../ca/issuers.ts'
import {
  addSerials,
  ISSUER_KEYS,
  NEVER,
  putHead,
  putIssuerKey,
  REVOKED_KEYS,
  type RevokedSerial,
  readHead,
  type StoredHead,
} from './krl/store.ts'
import type { CertificateRecord } from './record.ts'
import { serialName } from './serial.ts'

/** What one commit revokes at most. */
const MAX_BATCH = 1000

/** Where a mount's things lie: a call is one. */
export interface InventoryViews {
  readonly config: ConfigView
  readonly store: StoreView
  /** Milliseconds since the epoch. */
  readonly now: number
}

export interface RevokedCertificate extends RevokedSerial {
  readonly issuerId: string
}

/** Who revoked, and why. */
export interface Cause {
  readonly reason: string
  readonly displayName?: string
  readonly requestId?: string
}

/** What is kept of a revoked certificate, until it is forgotten. */
export interface Revocation extends Cause {
  /** Milliseconds since the epoch. */
  readonly at: number
  /** Of a serial, in Unix seconds: how long it is on the list. Absent for keys, and in revocations of before. */
  readonly until?: number
}

export const revocationName = (serial: string, issuerId: string): string =>
  `revoked/${serial}/${issuerId}`

/** A certificate as the list takes it. */
export function revocable({
  serial,
  issuerId,
  validBefore,
}: CertificateRecord): RevokedCertificate {
  return { serial: BigInt(`0x${serial}`), issuerId, expiresAt: Math.min(validBefore, NEVER) }
}

/**
 * Revokes certificates; resolves when that is durable, to the number of those that were not revoked before. `last` are
 * writes that go with the last commit.
 */
export async function revokeCertificates(
  views: InventoryViews,
  certificates: readonly RevokedCertificate[],
  cause: Cause,
  last: readonly Write[] = [],
): Promise<number> {
  let revoked = 0
  for (let at = 0; ; at += MAX_BATCH) {
    const batch = certificates.slice(at, at + MAX_BATCH)
    const isLast = at + MAX_BATCH >= certificates.length
    revoked += await inTurn(views.store, () => revokeBatch(views, batch, cause, isLast ? last : []))
    if (isLast) return revoked
  }
}

/** Revokes keys, whatever certificates they are in: for good. Resolves to the number that were not revoked before. */
export function revokeKeys(
  views: InventoryViews,
  blobs: readonly Uint8Array[],
  cause: Cause,
): Promise<number> {
  const { store, now } = views
  const names = [...new Set(blobs.map((blob) => REVOKED_KEYS + hexFingerprint(blob)))]
  return inTurn(store, async () => {
    for (;;) {
      const { head, condition } = await readHead(store)
      const known = await store.getAll(names)
      const wanted = names.filter((_, at) => known[at] === undefined)
      if (wanted.length === 0) return 0
      const value = encodeRecord({ ...cause, at: now } satisfies Revocation)
      const writes = wanted.map((name) => store.put(name, value))
      const result = await store.commit(
        [...writes, putHead(store, head, head.open, now)],
        [condition],
      )
      if (result.committed) return wanted.length
    }
  })
}

/** A certificate whose answer could not be audited: nobody has it, and nobody may (protocols 2.1). */
export async function revokeUndelivered(
  views: InventoryViews,
  record: CertificateRecord,
): Promise<void> {
  await revokeCertificates(views, [revocable(record)], { reason: 'undelivered' })
}

async function revokeBatch(
  views: InventoryViews,
  batch: readonly RevokedCertificate[],
  cause: Cause,
  more: readonly Write[],
): Promise<number> {
  const { store } = views
  for (;;) {
    const stored = await readHead(store)
    const wanted = await unrevoked(store, batch)
    const writes = [...more]
    if (wanted.length > 0) writes.push(...(await additions(views, stored, wanted, cause)))
    if (writes.length === 0) return 0
    const conditions = wanted.length > 0 ? [stored.condition] : []
    const result = await store.commit(writes, conditions)
    if (result.committed) return wanted.length
  }
}

async function unrevoked(
  store: StoreView,
  batch: readonly RevokedCertificate[],
): Promise<RevokedCertificate[]> {
  const byName = new Map(
    batch.map((one) => [revocationName(serialName(one.serial), one.issuerId), one]),
  )
  const known = await store.getAll([...byName.keys()])
  return [...byName.values()].filter((one, at) => !lasts(known[at], one))
}

/** Whether it is on the list for long enough: of one without a record, only who revoked it said how long that is. */
function lasts(entry: Entry | undefined, { expiresAt }: RevokedCertificate): boolean {
  return entry !== undefined && (decodeRecord<Revocation>(entry.value).until ?? NEVER) >= expiresAt
}

async function additions(
  { config, store, now }: InventoryViews,
  { head }: StoredHead,
  wanted: readonly RevokedCertificate[],
  cause: Cause,
): Promise<Write[]> {
  const writes = wanted.map(({ serial, issuerId, expiresAt: until }) =>
    store.put(
      revocationName(serialName(serial), issuerId),
      encodeRecord({ ...cause, at: now, until } satisfies Revocation),
    ),
  )
  const open = new Map(head.open)
  for (const [issuerId, serials] of Map.groupBy(wanted, (one) => one.issuerId)) {
    const added = await addSerials(store, head, issuerId, serials)
    writes.push(...added.writes, ...(await issuerKeyWrites({ config, store }, issuerId)))
    open.set(issuerId, added.chunk)
  }
  writes.push(putHead(store, head, [...open], now))
  return writes
}

/** An issuer's public key is kept beside its revoked serials: the issuer may be deleted before they end. */
async function issuerKeyWrites(
  { config, store }: Pick<InventoryViews, 'config' | 'store'>,
  issuerId: string,
): Promise<Write[]> {
  if (await store.get(ISSUER_KEYS + issuerId)) return []
  const { publicKey } = await issuerOf(config, { id: issuerId, name: '' })
  return [putIssuerKey(store, issuerId, publicKey.blob)]
}

const turns = new Map<string, Promise<unknown>>()

/** One at a time for a mount: each changes the same head, and all but one would have to begin again. */
export function inTurn<T>({ prefix }: StoreView, work: () => Promise<T>): Promise<T> {
  const turn = (turns.get(prefix) ?? Promise.resolve()).then(work, work)
  turns.set(prefix, turn)
  const leave = () => {
    if (turns.get(prefix) === turn) turns.delete(prefix)
  }
  turn.then(leave, leave)
  return turn
}
