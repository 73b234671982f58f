/** What operators and monitoring ask about the server: metrics, nodes, versions, requests in flight (contract 2.1). */
import { rfc3339 } from '../clock.ts'
import { PosternError } from '../errors.ts'
import type { Call, Outcome } from '../mount/call.ts'
import type { Path } from '../mount/path.ts'
import { declarePath } from '../mount/path.ts'
import type { SysServices } from './services.ts'

export function serverPaths(services: SysServices): Path[] {
  const { server } = services
  const apiVersion = server.version.split('+')[0] as string
  return [
    declarePath({
      pattern: 'metrics',
      fields: { format: { type: 'string', description: '"prometheus", or empty for JSON.' } },
      operations: { read: (call) => metrics(services, call, call.fields.format) },
      auth: 'optional',
      synopsis: 'Gives metrics.',
      description: 'Needs a token that may read this path, unless the listener says otherwise.',
    }),
    declarePath({
      pattern: 'ha-status',
      fields: {},
      operations: {
        read: () => ({
          data: {
            nodes: [
              {
                hostname: server.hostname,
                api_address: server.apiAddress,
                cluster_address: '',
                active_node: true,
                last_echo: null,
                version: apiVersion,
              },
            ],
          },
        }),
      },
      topLevelCopy: true,
      synopsis: 'Lists the nodes.',
      description: 'The one that answers.',
    }),
    declarePath({
      pattern: 'version-history',
      fields: {},
      operations: {
        list: () => {
          const entry = {
            commit_date: '',
            previous_version: null,
            timestamp_installed: rfc3339(server.startedAt),
          }
          return { data: { key_info: { [apiVersion]: entry }, keys: [apiVersion] } }
        },
      },
      synopsis: 'Shows the version since the last start.',
      description: 'Under the number that clients know the API by.',
    }),
    declarePath({
      pattern: 'in-flight-req',
      fields: {},
      operations: { read: async () => ({ bare: { body: await services.inFlight() } }) },
      synopsis: 'Lists the requests under way.',
      description: 'Path, method, caller address and client of each.',
    }),
    ...['replication/status', 'wrapping/pubkey'].map(absentPath),
  ]
}

/** Clients ask before they have a token, and take a 403 for a wrong token instead of a missing path. */
function absentPath(pattern: string): Path {
  const refuse = (): never => {
    throw new PosternError('unsupported_path')
  }
  return declarePath({
    pattern,
    fields: {},
    operations: { read: refuse, list: refuse, update: refuse, patch: refuse, delete: refuse },
    auth: 'none',
    synopsis: 'Not offered: answers 404.',
    description: 'Without a token too, so that clients see that it is missing.',
  })
}

async function metrics(services: SysServices, call: Call, format: string): Promise<Outcome> {
  if (!call.unauthenticatedMetrics) {
    const acl = call.caller && (await services.aclOf(call, call.caller))
    const mayRead = acl
      ?.capabilities('sys/metrics')
      .some((name) => name === 'read' || name === 'root')
    if (!mayRead) throw new PosternError('permission_denied')
  }
  if (format === 'prometheus') {
    const { contentType } = services.metrics
    return { bare: { body: await services.metrics.text(), contentType } }
  }
  if (format !== '') {
    const body = `metric response format ${JSON.stringify(format)} unknown`
    return { bare: { body, contentType: 'text/plain' }, status: 400 }
  }
  return { bare: { body: await services.metrics.json() } }
}
