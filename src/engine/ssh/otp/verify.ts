/** `verify`: spends a one-time password and says for whom and where it was issued (contract 6.7, Decision 1). */
import { badRequest } from '../../../errors.ts'
import type { Call, Outcome } from '../../../mount/call.ts'
import { declarePath, type Path } from '../../../mount/path.ts'
import { decodeRecord } from '../../../storage/view.ts'
import { parseAddress } from '../address.ts'
import type { IsCompat2015 } from '../compat.ts'
import { findRole } from '../role/role.ts'
import { isSent } from '../sent.ts'
import { type OtpRecord, otpName } from './record.ts'

const ECHO_REQUEST = 'verify-echo-request'
const ECHO_RESPONSE = 'verify-echo-response'
const OTP_FORM = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

const fields = {
  otp: { type: 'string', description: 'The password as the user typed it.' },
  username: {
    type: 'string',
    description: 'User who logs in. When sent, it has to be the one that the password is for.',
  },
  ip: {
    type: 'string',
    description: "Address of the host. When sent, it has to be the password's.",
  },
  ips: {
    type: 'comma-list',
    description: "All addresses of the host. When sent, the password's has to be among them.",
  },
} as const

async function verify(call: Call<typeof fields>, isCompat2015: IsCompat2015): Promise<Outcome> {
  const { otp } = call.fields
  if (otp === ECHO_REQUEST) return { data: { message: ECHO_RESPONSE } }
  // Unknown, spent, revoked and expired passwords look the same from outside.
  if (!OTP_FORM.test(otp)) return notFound(call, isCompat2015)
  const name = otpName(call.hmac(otp))
  const entry = await call.store.get(name)
  if (!entry) return notFound(call, isCompat2015)
  const record = decodeRecord<OtpRecord>(entry.value)
  if (call.now >= record.lease.expiresAt) return notFound(call, isCompat2015)
  await checkHost(call, record)
  return {
    data: { ip: record.ip, role_name: record.roleName, username: record.username },
    writes: [call.store.remove(name)],
    // Of two hosts that send the password at once, the commit of one fails and is answered as not found.
    conditions: [call.store.when(name, entry.version)],
    endedLeases: [record.lease],
  }
}

/** A host that is not the one meant learns so, and the password is kept: it can't be burnt from there. */
async function checkHost(call: Call<typeof fields>, record: OtpRecord): Promise<void> {
  const { username, ip, ips } = call.fields
  if (isSent(call, 'username') && username !== record.username) {
    throw badRequest('the OTP was issued for another username')
  }
  if (record.host !== undefined) throw badRequest('the OTP was issued for another host')
  const role = await findRole(call.config, record.roleName)
  if (role?.keyType === 'otp' && role.requireHostIdentity) {
    throw badRequest('the role is for hosts that prove who they are')
  }
  if (!isSent(call, 'ip') && !isSent(call, 'ips')) return
  const own = [...(isSent(call, 'ip') ? [ip] : []), ...ips]
  if (!own.some((address) => parseAddress(address)?.text === record.ip)) {
    throw badRequest('the OTP was issued for another IP')
  }
}

function notFound(call: Call<typeof fields>, isCompat2015: IsCompat2015): Outcome {
  // Today's clients all send this header, and take any 2xx for a yes.
  const isOldClient = call.headers.get('x-vault-request') !== 'true'
  if (isCompat2015(call.mount) && isOldClient) return { missed: true }
  throw badRequest('OTP not found')
}

export function verifyPath(isCompat2015: IsCompat2015): Path {
  return declarePath({
    pattern: 'verify',
    fields,
    auth: 'none',
    chargesMisses: true,
    operations: { update: (call) => verify(call, isCompat2015) },
    synopsis: 'Asks whether a one-time password is good, and spends it.',
    description:
      'For the PAM helper on a host; needs no token. A good password is removed and its user, address and role are told; a second try is refused. ' +
      `The text ${ECHO_REQUEST} is answered with ${ECHO_RESPONSE} and touches nothing.`,
  })
}
