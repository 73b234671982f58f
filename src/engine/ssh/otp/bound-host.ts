/** The enrolled host that a one-time password is for, asked for by id, name or address (contract 6.7, hosts section 4). */
import { badRequest } from '../../../errors.ts'
import type { Call } from '../../../mount/call.ts'
import { type Address, parseAddress } from '../address.ts'
import { type HostRecord, resolveHost } from '../host/registry.ts'
import { checkHost } from '../scope/request-scope.ts'
import type { OtpRole } from './role.ts'

/** What a request says about where the password is for; empty where it says nothing. */
interface Destination {
  readonly ip: string
  readonly host: string
  /** Where `postern ssh` goes: counts where the role is for enrolled hosts. */
  readonly login_host: string
}

/**
 * The host that the password is bound to; undefined where neither request nor role asks for one. Throws for a host
 * that there is not, and for one that the role or the host's record does not allow for this user.
 */
export async function boundHost(
  { store }: Pick<Call, 'store'>,
  role: OtpRole,
  { ip, host: named, login_host: loginHost }: Destination,
  username: string,
): Promise<HostRecord | undefined> {
  if (named === '' && !role.isForHosts) return undefined
  for (const name of named === '' ? [loginHost, ip] : [named]) {
    const host = name === '' ? undefined : await resolveHost(store, name)
    if (!host) continue
    checkHost(role.scope, host, [username])
    return host
  }
  throw badRequest(
    named === ''
      ? 'the role is for enrolled hosts, and none has this name or address'
      : `unknown host: ${named}`,
  )
}

/**
 * The address of the host that the password is for: the one that was asked for, or the first that the role covers.
 * Throws when the host does not have the one that was asked for.
 */
export async function addressOf(
  { id, addresses }: HostRecord,
  { ip, host: named }: Destination,
  isCovered: (address: Address) => Promise<boolean>,
): Promise<Address> {
  const own = addresses.map(parseAddress).filter((address) => address !== undefined)
  const asked = parseAddress(ip)
  if (asked && own.some(({ text }) => text === asked.text)) return asked
  // What `postern ssh` looked up may be the outer side of a gateway: there the name decides.
  if (ip !== '' && named !== '') throw badRequest(`${ip} is no address of the host ${id}`)
  const [first] = own
  if (!first) throw badRequest(`host ${id} has no address`)
  for (const address of own) if (await isCovered(address)) return address
  return first
}
