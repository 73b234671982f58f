/** sys/internal/*: what user interfaces and generators ask (contract 2.8). */
import { PosternError } from '../errors.ts'
import type { Call, Outcome } from '../mount/call.ts'
import type { Mount } from '../mount/mount-table.ts'
import type { Path } from '../mount/path.ts'
import { declarePath } from '../mount/path.ts'
import type { MergedRule } from '../policy/merge.ts'
import { mountView, shownPath } from './mount/mount-view.ts'
import type { SysServices } from './services.ts'

export function internalPaths(services: SysServices): Path[] {
  return [
    declarePath({
      pattern: 'internal/ui/mounts',
      fields: {},
      operations: { read: (call) => visibleMounts(services, call) },
      auth: 'optional',
      synopsis: 'Lists the mounts that the caller may see.',
      description: 'Without a token, those whose listing_visibility is "unauth".',
    }),
    declarePath({
      pattern: 'internal/ui/mounts/:path*',
      fields: { path: { type: 'string', description: 'A path inside the mount.', secret: false } },
      operations: { read: (call) => mountOf(services, call, call.fields.path) },
      auth: 'optional',
      synopsis: 'Shows the mount of a path.',
      description: 'For any token with a rule for some path of the mount.',
    }),
    declarePath({
      pattern: 'internal/ui/namespaces',
      fields: {},
      operations: { read: () => ({ data: {} }) },
      auth: 'none',
      synopsis: 'Lists no namespaces.',
      description: 'There are none.',
    }),
    declarePath({
      pattern: 'internal/ui/resultant-acl',
      fields: {},
      operations: { read: (call) => resultantAcl(services, call) },
      synopsis: 'Shows the rules that the own policies come to.',
      description: 'By exact path and by prefix.',
    }),
    declarePath({
      pattern: 'internal/specs/openapi',
      fields: { context: { type: 'string', description: 'Not used.' } },
      operations: {
        read: async (call) => ({ bare: { body: await services.openApi(call) } }),
        update: async (call) => ({ bare: { body: await services.openApi(call) } }),
      },
      auth: 'optional',
      synopsis: 'Gives the OpenAPI document of all mounts.',
      description: 'Without a token, that of the paths which need none.',
    }),
  ]
}

async function visibleMounts(services: SysServices, call: Call): Promise<Outcome> {
  const table = await services.mountTable(call)
  const acl = call.caller ? await services.aclOf(call, call.caller) : undefined
  const isVisible = (mount: Mount) =>
    mount.config.listingVisibility === 'unauth' || (acl?.reachesInto(mount.path) ?? false)
  const view = (mountClass: Mount['class']) =>
    Object.fromEntries(
      table
        .ofClass(mountClass)
        .filter(isVisible)
        .map((mount) => [shownPath(mount), call.caller ? mountView(mount) : publicView(mount)]),
    )
  return { data: { auth: view('auth'), secret: view('secret') } }
}

function publicView({ type, description, options }: Mount): Record<string, unknown> {
  return { type, description, options }
}

async function mountOf(services: SysServices, call: Call, path: string): Promise<Outcome> {
  if (!call.caller) throw new PosternError('permission_denied')
  const table = await services.mountTable(call)
  const found = table.route(path.endsWith('/') ? path : `${path}/`)
  const acl = await services.aclOf(call, call.caller)
  if (found && acl.reachesInto(found.mount.path)) {
    return { data: { ...mountView(found.mount), path: found.mount.path } }
  }
  const shown = JSON.stringify(`${path.replace(/\/$/, '')}/`)
  throw new PosternError(
    'permission_denied',
    `preflight capability check returned 403, please ensure client's policies grant access to path ${shown}`,
  )
}

async function resultantAcl(services: SysServices, call: Call): Promise<Outcome> {
  if (!call.caller) throw new PosternError('permission_denied')
  if (call.caller.isRoot) return { data: { root: true } }
  const acl = await services.aclOf(call, call.caller)
  const exact: Record<string, unknown> = Object.create(null)
  const glob: Record<string, unknown> = Object.create(null)
  for (const rule of acl.rules()) {
    // Neither an exact path nor a prefix: the answer has no place for it.
    if (rule.path.split('/').some((segment) => segment === '+' || segment === '+*')) continue
    if (rule.path.endsWith('*')) glob[rule.path.slice(0, -1)] = ruleView(rule)
    else exact[rule.path] = ruleView(rule)
  }
  return { data: { exact_paths: exact, glob_paths: glob, root: false } }
}

/** Conditions are shown only where the rule has them. */
function ruleView(rule: MergedRule): Record<string, unknown> {
  const { allowedParameters, deniedParameters, requiredParameters } = rule
  const { minWrappingTtlSeconds: min, maxWrappingTtlSeconds: max } = rule
  return {
    capabilities: rule.isDenied ? ['deny'] : [...rule.grants.keys()].sort(),
    ...(allowedParameters.size > 0 && {
      allowed_parameters: Object.fromEntries(allowedParameters),
    }),
    ...(deniedParameters.size > 0 && { denied_parameters: Object.fromEntries(deniedParameters) }),
    ...(requiredParameters.size > 0 && { required_parameters: [...requiredParameters].sort() }),
    ...(min !== undefined && { min_wrapping_ttl: min }),
    ...(max !== undefined && { max_wrapping_ttl: max }),
  }
}
