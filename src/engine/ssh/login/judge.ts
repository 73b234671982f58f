/** Joins a login to what the mount has issued, and says what somebody should look at (issue 7, part 6). */
import type { ConfigView } from '../../../mount/call.ts'
import type { LoginEvent } from '../../../ssh/host/login-event.ts'
import { fingerprint } from '../../../ssh/key/fingerprint.ts'
import type { StoreView } from '../../../storage/view.ts'
import { parseAddress } from '../address.ts'
import { issuerIndex, issuerOf } from '../ca/issuers.ts'
import { findKey, KEYS } from '../dynamic/keys.ts'
import type { HostRecord } from '../host/registry.ts'
import { type CertificateRecord, findCertificate } from '../inventory/record.ts'
import { serialName } from '../inventory/serial.ts'
import {
  type CredentialRecord,
  findCredential,
  keyCredential,
  leaseCredential,
} from './credential.ts'
import type { LoginCredential, LoginFlag } from './login-store.ts'

/** A key may stay on its host for so long after its lease has ended, and still be one of ours. */
const LATE_SECONDS = 300

interface Judged {
  readonly credential: LoginCredential
  readonly flags: readonly LoginFlag[]
  /** Of what was issued: under which serial its use is noted, and its end. */
  readonly issued?: { readonly serial: string; readonly until: number }
}

interface Views {
  readonly config: ConfigView
  readonly store: StoreView
}

/** A host is believed about itself alone: what was not for it counts neither as used nor as anybody's. */
export async function judgeLogin(
  views: Views,
  host: HostRecord,
  event: LoginEvent,
): Promise<Judged> {
  if (event.certificate) return judgeCertificate(views, host, event)
  const { otpLease, fingerprint: key } = event
  if (otpLease !== undefined) {
    const record = await findCredential(views.store, leaseCredential(otpLease))
    const isHere = record && host.addresses.includes(record.address)
    const shown = { kind: 'otp', leaseId: otpLease } as const
    return judgeCredential(shown, event, isHere ? record : undefined)
  }
  if (key !== undefined) {
    const admin = await adminKey(views.config, key)
    if (admin !== undefined) {
      return { credential: { kind: 'admin-key', fingerprint: key, role: admin }, flags: [] }
    }
    const record = await findCredential(views.store, keyCredential(key))
    return judgeCredential({ kind: 'key', fingerprint: key }, event, record)
  }
  return { credential: { kind: 'none' }, flags: ['unknown-credential'] }
}

async function judgeCertificate(
  views: Views,
  host: HostRecord,
  event: LoginEvent,
): Promise<Judged> {
  const { serial = 0n, caFingerprint = '', keyId = '' } = event.certificate ?? {}
  const shown: LoginCredential = {
    kind: 'certificate',
    serial: serialName(serial),
    caFingerprint,
    keyId,
    ...(event.fingerprint !== undefined && { fingerprint: event.fingerprint }),
  }
  const record = await findCertificate(views.store, serial)
  if (!record || !opens(record, host, event) || !(await isOf(views.config, record, event))) {
    return { credential: shown, flags: ['unknown-credential'] }
  }
  const { role, displayName, entityId, remoteAddress, validBefore } = record
  return {
    credential: { ...shown, role, displayName, entityId, issuedTo: remoteAddress },
    flags: otherAddress(remoteAddress, event),
    issued: { serial: record.serial, until: validBefore },
  }
}

/** Whether sshd of this host could have taken it: by one of the names in its drop-in, where the certificate has a scope. */
function opens(record: CertificateRecord, host: HostRecord, { user, at }: LoginEvent): boolean {
  const { type, scope, principals, validBefore } = record
  if (type !== 'user' || at > validBefore + LATE_SECONDS) return false
  if (!scope) return true
  const places = [
    `h.${host.id}`,
    ...host.groups.map((group) => `g.${group}`),
    ...host.tags.map(([key, value]) => `t.${key}.${value}`),
  ]
  return places.some((place) => principals.includes(`${user}@${place}`))
}

/** A serial says little: whoever has another CA can choose one of ours. */
async function isOf(
  config: ConfigView,
  record: CertificateRecord,
  { certificate, fingerprint: key }: LoginEvent,
): Promise<boolean> {
  if (key !== undefined && key !== record.fingerprint) return false
  const entry = (await issuerIndex(config)).issuers.find(({ id }) => id === record.issuerId)
  // Of an issuer that was deleted the key of the certificate is left.
  if (!entry) return key === record.fingerprint
  const { publicKey } = await issuerOf(config, entry)
  return fingerprint(publicKey.blob) === certificate?.caFingerprint
}

/** The name of the key with which the server itself came, to put a dynamic key there or take it away. */
async function adminKey(config: ConfigView, key: string): Promise<string | undefined> {
  for (const name of await config.list(KEYS)) {
    if ((await findKey(config, name))?.fingerprint === key) return name
  }
  return undefined
}

function judgeCredential(
  shown: LoginCredential,
  event: LoginEvent,
  record: CredentialRecord | undefined,
): Judged {
  const isOurs =
    record?.kind === shown.kind &&
    record.user === event.user &&
    event.at <= record.until + LATE_SECONDS
  if (!record || !isOurs) return { credential: shown, flags: ['unknown-credential'] }
  const { leaseId, role, displayName, entityId, remoteAddress, serial, until } = record
  return {
    credential: { ...shown, leaseId, role, displayName, entityId, issuedTo: remoteAddress },
    flags: otherAddress(remoteAddress, event),
    issued: { serial, until },
  }
}

function otherAddress(issuedTo: string, { from }: LoginEvent): LoginFlag[] {
  const [asked, came] = [parseAddress(issuedTo)?.text, parseAddress(from)?.text]
  // Where sshd looks names up it tells no address.
  return asked !== undefined && came !== undefined && asked !== came ? ['other-address'] : []
}
