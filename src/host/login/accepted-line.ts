/**
 * The one line of sshd that means a login (hosts 1.3): `Accepted METHOD for USER from ADDRESS port N ssh2: …`. All others are
 * about what somebody tried: offered keys, postponed methods, and `Accepted certificate ID` before the signature.
 */
import type { EventCertificate } from '../../ssh/host/login-event.ts'
import { canonicalAddress } from '../address.ts'
import { methodOf, type Proof } from './inbox.ts'

export interface AcceptedLine extends Proof {
  /** Milliseconds since the epoch. */
  readonly at: number
  /** Of sshd's process of the connection. */
  readonly pid: number
  /** Without hyphens. */
  readonly boot: string
  readonly user: string
  readonly from: string
  readonly port: number
}

/** The first address counts: a key id may play another one behind it. */
const ACCEPTED = /^Accepted (\S+) for (.+?) from (\S+) port ([0-9]{1,5}) ssh2(?:: (.+))?$/
const KEY = /^[A-Z0-9-]+ (SHA256:[A-Za-z0-9+/]{43})(?: |$)/
const CERTIFICATE =
  / ID (.*) \(serial ([0-9]{1,20})\) CA [A-Z0-9-]+ (SHA256:[A-Za-z0-9+/]{43})(?: .*)?$/

/** sshd cuts its messages at 1,021 or 1,023 characters: of a longer one serial and CA may be missing, and the key id play them. */
const LONGEST_WHOLE_MESSAGE = 1020

/** Undefined for every other message. */
export function parseAccepted(
  message: string,
): Omit<AcceptedLine, 'at' | 'pid' | 'boot'> | undefined {
  const [, method, user, address, port, detail = ''] = ACCEPTED.exec(message) ?? []
  if (method === undefined || user === undefined || address === undefined) return undefined
  const key = KEY.exec(detail)?.[1]
  const isWhole = message.length <= LONGEST_WHOLE_MESSAGE
  const certificate = key !== undefined && isWhole ? certificateOf(detail) : undefined
  return {
    method: methodOf(method),
    user,
    from: canonicalAddress(address) ?? address,
    port: Number(port),
    ...(key !== undefined && { fingerprint: key }),
    ...(certificate && { certificate }),
  }
}

function certificateOf(detail: string): EventCertificate | undefined {
  const [, keyId, serial, caFingerprint] = CERTIFICATE.exec(detail) ?? []
  if (keyId === undefined || serial === undefined || caFingerprint === undefined) return undefined
  return { keyId, serial: BigInt(serial), caFingerprint }
}

/**
 * A line of a log file: header, program and process, message. What stands in the message is others' text, so the program is
 * looked for before the first colon with a blank only. `now` is the time of a line whose header tells none.
 */
export function parseLogLine(line: string, boot: string, now: number): AcceptedLine | undefined {
  const at = line.indexOf(': ')
  const [, pid] = /(?:^|\s)sshd(?:-session)?\[([0-9]{1,10})\]$/.exec(line.slice(0, at)) ?? []
  const accepted = pid === undefined ? undefined : parseAccepted(line.slice(at + 2))
  return accepted && { ...accepted, pid: Number(pid), boot, at: timeOf(line, now) }
}

function timeOf(line: string, now: number): number {
  const iso = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(?:Z|[+-][0-9:]{5})/.exec(line)?.[0]
  const classic = /^[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8}/.exec(line)?.[0]
  const year = new Date(now).getFullYear()
  const time = Date.parse(iso ?? `${classic} ${year}`)
  // The classic form has no year: one that is far ahead is of the last one.
  if (Number.isNaN(time)) return now
  if (iso === undefined && time > now + 86_400_000) return Date.parse(`${classic} ${year - 1}`)
  return Math.min(time, now)
}

/**
 * An entry of the journal as JSON. Everybody can write to it and call themselves sshd: the fields with an underscore are the
 * journal's own, and only root's process counts.
 */
export function parseJournalEntry(line: string): AcceptedLine | undefined {
  let entry: Readonly<Record<string, unknown>>
  try {
    entry = JSON.parse(line)
  } catch {
    return undefined
  }
  const { _UID, _COMM, _PID, _BOOT_ID, MESSAGE, __REALTIME_TIMESTAMP } = entry
  if (_UID !== '0' || typeof _COMM !== 'string' || !/^sshd(?:-session)?$/.test(_COMM)) {
    return undefined
  }
  const accepted = typeof MESSAGE === 'string' ? parseAccepted(MESSAGE) : undefined
  return (
    accepted && {
      ...accepted,
      pid: Number(_PID),
      boot: String(_BOOT_ID),
      at: Math.floor(Number(__REALTIME_TIMESTAMP) / 1000),
    }
  )
}
