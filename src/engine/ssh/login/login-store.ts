/** Logins as the store has them: newest first under their ids, those that go on by host, and when a credential was last used. */
import { hash } from 'node:crypto'
import type { LoginMethod } from '../../../ssh/host/login-event.ts'
import type { Write } from '../../../storage/store.ts'
import { decodeRecord, encodeRecord, type StoreView } from '../../../storage/view.ts'

export const LOGINS = 'logins/'
export const OPEN = 'login-open/'
export const USED = 'used/'
/** How far the reports of each host have come. */
export const REPORTS = 'host-reports/'
const BY_HOST = 'login-hosts/'
const LAST_TIME = 99_999_999_999
const EMPTY = new Uint8Array(0)

export const loginFlags = ['other-address', 'unknown-credential', 'gap'] as const

export type LoginFlag = (typeof loginFlags)[number]

/** With what somebody came in, and what is known of it. */
export interface LoginCredential {
  /** `admin-key`: the server's own, by its name as role. `none`: a password of the host's own, or what nobody knows here. */
  readonly kind: 'certificate' | 'key' | 'otp' | 'admin-key' | 'none'
  /** 16 hex digits. */
  readonly serial?: string
  readonly caFingerprint?: string
  readonly keyId?: string
  readonly fingerprint?: string
  readonly leaseId?: string
  /** The rest is there for what this mount has issued. */
  readonly role?: string
  readonly displayName?: string
  readonly entityId?: string
  /** Address of whoever asked for it. */
  readonly issuedTo?: string
}

/** A login, or events that are missing. Times are Unix seconds. */
export interface LoginRecord {
  readonly id: string
  readonly host: string
  readonly at: number
  readonly sequence: number
  /** When the server was told. */
  readonly reportedAt: number
  /** How far the host's clock was ahead then, where that was more than a second. */
  readonly skewSeconds?: number
  readonly flags: readonly LoginFlag[]
  /** Events that the host had numbered and never told; without a number nobody knows how many. */
  readonly gap?: { readonly missing?: number }
  readonly login?: {
    readonly session: string
    readonly user: string
    readonly from: string
    readonly port?: number
    readonly service: string
    readonly method: LoginMethod
    readonly credential: LoginCredential
    readonly endedAt?: number
  }
}

/** When and where something that was issued was last used. */
export interface LastUse {
  readonly at: number
  readonly host: string
  readonly user: string
  readonly from: string
  readonly login: string
  /** The end of what was used. */
  readonly until: number
}

/** Ids sort from the newest on; the same session has the same. */
export function loginId(host: string, at: number, what: string): string {
  return `${timePart(at)}-${hash('sha256', `${host}\0${what}`, 'hex').slice(0, 16)}`
}

/** What ids of this second begin with: those after it are of this second or before. */
export function timePart(at: number): string {
  return String(Math.max(0, LAST_TIME - at)).padStart(11, '0')
}

export function putLogin(store: StoreView, record: LoginRecord): Write[] {
  const { id, host, login } = record
  const isOpen = login && login.endedAt === undefined
  return [
    store.put(LOGINS + id, encodeRecord(record)),
    store.put(hostFolder(host) + id, EMPTY),
    ...(isOpen ? [store.put(openName(host, login.session), encodeRecord(id))] : []),
  ]
}

/** The writes that end a login. */
export function endLogin(store: StoreView, record: LoginRecord, at: number): Write[] {
  const { login } = record
  if (!login) return []
  const endedAt = Math.max(at, record.at)
  const ended: LoginRecord = { ...record, login: { ...login, endedAt } }
  return [
    store.put(LOGINS + record.id, encodeRecord(ended)),
    store.remove(openName(record.host, login.session)),
  ]
}

export function removeLogin(store: StoreView, { id, host, login }: LoginRecord): Write[] {
  return [
    store.remove(LOGINS + id),
    store.remove(hostFolder(host) + id),
    ...(login ? [store.remove(openName(host, login.session))] : []),
  ]
}

/** A folder of empty rows, one for each login on the host; of the logins themselves where no host is named. */
export function loginFolder(host: string): string {
  return host === '' ? LOGINS : hostFolder(host)
}

const hostFolder = (host: string) => `${BY_HOST}${host}/`

export function openName(host: string, session: string): string {
  return `${OPEN}${host}/${session}`
}

/** The records of these ids; those that are gone are left out. */
export async function readLogins(store: StoreView, ids: readonly string[]): Promise<LoginRecord[]> {
  const entries = await store.getAll(ids.map((id) => LOGINS + id))
  return entries.flatMap((entry) => (entry ? [decodeRecord<LoginRecord>(entry.value)] : []))
}

/** When the certificate or credential with this serial (16 hex digits) was last used to log in, as hosts reported. */
export async function lastUse(store: StoreView, serial: string): Promise<LastUse | undefined> {
  const entry = await store.get(USED + serial)
  return entry && decodeRecord<LastUse>(entry.value)
}
