/** `lookup`: the roles that are for an address (contract 6.7). */
import { badRequest } from '../../errors.ts'
import type { Call, Outcome } from '../../mount/call.ts'
import { declarePath, type Path } from '../../mount/path.ts'
import { type Address, parseAddress } from './address.ts'
import type { IsCompat2015 } from './compat.ts'
import { findRole, ROLES } from './role/role.ts'
import { zeroAddressRoles } from './zero-address.ts'

/** Roles by their networks, in order, then those for every host. Excluded networks count at creds only. */
async function rolesFor(call: Call, address: Address, everyAddress: boolean): Promise<string[]> {
  const names = await call.config.list(ROLES)
  const roles = await Promise.all(names.map((name) => findRole(call.config, name)))
  const matching = names.filter((_name, index) => {
    const role = roles[index]
    if (!role || role.keyType === 'ca') return false
    return role.networks.isEmpty ? everyAddress : role.networks.contains(address)
  })
  const zero = (await zeroAddressRoles(call.config)) ?? []
  return [...new Set([...matching, ...zero])]
}

export function lookupPath(isCompat2015: IsCompat2015): Path {
  return declarePath({
    pattern: 'lookup',
    fields: { ip: { type: 'string', description: 'Address of the host. Required.' } },
    operations: {
      update: async (call): Promise<Outcome> => {
        if (call.fields.ip === '') throw badRequest('Missing ip')
        const address = parseAddress(call.fields.ip)
        if (!address) throw badRequest('Invalid IP "<nil>"')
        const roles = await rolesFor(call, address, isCompat2015(call.mount))
        return { data: { roles: roles.length === 0 ? null : roles } }
      },
    },
    synopsis: 'Which roles are for a host.',
    description:
      'Names the roles whose cidr_list holds the address, and all roles of config/zeroaddress. exclude_cidr_list is not ' +
      'looked at: creds may still refuse the address.',
  })
}
