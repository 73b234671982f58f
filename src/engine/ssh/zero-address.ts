/** `config/zeroaddress`: roles that are for every host, whatever their networks say (contract 6.6). */
import { badRequest } from '../../errors.ts'
import type { ConfigView, Outcome } from '../../mount/call.ts'
import { declarePath, namePatterns, type Path } from '../../mount/path.ts'
import type { Write } from '../../storage/store.ts'
import { decodeRecord, encodeRecord } from '../../storage/view.ts'
import { absent } from './page.ts'
import { findRole } from './role/role.ts'

const ZERO_ADDRESS = 'config/zeroaddress'

interface ZeroAddressRecord {
  readonly roles: readonly string[]
}

const decode = decodeRecord<ZeroAddressRecord>

/** The names of the listed roles; undefined when the list was never written. */
export async function zeroAddressRoles(config: ConfigView): Promise<readonly string[] | undefined> {
  return (await config.get(ZERO_ADDRESS, decode))?.roles
}

/** The writes that take a role off the list; none when it is not on it. */
export async function withoutZeroAddress(config: ConfigView, role: string): Promise<Write[]> {
  const roles = await zeroAddressRoles(config)
  if (!roles?.includes(role)) return []
  return [
    putRoles(
      config,
      roles.filter((name) => name !== role),
    ),
  ]
}

function putRoles(config: ConfigView, roles: readonly string[]): Write {
  return config.put(ZERO_ADDRESS, encodeRecord({ roles } satisfies ZeroAddressRecord))
}

async function read(config: ConfigView): Promise<Outcome> {
  const roles = await zeroAddressRoles(config)
  if (roles === undefined) throw absent()
  return { data: { roles } }
}

export const zeroAddressPath: Path = declarePath({
  pattern: 'config/zeroaddress',
  fields: {
    roles: { type: 'comma-list', description: 'Names of the roles, split at commas or as a list.' },
  },
  operations: {
    read: (call) => read(call.config),
    update: async (call) => {
      const { roles } = call.fields
      if (roles.length === 0) throw badRequest('Missing roles')
      for (const role of roles) {
        // A name that no role can have is no key of the store either.
        if (!namePatterns.role.test(role) || !(await findRole(call.config, role)))
          throw badRequest(`Role ${JSON.stringify(role)} does not exist`)
      }
      return { writes: [putRoles(call.config, roles)] }
    },
    delete: (call) => ({ writes: [call.config.remove(ZERO_ADDRESS)] }),
  },
  synopsis: 'Roles that are for every host.',
  description:
    'A role named here gives one-time passwords for any address: its cidr_list and exclude_cidr_list are not looked at. ' +
    'Writing replaces the list.',
})
