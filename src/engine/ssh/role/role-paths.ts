/** `roles` and `roles/:role`: write, read, delete and list roles (contract 6.5). */
import { asErrorList, badRequest, PosternError } from '../../../errors.ts'
import type { Call, Outcome } from '../../../mount/call.ts'
import type { FieldValues } from '../../../mount/field.ts'
import { declarePath, namePatterns, type Path } from '../../../mount/path.ts'
import { encodeRecord } from '../../../storage/view.ts'
import { caRoleOf } from '../ca/role.ts'
import { type IsCompat2015, type Log, widening } from '../compat.ts'
import { findKey, KEYS } from '../dynamic/keys.ts'
import { type DynamicRoleRecord, type DynamicRoleRules, dynamicRoleOf } from '../dynamic/role.ts'
import { otpRoleOf } from '../otp/role.ts'
import { absent, pageFields, pageOf } from '../page.ts'
import { allowsNoHost } from '../scope/role-scope.ts'
import { withoutZeroAddress } from '../zero-address.ts'
import { findRole, ROLES, type Role, type RoleRecord, showRole } from './role.ts'
import { type RoleFields, roleFields } from './role-fields.ts'

type RoleValues = FieldValues<RoleFields>

function roleOf(fields: RoleValues, rules: DynamicRoleRules): RoleRecord {
  const role = recordOf(fields, rules)
  if (role.ttlSeconds > 0 && role.maxTtlSeconds > 0 && role.ttlSeconds > role.maxTtlSeconds) {
    throw badRequest('"ttl" value must be less than "max_ttl" when both are specified')
  }
  return role
}

function recordOf(fields: RoleValues, rules: DynamicRoleRules): RoleRecord {
  switch (fields.key_type) {
    case 'otp':
      return otpRoleOf(fields)
    case 'ca':
      return caRoleOf(fields)
    case 'dynamic':
      return dynamicRoleOf(fields, rules)
    default:
      throw badRequest(fields.key_type === '' ? 'missing key type' : 'invalid key type')
  }
}

const DROPPABLE_OPTIONS =
  'a request that names critical options of its own drops default_critical_options: set allowed_critical_options, or move them to required_critical_options'

/** True when a caller can get rid of the role's critical options by asking for any other. */
function hasDroppableOptions(role: RoleRecord): boolean {
  if (role.keyType !== 'ca' || role.allowedCriticalOptions !== '') return false
  return role.defaultCriticalOptions.length > 0
}

const NO_HOSTS = 'the role allows no host: set allowed_hosts, allowed_groups or allowed_tags'

function warningsOf(role: RoleRecord): string[] {
  const warnings = hasDroppableOptions(role) ? [DROPPABLE_OPTIONS] : []
  return role.keyType === 'ca' && allowsNoHost(role) ? [...warnings, NO_HOSTS] : warnings
}

async function list(call: Call<typeof pageFields>): Promise<Outcome> {
  const keys = pageOf(await call.config.list(ROLES), call.fields)
  const roles = await Promise.all(keys.map((name) => findRole(call.config, name)))
  const info = keys.map((name, index) => [name, roleInfo(roles[index])] as const)
  return { data: { keys, key_info: Object.fromEntries(info) } }
}

function roleInfo(role: Role | undefined): Record<string, unknown> {
  if (role?.keyType !== 'ca') return { key_type: role?.keyType }
  return { key_type: role.keyType, issuer_ref: role.issuerRef }
}

export const rolesPath: Path = declarePath({
  pattern: 'roles',
  fields: pageFields,
  operations: { list },
  synopsis: 'The roles of this mount.',
  description:
    'Lists the names of all roles, with the kind of each and the issuer of those that sign.',
})

export interface RoleRules {
  readonly isCompat2015: IsCompat2015
  readonly allowInstallScripts: boolean
  readonly log: Log
}

/** A role lends its key to whoever may use it: only who may write the key may lend it (protocols 4.5). */
async function checkKey(call: Call, { key }: DynamicRoleRecord): Promise<void> {
  if (!(await call.allowsSudo('update', KEYS + key))) {
    throw new PosternError('permission_denied', asErrorList('permission denied'))
  }
  // What is no name can be no key's, and the store refuses some of it.
  const isThere = namePatterns.issuer.test(key) && (await findKey(call.config, key))
  if (!isThere) throw badRequest(`invalid 'key': '${key}'`)
}

export function rolePath({ isCompat2015, allowInstallScripts, log }: RoleRules): Path {
  return declarePath({
    pattern: 'roles/:role',
    names: { role: 'role' },
    fields: roleFields,
    operations: {
      read: async (call) => {
        const role = await findRole(call.config, call.fields.role)
        if (!role) throw absent()
        return { data: showRole(role) }
      },
      update: async (call) => {
        const name = call.fields.role
        const is2015 = isCompat2015(call.mount)
        const role = roleOf(call.fields, { isCompat2015: is2015, allowInstallScripts })
        if (role.keyType === 'dynamic') await checkKey(call, role)
        const wider = role.keyType !== 'ca' && is2015 && widening(role)
        if (wider) {
          log.warn({ mount: call.mount.path, role: name }, `compat=2015: the role is for ${wider}`)
        }
        const writes = [call.config.put(ROLES + name, encodeRecord(role))]
        const warnings = warningsOf(role)
        return { writes, ...(warnings.length > 0 && { warnings }) }
      },
      delete: async (call) => {
        const name = call.fields.role
        const list = await withoutZeroAddress(call.config, name)
        return { writes: [call.config.remove(ROLES + name), ...list] }
      },
    },
    synopsis: 'A role: what may be issued, to whom, for which hosts.',
    description:
      'A write replaces the whole role; what it leaves out takes its default. The key_type decides which fields count: `otp` roles ' +
      'give one-time passwords through creds, `dynamic` roles install keys on hosts through creds, `ca` roles sign certificates through sign and issue. Deleting a role also takes it off config/zeroaddress; ' +
      'what it has issued stays valid until it ends.',
  })
}
