/**
 * Credentials that were issued, have ended, and that no host has reported a login with: scoped certificates, and keys and
 * passwords for hosts that report.
 */

import { rfc3339 } from '../../../clock.ts'
import type { StoreView } from '../../../storage/view.ts'
import { resolveHost } from '../host/registry.ts'
import { CERTIFICATES, readCertificates } from '../inventory/record.ts'
import { firstSerial, serialName, serialTime } from '../inventory/serial.ts'
import { CREDENTIAL_TIMES, credentialsAt } from './credential.ts'
import { REPORTS, USED } from './login-store.ts'

const PAGE = 250
const MAX_SCANNED = 5000
/** A host that was cut off may tell of a use later; it is counted as late after this time. */
const SETTLED_SECONDS = 300

export interface UnusedQuery {
  /** Unix seconds of the issuing; 0: no limit. */
  readonly since: number
  readonly until: number
  readonly displayName: string
  readonly after: string
  readonly limit: number
  readonly now: number
}

interface Unused {
  /** The place where a list goes on after it. */
  readonly place: string
  readonly shown: Record<string, unknown>
}

export interface UnusedPage {
  readonly found: readonly Unused[]
  readonly next?: string
}

/** Two lists behind one another, each in the order of issuing: certificates, then keys and passwords. */
export async function neverUsed(store: StoreView, query: UnusedQuery): Promise<UnusedPage> {
  const found: Unused[] = []
  const begin = query.since > 0 ? serialName(firstSerial(query.since * 1000)) : ''
  const end = query.until > 0 ? serialName(firstSerial(query.until * 1000)) : undefined
  let scanned = 0
  for (const folder of [CERTIFICATES, CREDENTIAL_TIMES]) {
    if (query.after !== '' && query.after > `${folder}g`) continue
    let after = query.after.startsWith(folder) ? query.after : begin === '' ? '' : folder + begin
    for (;;) {
      const names = await store.list(folder, after, PAGE)
      const wanted = names.filter((name) => end === undefined || name < folder + end)
      const unused = await (folder === CERTIFICATES ? certificates : credentials)(
        store,
        wanted,
        query,
      )
      for (const one of unused) {
        found.push(one)
        if (found.length === query.limit) return { found, next: one.place }
      }
      scanned += names.length
      after = names.at(-1) ?? after
      if (wanted.length < PAGE) break
      if (scanned >= MAX_SCANNED) return { found, next: after }
    }
  }
  return { found }
}

async function certificates(
  store: StoreView,
  names: readonly string[],
  { displayName, now }: UnusedQuery,
): Promise<Unused[]> {
  const records = await readCertificates(
    store,
    names.map((name) => name.slice(CERTIFICATES.length)),
  )
  const ended = records.filter(
    // Others may log in where nobody reports.
    ({ scope, type, validBefore, displayName: name }) =>
      scope !== undefined &&
      type === 'user' &&
      validBefore + SETTLED_SECONDS <= now / 1000 &&
      (displayName === '' || name === displayName),
  )
  const used = await store.getAll(ended.map(({ serial }) => USED + serial))
  return ended
    .filter((_, at) => used[at] === undefined)
    .map(({ serial, displayName: name, role, principals, remoteAddress, validBefore }) => ({
      place: CERTIFICATES + serial,
      shown: {
        credential: 'certificate',
        display_name: name,
        ended_at: rfc3339(validBefore * 1000),
        flags: ['never-used'],
        issued_at: rfc3339(serialTime(BigInt(`0x${serial}`))),
        issued_to: remoteAddress,
        principals,
        role,
        serial_number: BigInt(`0x${serial}`).toString(16),
      },
    }))
}

async function credentials(
  store: StoreView,
  names: readonly string[],
  { displayName, now }: UnusedQuery,
): Promise<Unused[]> {
  const records = (await credentialsAt(store, names)).map(({ record }) => record)
  const ended = records.filter(
    ({ until, displayName: name }) =>
      until + SETTLED_SECONDS <= now / 1000 && (displayName === '' || name === displayName),
  )
  const used = await store.getAll(ended.map(({ serial }) => USED + serial))
  const unused = ended.filter((_, at) => used[at] === undefined)
  const reporting = await Promise.all(unused.map(({ address }) => isReporting(store, address)))
  return unused
    .filter((_, at) => reporting[at])
    .map((record) => ({
      place: CREDENTIAL_TIMES + record.serial,
      shown: {
        address: record.address,
        credential: record.kind,
        display_name: record.displayName,
        ended_at: rfc3339(record.until * 1000),
        flags: ['never-used'],
        issued_at: rfc3339(serialTime(BigInt(`0x${record.serial}`))),
        issued_to: record.remoteAddress,
        lease_id: record.leaseId,
        role: record.role,
        user: record.user,
      },
    }))
}

/** A host of which nobody hears tells nothing by its silence. */
async function isReporting(store: StoreView, address: string): Promise<boolean> {
  try {
    const host = await resolveHost(store, address)
    return host !== undefined && (await store.get(REPORTS + host.id)) !== undefined
  } catch {
    // The address of several.
    return false
  }
}
