/** sys/capabilities*: what a token may do on paths (contract 2.4). */
import { asErrorList, badRequest, refused } from '../errors.ts'
import type { Call, Caller, Outcome } from '../mount/call.ts'
import type { Path } from '../mount/path.ts'
import { declarePath } from '../mount/path.ts'
import type { SysServices } from './services.ts'

/** As many as a body has strings: one text of many commas would keep everybody else waiting. */
const MAX_PATHS = 1000

const pathFields = {
  path: { type: 'comma-list', description: 'Paths to ask about.' },
  paths: { type: 'comma-list', description: 'The same.' },
} as const

export function capabilityPaths(services: SysServices): Path[] {
  return [
    declarePath({
      pattern: 'capabilities-self',
      fields: {
        ...pathFields,
        token: { type: 'string', description: 'Not used: the own token counts.' },
      },
      operations: { update: (call) => answer(services, call, call.caller as Caller) },
      topLevelCopy: true,
      synopsis: 'Shows what the own token may do.',
      description: 'Names the capabilities on each path that is asked about.',
    }),
    declarePath({
      pattern: 'capabilities',
      fields: { ...pathFields, token: { type: 'string', description: 'The token to ask about.' } },
      operations: {
        update: async (call) => {
          if (call.fields.token === '') throw refused('no token found')
          const token = await services.tokenByText(call.fields.token, call.now)
          if (!token) throw badRequest(asErrorList('invalid token'))
          return answer(services, call, token)
        },
      },
      topLevelCopy: true,
      synopsis: 'Shows what a token may do.',
      description: 'Names the capabilities on each path that is asked about.',
    }),
    declarePath({
      pattern: 'capabilities-accessor',
      fields: {
        ...pathFields,
        accessor: { type: 'string', description: 'Accessor of the token.' },
      },
      operations: {
        update: async (call) => {
          const token = await services.tokenByAccessor(call.fields.accessor, call.now)
          if (!token) throw badRequest(asErrorList('invalid accessor'))
          return answer(services, call, token)
        },
      },
      topLevelCopy: true,
      synopsis: 'Shows what the token of an accessor may do.',
      description: 'Names the capabilities on each path that is asked about.',
    }),
  ]
}

async function answer(
  services: SysServices,
  call: Call<typeof pathFields>,
  token: { readonly policies: readonly string[] },
): Promise<Outcome> {
  const paths = call.fields.paths.length > 0 ? call.fields.paths : call.fields.path
  if (paths.length === 0) throw badRequest('paths must be supplied')
  if (paths.length > MAX_PATHS) throw badRequest(`at most ${MAX_PATHS} paths can be asked about`)
  const acl = await services.aclOf(call, token)
  const found = new Map<string, string[]>()
  for (const path of paths) {
    const judged = await services.policyPath(call, path.replace(/^\/+/, ''))
    found.set(path, acl.capabilities(judged))
  }
  const only = found.size === 1 ? [...found.values()][0] : undefined
  return { data: { ...Object.fromEntries(found), ...(only ? { capabilities: only } : {}) } }
}
