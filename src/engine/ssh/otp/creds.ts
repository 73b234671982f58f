/** Issues a one-time password with its lease (contract 6.7, Decision 2). */
import type { Call, LeaseRef, Outcome } from '../../../mount/call.ts'
import type { LeasedData } from '../../../mount/path.ts'
import { pooledBytes } from '../../../random.ts'
import { encodeRecord } from '../../../storage/view.ts'
import type { Grantee } from '../creds.ts'
import { leaseCredential, rememberCredential } from '../login/credential.ts'
import { type OtpLease, type OtpRecord, otpName } from './record.ts'
import type { OtpRole } from './role.ts'

export async function issueOtp(call: Call, role: OtpRole, grantee: Grantee): Promise<Outcome> {
  const { roleName, username, address, host, life } = grantee
  const { ttlSeconds, maxTtlSeconds, warnings } = life
  const otp = newOtp()
  const name = otpName(call.hmac(otp))
  const data: OtpLease = { otp: name }
  const lease = call.newLease({ ttlSeconds, maxTtlSeconds, renewable: false, data })
  const { id, expiresAt, tokenId } = lease
  const ref: LeaseRef = { id, expiresAt, tokenId }
  const known = await rememberCredential(call, {
    kind: 'otp',
    name: leaseCredential(id),
    leaseId: id,
    role: roleName,
    user: username,
    address: address.text,
    endsAt: expiresAt,
  })
  const bound = host && { host: { id: host.id, createdAt: host.createdAt } }
  const record: OtpRecord = { roleName, username, ip: address.text, lease: ref, ...bound }
  return {
    data: {
      ...(host && { host: host.id }),
      ip: address.text,
      key: otp,
      key_type: role.keyType,
      port: role.port,
      username,
    },
    ...(warnings.length > 0 && { warnings }),
    writes: [call.store.put(name, encodeRecord(record)), ...known],
    conditions: [call.store.when(name, 'absent')],
    issuedKeys: [call.store.key(name), ...known.map(({ key }) => key)],
    lease,
  }
}

/** 128 random bits in the text form of a UUID: the helper on the host accepts no other form. */
function newOtp(): string {
  return pooledBytes(16)
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

/** Ends the password of a lease that expired or was revoked. */
export function revokeOtp({ data, store }: LeasedData): Outcome {
  return { writes: [store.remove((data as OtpLease).otp)] }
}
