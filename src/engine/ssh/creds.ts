/** `creds/:role`: a credential for a user on a host, of the kind that the role is for (contract 6.7 and 9, Decision 2). */
import { formatDuration } from '../../duration.ts'
import { badRequest, refused } from '../../errors.ts'
import type { Call, Outcome } from '../../mount/call.ts'
import { declarePath, type Path } from '../../mount/path.ts'
import { type Address, parseAddress } from './address.ts'
import type { IsCompat2015 } from './compat.ts'
import { leaseTimes } from './dynamic/config-lease.ts'
import type { IssueKey } from './dynamic/creds.ts'
import type { HostRecord } from './host/registry.ts'
import { addressOf, boundHost } from './otp/bound-host.ts'
import { issueOtp } from './otp/creds.ts'
import { splitNames } from './principals.ts'
import { findRole, type HostRole, type Role } from './role/role.ts'
import { type FieldOf, roleField } from './role/role-fields.ts'
import { zeroAddressRoles } from './zero-address.ts'

const DEFAULT_TTL_SECONDS = 600
const DEFAULT_MAX_TTL_SECONDS = 86_400
const WRONG_ADDRESS = 'Error validating IP: IP does not belong to role'

const fields: Readonly<
  Record<'role' | 'ip' | 'username' | 'host' | 'login_host', FieldOf<'string'>>
> = {
  role: roleField,
  ip: {
    type: 'string',
    description: 'Address of the host to log in to. Required where `host` is not given.',
  },
  username: {
    type: 'string',
    description: "User to log in as; the role's default_user if absent.",
  },
  host: {
    type: 'string',
    description:
      'For `otp`: id, name or address of the enrolled host that alone may verify the password. With `ip`: one of its addresses.',
  },
  login_host: {
    type: 'string',
    description:
      'What the user calls the host: counts like `host` where the role has require_host_identity, else not at all.',
  },
}

/** A request that its role allows. */
export interface Grantee {
  readonly roleName: string
  readonly username: string
  readonly address: Address
  /** The enrolled host that a password is bound to. */
  readonly host?: HostRecord | undefined
  readonly life: Life
}

export interface Life {
  readonly ttlSeconds: number
  readonly maxTtlSeconds: number
  readonly warnings: readonly string[]
}

async function issue(
  call: Call<typeof fields>,
  isCompat2015: IsCompat2015,
  issueKey: IssueKey,
): Promise<Outcome> {
  const { ip, host: named, role: roleName } = call.fields
  if (ip === '' && named === '') throw badRequest('Missing ip')
  const role = await findRole(call.config, roleName)
  if (!role) throw badRequest(`Role ${JSON.stringify(roleName)} not found`)
  const isWide = isCompat2015(call.mount)
  const username = userFor(role, call.fields.username, isWide)
  if (named !== '' && role.keyType !== 'otp') throw badRequest('host is for roles of key_type otp')
  const isFor = async (address: Address) =>
    isInNetworks(role, address, isWide) || (await isZeroAddress(call, roleName))
  const host =
    role.keyType === 'otp' ? await boundHost(call, role, call.fields, username) : undefined
  const address = host ? await addressOf(host, call.fields, isFor) : parseAddress(ip)
  if (!address) throw badRequest(`Invalid IP ${JSON.stringify(ip)}`)
  if (!(await isFor(address))) throw badRequest(WRONG_ADDRESS)
  if (role.keyType === 'ca') throw refused('key type unknown')
  const grantee = { roleName, username, address, host, life: await lifeOf(call, role) }
  return role.keyType === 'otp' ? issueOtp(call, role, grantee) : issueKey(call, role, grantee)
}

function userFor(role: Role, requested: string, isWide: boolean): string {
  const username = requested === '' ? role.defaultUser : requested
  if (username === '') throw badRequest("No default username registered. Use 'username' option")
  if (username === role.defaultUser) return username
  const allowed = role.allowedUsers.trim()
  if (allowed === '') {
    if (isWide && role.keyType !== 'ca') return username
    throw badRequest(
      'Username has to be either in allowed users list or has to be a default username',
    )
  }
  if (allowed === '*' || splitNames(allowed).includes(username)) return username
  throw badRequest('Username is not present is allowed users list')
}

function isInNetworks(role: Role, address: Address, isWide: boolean): boolean {
  if (role.keyType === 'ca') return false
  const { networks, excludedNetworks } = role
  const isIncluded = networks.isEmpty ? isWide : networks.contains(address)
  return isIncluded && !excludedNetworks.contains(address)
}

async function isZeroAddress(call: Call, roleName: string): Promise<boolean> {
  return (await zeroAddressRoles(call.config))?.includes(roleName) ?? false
}

async function lifeOf({ mount, config }: Call, role: HostRole): Promise<Life> {
  const { tunedDefaultTtlSeconds, tunedMaxTtlSeconds } = mount
  const old = await leaseTimes(config)
  const maxTtlSeconds =
    role.maxTtlSeconds || tunedMaxTtlSeconds || old?.maxTtlSeconds || DEFAULT_MAX_TTL_SECONDS
  const wanted = role.ttlSeconds || tunedDefaultTtlSeconds || old?.ttlSeconds || DEFAULT_TTL_SECONDS
  const isCapped = wanted > maxTtlSeconds
  const text = (seconds: number) => JSON.stringify(formatDuration(seconds, true))
  const warning = `TTL of ${text(wanted)} exceeded the effective max_ttl of ${text(maxTtlSeconds)}; TTL value is capped accordingly`
  return {
    ttlSeconds: isCapped ? maxTtlSeconds : wanted,
    maxTtlSeconds,
    warnings: isCapped ? [warning] : [],
  }
}

export function credsPath(isCompat2015: IsCompat2015, issueKey: IssueKey): Path {
  return declarePath({
    pattern: 'creds/:role',
    names: { role: 'role' },
    fields,
    operations: { update: (call) => issue(call, isCompat2015, issueKey) },
    synopsis: 'Issues a one-time password or a key for a host.',
    description:
      'The role has to allow the user and the address. A role of key_type `otp` gives a password that logs the user in to the host once: the ' +
      "host's PAM helper asks verify about it. A role of key_type `dynamic` makes a key pair, installs the public half on the host and gives the " +
      'private one. Either ends with its lease: when the password is used, when its life is over, or when the lease or the token is revoked.',
  })
}
