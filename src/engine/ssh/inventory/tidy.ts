/**
 * Takes out of the store what has ended: serials of certificates that no host accepts any more leave the KRL (with a new
 * version), records leave the inventory. Runs about once an hour, and by `tidy/certificates`.
 */
import { setImmediate } from 'node:timers/promises'
import type { Outcome } from '../../../mount/call.ts'
import { declarePath, type Path } from '../../../mount/path.ts'
import { certificatesConfig } from './config.ts'
import {
  allChunks,
  decodeChunk,
  encodeChunk,
  NEVER,
  putHead,
  type RevokedSerial,
  readHead,
} from './krl/store.ts'
import { CERTIFICATES, readCertificates, recordRemoval, serialIn } from './record.ts'
import { type InventoryViews, inTurn, revocationName } from './revoke.ts'
import { firstSerial, serialName } from './serial.ts'

/** A host whose clock is behind by this much still refuses what was revoked. */
const SKEW_SECONDS = 3600
const CHUNKS_AT_ONCE = 20
const RECORDS_AT_ONCE = 250

/** Removes what has ended; resolves to how many serials and records went. */
export async function tidyCertificates(
  views: InventoryViews,
): Promise<{ readonly serials: number; readonly records: number }> {
  return { serials: await tidyKrl(views), records: await tidyRecords(views) }
}

async function tidyKrl(views: InventoryViews): Promise<number> {
  const names = await allChunks(views.store)
  let removed = 0
  for (let at = 0; at < names.length; at += CHUNKS_AT_ONCE) {
    const batch = names.slice(at, at + CHUNKS_AT_ONCE)
    removed += await inTurn(views.store, () => tidyChunks(views, batch))
    // Reading does not leave the event loop by itself.
    await setImmediate()
  }
  return removed
}

async function tidyChunks(
  { store, now }: InventoryViews,
  chunks: readonly { readonly issuerId: string; readonly name: string }[],
): Promise<number> {
  const isOver = ({ expiresAt }: RevokedSerial) =>
    expiresAt !== NEVER && expiresAt + SKEW_SECONDS <= now / 1000
  for (;;) {
    const { head, condition } = await readHead(store)
    const entries = await store.getAll(chunks.map(({ name }) => name))
    const ended: { serial: string; issuerId: string }[] = []
    const writes = chunks.flatMap(({ issuerId, name }, at) => {
      const serials = decodeChunk(entries[at]?.value ?? new Uint8Array(0))
      const live = serials.filter((one) => !isOver(one))
      if (live.length === serials.length) return []
      const over = serials.filter(isOver)
      ended.push(...over.map(({ serial }) => ({ serial: serialName(serial), issuerId })))
      return [live.length === 0 ? store.remove(name) : store.put(name, encodeChunk(live))]
    })
    if (writes.length === 0) return 0
    // Beside a record it stays and tells of the revocation; without one nothing else would remove it.
    const records = await store.getAll(ended.map(({ serial }) => CERTIFICATES + serial))
    const lone = ended.filter((_, at) => records[at] === undefined)
    writes.push(
      ...lone.map(({ serial, issuerId }) => store.remove(revocationName(serial, issuerId))),
      putHead(store, head, head.open, now),
    )
    const result = await store.commit(writes, [condition])
    if (result.committed) return ended.length
  }
}

/** Serials lie in the order of signing, and nothing ends before it is signed: what is younger need not be read. */
async function tidyRecords({ config, store, now }: InventoryViews): Promise<number> {
  const { keepForSeconds } = await certificatesConfig(config)
  const endedBy = now / 1000 - keepForSeconds
  const last = CERTIFICATES + serialName(firstSerial(endedBy * 1000))
  let removed = 0
  for (let after = ''; ; ) {
    const page = await store.list(CERTIFICATES, after, RECORDS_AT_ONCE)
    const serials = page.filter((name) => name < last).map(serialIn)
    const records = await readCertificates(store, serials)
    const ended = records.filter(({ validBefore }) => validBefore <= endedBy)
    if (ended.length > 0) {
      const writes = ended.flatMap((record) => [
        ...recordRemoval(store, record),
        store.remove(revocationName(record.serial, record.issuerId)),
      ])
      await store.commit(writes, [])
      removed += ended.length
    }
    if (serials.length < RECORDS_AT_ONCE) return removed
    after = page.at(-1) as string
    await setImmediate()
  }
}

async function tidy(views: InventoryViews): Promise<Outcome> {
  const { serials, records } = await tidyCertificates(views)
  return { data: { removed_records: records, removed_serials: serials } }
}

export const tidyCertificatesPath: Path = declarePath({
  pattern: 'tidy/certificates',
  fields: {},
  operations: { update: tidy },
  actsItself: true,
  synopsis: 'Removes records and revoked serials of certificates that have ended.',
  description:
    'Happens by itself about once an hour. Serials leave the KRL an hour after their certificates have ended, records when `keep_for` of config/certificates is over.',
})
