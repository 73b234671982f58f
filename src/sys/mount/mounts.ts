/** sys/mounts and sys/auth: secrets engines and auth methods, their settings and their end (contract 2.2). */
import { badRequest } from '../../errors.ts'
import type { Call, Outcome } from '../../mount/call.ts'
import type { Mount, MountTable } from '../../mount/mount-table.ts'
import { MOUNTS_KEY, newMount } from '../../mount/mount-table.ts'
import type { Path } from '../../mount/path.ts'
import { declarePath } from '../../mount/path.ts'
import type { SysServices } from '../services.ts'
import { newMountConfig, tunedConfig } from './mount-config.ts'
import { mountView, shownPath, tunedView } from './mount-view.ts'

const PROTECTED = ['sys/', 'auth/', 'cubbyhole/', 'identity/', 'audit/']

const pathField = {
  path: { type: 'string', description: 'Path of the mount, without sys/mounts/.', secret: false },
} as const

const mountFields = {
  ...pathField,
  type: { type: 'string', description: 'Type of the engine or method, such as "ssh".' },
  description: { type: 'string', description: 'A text for people.' },
  config: {
    type: 'map',
    description: 'default_lease_ttl, max_lease_ttl, listing_visibility and others.',
  },
  options: { type: 'kv-pairs', description: 'Options of the type, such as compat=2015 for ssh.' },
  local: { type: 'bool', description: 'Kept as given; there is no replication.' },
  seal_wrap: { type: 'bool', description: 'Kept as given; every value is sealed.' },
  external_entropy_access: { type: 'bool', description: 'Kept as given.' },
  plugin_name: { type: 'string', description: 'Old way to name the type.' },
  plugin_version: { type: 'string', description: 'Not used.' },
} as const

const tuneFields = {
  ...pathField,
  default_lease_ttl: {
    type: 'string',
    description: 'Life of a lease that asks for none; "system" resets.',
  },
  max_lease_ttl: { type: 'string', description: 'Longest life of a lease; "system" resets.' },
  description: { type: 'string', description: 'A text for people.' },
  listing_visibility: {
    type: 'string',
    description: '"unauth" shows the mount to callers without a token.',
  },
  audit_non_hmac_request_keys: {
    type: 'any',
    description: 'Names of request data that audit logs show plain.',
  },
  audit_non_hmac_response_keys: {
    type: 'any',
    description: 'Names of response data that audit logs show plain.',
  },
  passthrough_request_headers: { type: 'any', description: 'Kept as given.' },
  allowed_response_headers: { type: 'any', description: 'Kept as given.' },
  token_type: { type: 'string', description: 'Auth methods only: type of the tokens they give.' },
  options: { type: 'kv-pairs', description: 'Options of the type.' },
} as const

/** What differs between the two tables. */
interface Kind {
  readonly class: Mount['class']
  /** Before the path in the mount table. */
  readonly prefix: string
  readonly root: string
  readonly noun: string
  readonly sudo: 'all' | undefined
}

const KINDS: readonly Kind[] = [
  { class: 'secret', prefix: '', root: 'mounts', noun: 'secret engine', sudo: undefined },
  { class: 'auth', prefix: 'auth/', root: 'auth', noun: 'auth engine', sudo: 'all' },
]

export function mountPaths(services: SysServices): Path[] {
  return KINDS.flatMap((kind) => pathsOf(services, kind))
}

function pathsOf(services: SysServices, kind: Kind): Path[] {
  const sudo = kind.sudo ? { sudo: kind.sudo } : {}
  return [
    declarePath({
      pattern: kind.root,
      fields: {},
      operations: {
        read: async (call) => {
          const mounts = (await services.mountTable(call)).ofClass(kind.class)
          return {
            data: Object.fromEntries(mounts.map((mount) => [shownPath(mount), mountView(mount)])),
          }
        },
      },
      topLevelCopy: true,
      synopsis: `Lists every ${kind.noun}.`,
      description: 'Shows type, settings and accessor of each, by path.',
    }),
    declarePath({
      pattern: `${kind.root}/:path*/tune`,
      fields: tuneFields,
      operations: {
        read: (call) => readTune(services, kind, call),
        update: (call) => tune(services, kind, call),
      },
      topLevelCopy: true,
      ...sudo,
      synopsis: `Tunes a ${kind.noun}.`,
      description: 'Reads or changes lease times, visibility and the audit settings of a mount.',
    }),
    declarePath({
      pattern: `${kind.root}/:path*`,
      // A deletion with a slash at the end would find nothing, and be a success.
      names: { path: 'segments' },
      fields: mountFields,
      operations: {
        read: async (call) => {
          const mount = await find(services, kind, call)
          if (!mount)
            throw badRequest(
              `No ${kind.noun}${kind.class === 'secret' ? ' mount' : ''} at ${call.fields.path}/`,
            )
          return { data: mountView(mount) }
        },
        update: (call) => enable(services, kind, call),
        delete: (call) => disable(services, kind, call),
      },
      topLevelCopy: true,
      ...sudo,
      synopsis: `Enables, shows or disables a ${kind.noun}.`,
      description: 'Disabling ends every lease of the mount and deletes what it stored.',
    }),
  ]
}

type PathCall = Call<typeof pathField>

async function find(services: SysServices, kind: Kind, call: PathCall): Promise<Mount | undefined> {
  const table = await services.mountTable(call)
  // The tune endpoint of an auth method is also reached as sys/mounts/auth/<path>/tune.
  return table.get(`${kind.prefix}${call.fields.path}/`)
}

async function enable(
  services: SysServices,
  kind: Kind,
  call: Call<typeof mountFields>,
): Promise<Outcome> {
  const { fields } = call
  const path = `${kind.prefix}${fields.path}/`
  const type = fields.type || fields.plugin_name
  if (type === '') throw badRequest('backend type must be specified as a string')
  if (kind.class === 'secret' && PROTECTED.some((reserved) => path.startsWith(reserved))) {
    throw badRequest(`cannot mount ${JSON.stringify(path)}`)
  }
  refuseUnspeakable(fields.path)
  const config = newMountConfig(fields.config, kind.class, services.systemTtl)
  if (!services.mountTypes(kind.class).includes(type)) {
    throw badRequest(`plugin not found in the catalog: ${type}`)
  }
  if (fields.options.has('version')) {
    throw badRequest(`secrets engine ${JSON.stringify(type)} does not allow setting a version`)
  }
  services.checkMountOptions(type, fields.options)
  const table = await services.mountTable(call)
  const conflict = table.conflict(path)
  if (conflict !== undefined)
    throw badRequest(`path is already in use at ${conflict.slice(kind.prefix.length)}`)
  const mount = newMount(kind.class, path, type, fields.description, {
    options: Object.fromEntries(fields.options),
    config,
    local: fields.local,
    sealWrap: fields.seal_wrap,
    externalEntropyAccess: fields.external_entropy_access,
  })
  return writeTable(table.with(mount))
}

/** Mount paths are names like others: what policies and lease ids could not spell is refused. */
export function refuseUnspeakable(path: string): void {
  if (/^[A-Za-z0-9_.~@/ -]{1,255}$/.test(path) && !/(^|\/)[\s./]|[\s]($|\/)/.test(path)) return
  throw badRequest('a mount path holds letters, digits, and _ . ~ @ - only')
}

async function disable(services: SysServices, kind: Kind, call: PathCall): Promise<Outcome> {
  const { path } = call.fields
  const shown = `${path}/`
  if (kind.class === 'auth' && path === 'token') {
    throw badRequest('token credential backend cannot be disabled')
  }
  if (kind.class === 'secret' && PROTECTED.some((reserved) => shown.startsWith(reserved))) {
    throw badRequest(`cannot unmount ${JSON.stringify(shown)}`)
  }
  const table = await services.mountTable(call)
  const mount = table.get(kind.prefix + shown)
  if (!mount) return {}
  // Marked first: from then on nothing can be leased under it, and what is leased can be ended for good.
  return {
    ...writeTable(table.with({ ...mount, unmounting: true })),
    followUp: () => services.emptyMount(mount.uuid, mount.path),
  }
}

async function readTune(services: SysServices, kind: Kind, call: PathCall): Promise<Outcome> {
  const mount = await find(services, kind, call)
  if (!mount)
    throw badRequest(
      `cannot fetch sysview for path ${JSON.stringify(`${kind.prefix}${call.fields.path}/`)}`,
    )
  const { config } = mount
  return {
    data: {
      description: mount.description,
      default_lease_ttl: config.defaultLeaseTtl || services.systemTtl.defaultSeconds,
      max_lease_ttl: config.maxLeaseTtl || services.systemTtl.maxSeconds,
      force_no_cache: config.forceNoCache,
      ...tunedView(config),
      ...(mount.options && Object.keys(mount.options).length > 0 ? { options: mount.options } : {}),
    },
  }
}

async function tune(
  services: SysServices,
  kind: Kind,
  call: Call<typeof tuneFields>,
): Promise<Outcome> {
  const table = await services.mountTable(call)
  const mount = await find(services, kind, call)
  const path = `${kind.prefix}${call.fields.path}/`
  if (path === 'sys/') {
    const [name] = ['default_lease_ttl', 'max_lease_ttl'].filter((field) => call.given.has(field))
    if (name !== undefined) throw badRequest(`cannot tune parameter ${name} of sys/`)
  }
  if (!mount) throw badRequest(`tune of path ${JSON.stringify(path)} failed: no mount entry found`)
  const options = new Map([...Object.entries(mount.options ?? {}), ...call.fields.options])
  if (options.get('compat') !== mount.options?.['compat']) {
    throw badRequest('the option "compat" is set when the engine is mounted, and not changed later')
  }
  const changed: Mount = {
    ...mount,
    config: tunedConfig(mount.config, call.data, services.systemTtl),
    options: call.given.has('options') ? Object.fromEntries(options) : mount.options,
    description: call.given.has('description') ? call.fields.description : mount.description,
  }
  return writeTable(table.with(changed))
}

export function writeTable(table: MountTable): Outcome {
  return { writes: [{ key: MOUNTS_KEY, value: table.encode() }] }
}
