/** What the service is doing, for `postern-host status`, the doctor and monitoring: one JSON file, gone after a restart. */
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { writeFileAtomically } from '../atomic-file.ts'
import type { Held, HostState } from '../enrolment/state.ts'
import { hostPaths } from '../paths.ts'

export interface Status {
  readonly pid: number
  /** ISO 8601, as all times here. */
  readonly started: string
  readonly host_id: string
  /** Absent before the first answer. */
  readonly last_contact?: string
  /** Of the last tries that failed, by what was tried. */
  readonly errors: Readonly<Record<string, string>>
  readonly bundle?: HeldStatus
  readonly krl?: HeldStatus
  /** What somebody should look at. */
  readonly alarms: readonly string[]
}

interface HeldStatus {
  readonly version: number
  readonly issued_at: string
  readonly not_after: string
}

/** The alarms: what is held is too old to be believed. */
export function alarmsOf({ bundle, krl, leastKrlVersion }: HostState, now: number): string[] {
  const isOver = (held: Held | undefined) => held !== undefined && held.notAfter * 1000 <= now
  return [
    ...(krl === undefined ? ['no KRL was ever fetched: revoked certificates get in'] : []),
    ...(krl && krl.version < (leastKrlVersion ?? 0)
      ? ['there is a newer KRL than the server gives this host: certificates revoked since get in']
      : []),
    ...(isOver(krl) ? ['the KRL is older than a day: certificates revoked since get in'] : []),
    ...(isOver(bundle) ? ['the bundle has expired: the server has not answered for a day'] : []),
  ]
}

export function statusOf(
  state: HostState,
  facts: Pick<Status, 'started' | 'errors'> & { readonly lastContact: number | undefined },
  now: number,
): Status {
  const { started, errors, lastContact } = facts
  return {
    pid: process.pid,
    started,
    host_id: state.hostId,
    ...(lastContact !== undefined && { last_contact: new Date(lastContact).toISOString() }),
    errors,
    ...(state.bundle && { bundle: showHeld(state.bundle) }),
    ...(state.krl && { krl: showHeld(state.krl) }),
    alarms: alarmsOf(state, now),
  }
}

export function writeStatus(status: Status, file: string = hostPaths.status): void {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o755 })
  writeFileAtomically(file, `${JSON.stringify(status, null, 2)}\n`, 0o644)
}

function showHeld({ version, issuedAt, notAfter }: Held): HeldStatus {
  const iso = (seconds: number) => new Date(seconds * 1000).toISOString()
  return { version, issued_at: iso(issuedAt), not_after: iso(notAfter) }
}
