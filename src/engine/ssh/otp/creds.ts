/** `creds/:role`: issues a one-time password for a user on a host, with its lease (contract 6.7, Decision 2). */
import { formatDuration } from '../../../duration.ts'
import { badRequest, refused } from '../../../errors.ts'
import type { Call, LeaseRef, MountPoint, Outcome } from '../../../mount/call.ts'
import { declarePath, type LeasedData, type Path } from '../../../mount/path.ts'
import { pooledBytes } from '../../../random.ts'
import { encodeRecord } from '../../../storage/view.ts'
import { type Address, parseAddress } from '../address.ts'
import type { IsCompat2015 } from '../compat.ts'
import { splitNames } from '../principals.ts'
import { findRole, type Role } from '../role.ts'
import { roleField } from '../role-fields.ts'
import { zeroAddressRoles } from '../zero-address.ts'
import { type OtpLease, type OtpRecord, otpName } from './record.ts'
import type { OtpRole } from './role.ts'

const DEFAULT_TTL_SECONDS = 600
const DEFAULT_MAX_TTL_SECONDS = 86_400
const WRONG_ADDRESS = 'Error validating IP: IP does not belong to role'

const fields = {
  role: roleField,
  ip: { type: 'string', description: 'Address of the host to log in to. Required.' },
  username: {
    type: 'string',
    description: "User to log in as; the role's default_user if absent.",
  },
} as const

async function issue(call: Call<typeof fields>, isCompat2015: IsCompat2015): Promise<Outcome> {
  const { ip, role: roleName } = call.fields
  if (ip === '') throw badRequest('Missing ip')
  const role = await findRole(call.config, roleName)
  if (!role) throw badRequest(`Role ${JSON.stringify(roleName)} not found`)
  const isWide = isCompat2015(call.mount)
  const username = userFor(role, call.fields.username, isWide)
  const address = parseAddress(ip)
  if (!address) throw badRequest(`Invalid IP ${JSON.stringify(ip)}`)
  const isFor = isInNetworks(role, address, isWide) || (await isZeroAddress(call, roleName))
  if (!isFor) throw badRequest(WRONG_ADDRESS)
  if (role.keyType !== 'otp') throw refused('key type unknown')
  return grant(call, role, { roleName, username, ip: address.text })
}

function userFor(role: Role, requested: string, isWide: boolean): string {
  const username = requested === '' ? role.defaultUser : requested
  if (username === '') throw badRequest("No default username registered. Use 'username' option")
  if (username === role.defaultUser) return username
  const allowed = role.allowedUsers.trim()
  if (allowed === '') {
    if (isWide && role.keyType === 'otp') return username
    throw badRequest(
      'Username has to be either in allowed users list or has to be a default username',
    )
  }
  if (allowed === '*' || splitNames(allowed).includes(username)) return username
  throw badRequest('Username is not present is allowed users list')
}

function isInNetworks(role: Role, address: Address, isWide: boolean): boolean {
  if (role.keyType !== 'otp') return false
  const { networks, excludedNetworks } = role
  const isIncluded = networks.isEmpty ? isWide : networks.contains(address)
  return isIncluded && !excludedNetworks.contains(address)
}

async function isZeroAddress(call: Call, roleName: string): Promise<boolean> {
  return (await zeroAddressRoles(call.config))?.includes(roleName) ?? false
}

function grant(
  call: Call<typeof fields>,
  role: OtpRole,
  grantee: Omit<OtpRecord, 'lease'>,
): Outcome {
  const otp = newOtp()
  const name = otpName(call.hmac(otp))
  const { ttlSeconds, maxTtlSeconds, warnings } = lifeOf(role, call.mount)
  const data: OtpLease = { otp: name }
  const lease = call.newLease({ ttlSeconds, maxTtlSeconds, renewable: false, data })
  const { id, expiresAt, tokenId } = lease
  const ref: LeaseRef = { id, expiresAt, tokenId }
  return {
    data: {
      ip: grantee.ip,
      key: otp,
      key_type: role.keyType,
      port: role.port,
      username: grantee.username,
    },
    ...(warnings.length > 0 && { warnings }),
    writes: [call.store.put(name, encodeRecord({ ...grantee, lease: ref } satisfies OtpRecord))],
    conditions: [call.store.when(name, 'absent')],
    issuedKeys: [call.store.key(name)],
    lease,
  }
}

/** 128 random bits in the text form of a UUID: the helper on the host accepts no other form. */
function newOtp(): string {
  return pooledBytes(16)
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

function lifeOf(
  role: OtpRole,
  mount: MountPoint,
): { ttlSeconds: number; maxTtlSeconds: number; warnings: string[] } {
  const maxTtlSeconds = role.maxTtlSeconds || mount.tunedMaxTtlSeconds || DEFAULT_MAX_TTL_SECONDS
  const wanted = role.ttlSeconds || mount.tunedDefaultTtlSeconds || DEFAULT_TTL_SECONDS
  const isCapped = wanted > maxTtlSeconds
  const text = (seconds: number) => JSON.stringify(formatDuration(seconds, true))
  const warning = `TTL of ${text(wanted)} exceeded the effective max_ttl of ${text(maxTtlSeconds)}; TTL value is capped accordingly`
  return {
    ttlSeconds: isCapped ? maxTtlSeconds : wanted,
    maxTtlSeconds,
    warnings: isCapped ? [warning] : [],
  }
}

/** Ends the password of a lease that expired or was revoked. */
export function revokeOtp({ data, store }: LeasedData): Outcome {
  return { writes: [store.remove((data as OtpLease).otp)] }
}

export function credsPath(isCompat2015: IsCompat2015): Path {
  return declarePath({
    pattern: 'creds/:role',
    names: { role: 'role' },
    fields,
    operations: { update: (call) => issue(call, isCompat2015) },
    synopsis: 'Issues a one-time password for a host.',
    description:
      "Gives a password that logs the user in to the host once: the host's PAM helper asks verify about it. The role has to allow the user and the " +
      'address. The password ends with its lease: when it is used, when its life is over, or when the lease or the token is revoked.',
  })
}
