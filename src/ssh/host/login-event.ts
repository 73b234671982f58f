/**
 * Logins and logouts as a host reports them (protocols 5.4): one numbered JSON object each. A login is somebody who was let in;
 * a key that was only offered makes none (CVE-2024-45337).
 */
import { SshFormatError } from '../../errors.ts'
import { MemberReader } from './member-reader.ts'

export const loginMethods = ['publickey', 'password', 'keyboard-interactive', 'other'] as const

export type LoginMethod = (typeof loginMethods)[number]

export interface EventCertificate {
  readonly serial: bigint
  /** `SHA256:` and base64, of the key that signed it. */
  readonly caFingerprint: string
  readonly keyId: string
}

export interface LoginEvent {
  /** From 1 on; a host uses each number once in a spool's life. */
  readonly seq: number
  /** Unix seconds, of the host's clock. */
  readonly at: number
  readonly type: 'login' | 'logout'
  /** `<boot id>.<pid of sshd>.<its start>`: no two sessions of a host have the same. */
  readonly session: string
  readonly user: string
  /** Address of the client as sshd has it; a name where sshd was told to look one up. */
  readonly from: string
  readonly port?: number | undefined
  /** What PAM calls the program: `sshd`. */
  readonly service: string
  readonly method: LoginMethod
  readonly certificate?: EventCertificate | undefined
  /** Of the key that was proved, be it in a certificate: `SHA256:` and base64. */
  readonly fingerprint?: string | undefined
  /** Lease of the one-time password. */
  readonly otpLease?: string | undefined
}

const SESSION = /^[0-9a-f-]{1,36}\.[0-9]{1,10}\.[0-9]{1,20}$/
const FINGERPRINT = /^SHA256:[A-Za-z0-9+/]{43}$/
const SERIAL = /^(?:0|[1-9][0-9]{0,19})$/
const SHORT_TEXT = /^[^\p{Cc}\p{Cs}\p{Bidi_Control}]{1,256}$/u
const KEY_ID = /^[^\p{Cc}\p{Cs}\p{Bidi_Control}]{0,1024}$/u
const MAX_SERIAL = 0xffff_ffff_ffff_ffffn

/** The event as JSON carries it. */
export function encodeLoginEvent(event: LoginEvent): Record<string, unknown> {
  const { seq, at, type, session, user, from, port, service, method } = event
  const { certificate, fingerprint, otpLease } = event
  return {
    seq,
    at,
    type,
    session,
    user,
    from,
    ...(port !== undefined && { port }),
    service,
    method,
    ...(certificate && {
      certificate: {
        serial: String(certificate.serial),
        ca_fingerprint: certificate.caFingerprint,
        key_id: certificate.keyId,
      },
    }),
    ...(fingerprint !== undefined && { fingerprint }),
    ...(otpLease !== undefined && { otp_lease: otpLease }),
  }
}

/** Throws SshFormatError for a member that is missing, of another form, or too long; unknown members are ignored. */
export function parseLoginEvent(value: unknown): LoginEvent {
  const event = MemberReader.ofValue(value, 'event')
  const type = event.text('type', /^(?:login|logout)$/) as LoginEvent['type']
  const text = event.text('method', /^[a-z-]{1,32}$/)
  const method = loginMethods.find((one) => one === text)
  if (!method) throw event.refusal('method', 'is not known')
  const port = event.has('port') ? event.integer('port') : undefined
  if (port !== undefined && port > 65_535) throw event.refusal('port', 'is none')
  return {
    seq: event.integer('seq'),
    at: event.integer('at'),
    type,
    session: event.text('session', SESSION),
    user: event.text('user', SHORT_TEXT),
    from: event.text('from', SHORT_TEXT),
    ...(port !== undefined && { port }),
    service: event.text('service', SHORT_TEXT),
    method,
    ...(event.has('certificate') && { certificate: parseCertificate(event.member('certificate')) }),
    ...(event.has('fingerprint') && { fingerprint: event.text('fingerprint', FINGERPRINT) }),
    ...(event.has('otp_lease') && { otpLease: event.text('otp_lease', SHORT_TEXT) }),
  }
}

function parseCertificate(value: unknown): EventCertificate {
  const certificate = MemberReader.ofValue(value, "event's certificate")
  const serial = BigInt(certificate.text('serial', SERIAL))
  if (serial > MAX_SERIAL) throw new SshFormatError("the event's serial is too great")
  return {
    serial,
    caFingerprint: certificate.text('ca_fingerprint', FINGERPRINT),
    keyId: certificate.text('key_id', KEY_ID),
  }
}

/** A text as an event may carry it: what could end a line or steer a terminal becomes `?`. */
export function eventText(text: string, maxLength = 256): string {
  // Cut first: half of a pair of surrogates is no text.
  return text.slice(0, maxLength).replace(/[\p{Cc}\p{Cs}\p{Bidi_Control}]/gu, '?')
}
