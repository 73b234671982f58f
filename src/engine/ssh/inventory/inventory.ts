/**
 * Puts a certificate into the inventory, in the commit of the request that signed it: so a token that is revoked meanwhile,
 * or a role that is changed, keeps the certificate from getting out (protocols 1.4).
 */
import type { Call, Outcome } from '../../../mount/call.ts'
import type { CertificateType } from '../../../ssh/certificate/certificate.ts'
import { fingerprint } from '../../../ssh/key/fingerprint.ts'
import type { PublicKey } from '../../../ssh/key/public-key.ts'
import { encodeRecord } from '../../../storage/view.ts'
import {
  CERTIFICATES,
  type CertificateRecord,
  type CertificateScope,
  indexNames,
} from './record.ts'
import { revokeUndelivered } from './revoke.ts'
import { serialName } from './serial.ts'

const EMPTY = new Uint8Array(0)

/** What the caller of `recordCertificate` knows; times are Unix seconds. */
export interface SignedCertificate {
  readonly serial: bigint
  readonly issuerId: string
  readonly keyId: string
  readonly type: CertificateType
  /** Empty where no role was asked. */
  readonly role: string
  readonly principals: readonly string[]
  readonly scope?: CertificateScope | undefined
  readonly subject: PublicKey
  readonly validAfter: bigint
  readonly validBefore: bigint
}

/** The part of the outcome that stores a certificate's record; it takes effect with the commit of the request. */
export function recordCertificate(
  call: Call,
  certificate: SignedCertificate,
): Pick<Outcome, 'writes' | 'conditions' | 'undelivered'> {
  const { subject, scope, serial, issuerId, keyId, type, role, principals } = certificate
  const { caller, store } = call
  const record: CertificateRecord = {
    serial: serialName(serial),
    issuerId,
    keyId,
    type,
    role,
    principals,
    accessor: caller?.accessor ?? '',
    tokenId: caller?.tokenId ?? '',
    displayName: caller?.displayName ?? '',
    entityId: caller?.entityId ?? '',
    ...(scope && { scope }),
    fingerprint: fingerprint(subject.blob),
    validAfter: Number(certificate.validAfter),
    validBefore: Number(certificate.validBefore),
    requestId: call.requestId,
    remoteAddress: call.remoteAddress,
  }
  const name = CERTIFICATES + record.serial
  return {
    writes: [
      store.put(name, encodeRecord(record)),
      ...indexNames(record).map((index) => store.put(index, EMPTY)),
    ],
    conditions: [store.when(name, 'absent')],
    undelivered: () => revokeUndelivered(call, record),
  }
}
