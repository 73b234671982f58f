/**
 * `verify`: spends a one-time password and says for whom and where it was issued (contract 6.7, Decision 1). A host
 * that signs its request is known by that, and a request with a nonce gets a signed answer (protocols 5.4, 5.5).
 */
import { badRequest } from '../../../errors.ts'
import type { Call, Outcome } from '../../../mount/call.ts'
import { declarePath, type Path } from '../../../mount/path.ts'
import { decodeRecord } from '../../../storage/view.ts'
import { parseAddress } from '../address.ts'
import type { IsCompat2015 } from '../compat.ts'
import type { HostRecord } from '../host/registry.ts'
import type { HostRequests } from '../host/signed-request.ts'
import { findRole } from '../role/role.ts'
import { isSent } from '../sent.ts'
import { type OtpRecord, otpName } from './record.ts'
import { verifySigner } from './signed-verify.ts'

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
  host: {
    type: 'string',
    description: 'Id of the enrolled host that asks. The request has to be signed by it.',
  },
  nonce: {
    type: 'string',
    description: '32 random bytes in base64url. When sent, the answer is signed over them.',
  },
} as const

/** What the path needs of its surroundings. */
export interface VerifyOptions {
  readonly isCompat2015: IsCompat2015
  readonly clusterId: () => string
  readonly hostRequests: HostRequests
}

async function verify(call: Call<typeof fields>, options: VerifyOptions): Promise<Outcome> {
  const { otp } = call.fields
  const { isCompat2015 } = options
  if (otp === ECHO_REQUEST) return { data: { message: ECHO_RESPONSE } }
  // Who asks, and whether the answer can be signed, is decided before the password is looked at.
  const host = await askingHost(call, options)
  const sign = await verifySigner(call, options.clusterId)
  // Unknown, spent, revoked and expired passwords look the same from outside.
  if (!OTP_FORM.test(otp)) return notFound(call, isCompat2015)
  const name = otpName(call.hmac(otp))
  const entry = await call.store.get(name)
  if (!entry) return notFound(call, isCompat2015)
  const record = decodeRecord<OtpRecord>(entry.value)
  if (call.now >= record.lease.expiresAt) return notFound(call, isCompat2015)
  checkUser(call, record)
  if (host) checkEnrolled(host, record)
  else await checkPlain(call, record)
  return {
    data: {
      ...(host && { host: host.id }),
      ip: record.ip,
      ...(host && { lease: record.lease.id }),
      role_name: record.roleName,
      ...(await sign?.(record, otp, host?.id ?? '')),
      username: record.username,
    },
    writes: [call.store.remove(name)],
    // Of two hosts that send the password at once, the commit of one fails and is answered as not found.
    conditions: [call.store.when(name, entry.version)],
    endedLeases: [record.lease],
  }
}

/** The enrolled host that signed the request; undefined for a request that none signed. */
async function askingHost(
  call: Call<typeof fields>,
  { hostRequests }: VerifyOptions,
): Promise<HostRecord | undefined> {
  const { host: said } = call.fields
  if (!hostRequests.isFromHost(call)) {
    if (said !== '') throw badRequest('a request that names a host has to be signed by it')
    return undefined
  }
  const host = await hostRequests.hostOf(call)
  if (isSent(call, 'host') && said !== host.id) throw badRequest('host is not the one that signed')
  return host
}

/** A host that is not the one meant learns so, and the password is kept: it can't be burnt from there. */
function checkUser(call: Call<typeof fields>, record: OtpRecord): void {
  if (isSent(call, 'username') && call.fields.username !== record.username) {
    throw badRequest('the OTP was issued for another username')
  }
}

/** For a host that proved who it is: what the registry says of it counts, and not what it says itself. */
function checkEnrolled(host: HostRecord, { host: bound, ip, username }: OtpRecord): void {
  const { id, addresses, accounts } = host
  if (bound && (bound.id !== id || bound.createdAt !== host.createdAt)) {
    throw badRequest('the OTP was issued for another host')
  }
  if (!bound && !addresses.includes(ip)) throw badRequest('the OTP was issued for another IP')
  if (accounts.length > 0 && !accounts.includes(username)) {
    throw badRequest(`host ${id} has no account ${username}`)
  }
}

async function checkPlain(call: Call<typeof fields>, record: OtpRecord): Promise<void> {
  const { ip, ips } = call.fields
  if (record.host) throw badRequest('the OTP was issued for another host')
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

export function verifyPath(options: VerifyOptions): Path {
  return declarePath({
    pattern: 'verify',
    fields,
    auth: 'none',
    chargesMisses: true,
    operations: { update: (call) => verify(call, options) },
    synopsis: 'Asks whether a one-time password is good, and spends it.',
    description:
      'For the PAM helper on a host; needs no token. A good password is removed and its user, address and role are told; a second try is refused. ' +
      `The text ${ECHO_REQUEST} is answered with ${ECHO_RESPONSE} and touches nothing. An enrolled host signs its request and is told host and lease too; ` +
      'a request with a nonce gets an answer that the identity key of the mount has signed.',
  })
}
