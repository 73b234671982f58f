/**
 * What a host keeps of its enrolment and of what it was told since: one file, root's alone. A version in it never goes
 * back (protocols 5.6).
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { parseAuthorizedKey } from '../../ssh/key/authorized-keys.ts'
import { writeFileAtomically } from '../atomic-file.ts'
import type { Enrolment } from '../otp/server-trust.ts'
import { hostPaths } from '../paths.ts'

/** What is known of something that the server signs; times are Unix seconds. */
export interface Held {
  readonly version: number
  readonly issuedAt: number
  readonly notAfter: number
}

/** A KRL, by which bytes the statement meant it. */
export interface HeldKrl extends Held {
  /** In lower-case hex. */
  readonly sha256: string
}

export interface HostState {
  readonly hostId: string
  readonly clusterId: string
  /** Without slashes at its ends. */
  readonly mount: string
  /** How the mount is called in statements. */
  readonly issuer: string
  /** Lines of authorized_keys: who signs now, and who is announced. */
  readonly serverKey: string
  readonly nextServerKey?: string
  readonly bundle?: Held
  readonly krl?: HeldKrl
  /** The least version of the KRL that a bundle has named. */
  readonly leastKrlVersion?: number
}

type Members = Readonly<Record<string, unknown>>

/** Undefined where the host is not enrolled. Throws a TypeError for a file that is not as it has to be. */
export function readHostState(file: string = hostPaths.state): HostState | undefined {
  if (!existsSync(file)) return undefined
  try {
    return parseState(JSON.parse(readFileSync(file, 'utf8')))
  } catch (error) {
    throw new TypeError(`${file}: ${(error as Error).message}`)
  }
}

export function writeHostState(state: HostState, file: string = hostPaths.state): void {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 })
  writeFileAtomically(file, `${JSON.stringify(encodeState(state), null, 2)}\n`, 0o600)
}

/** The part by which the host knows its server. */
export function enrolmentOf(state: HostState): Enrolment {
  return {
    hostId: state.hostId,
    clusterId: state.clusterId,
    mountPath: state.mount,
    serverKeys: trustedKeys(state),
  }
}

export function trustedKeys({ serverKey, nextServerKey }: HostState): Enrolment['serverKeys'] {
  return [serverKey, ...(nextServerKey === undefined ? [] : [nextServerKey])].map(
    parseAuthorizedKey,
  )
}

function parseState(value: unknown): HostState {
  if (typeof value !== 'object' || value === null) throw new TypeError('no object')
  const members = value as Members
  const next = members['next_server_key']
  const least = members['least_krl_version']
  const bundle = memberAt(members, 'bundle')
  const krl = memberAt(members, 'krl')
  const state: HostState = {
    hostId: textAt(members, 'host_id'),
    clusterId: textAt(members, 'cluster_id'),
    mount: textAt(members, 'mount'),
    issuer: textAt(members, 'issuer'),
    serverKey: textAt(members, 'server_key'),
    ...(next !== undefined && { nextServerKey: textAt(members, 'next_server_key') }),
    ...(bundle && { bundle: parseHeld(bundle) }),
    ...(krl && { krl: { ...parseHeld(krl), sha256: textAt(krl, 'sha256') } }),
    ...(least !== undefined && { leastKrlVersion: integerAt(members, 'least_krl_version') }),
  }
  trustedKeys(state)
  return state
}

function encodeState(state: HostState): Members {
  return {
    host_id: state.hostId,
    cluster_id: state.clusterId,
    mount: state.mount,
    issuer: state.issuer,
    server_key: state.serverKey,
    next_server_key: state.nextServerKey,
    bundle: state.bundle && encodeHeld(state.bundle),
    krl: state.krl && { ...encodeHeld(state.krl), sha256: state.krl.sha256 },
    least_krl_version: state.leastKrlVersion,
  }
}

function encodeHeld({ version, issuedAt, notAfter }: Held): Members {
  return { version, issued_at: issuedAt, not_after: notAfter }
}

function memberAt(members: Members, name: string): Members | undefined {
  const member = members[name]
  if (member === undefined) return undefined
  if (typeof member === 'object' && member !== null) return member as Members
  throw new TypeError(`${name} is no object`)
}

function parseHeld(held: Members): Held {
  return {
    version: integerAt(held, 'version'),
    issuedAt: integerAt(held, 'issued_at'),
    notAfter: integerAt(held, 'not_after'),
  }
}

function textAt(members: Members, name: string): string {
  const text = members[name]
  if (typeof text === 'string' && text !== '') return text
  throw new TypeError(`${name} is missing`)
}

function integerAt(members: Members, name: string): number {
  const number = members[name]
  if (typeof number === 'number' && Number.isSafeInteger(number) && number >= 0) return number
  throw new TypeError(`${name} is no whole number`)
}
