/** sys/audit, sys/audit-hash and the request headers in audit lines (contract 10.1, Decision 10). */
import { badRequest, PosternError } from '../errors.ts'
import type { Path } from '../mount/path.ts'
import { declarePath } from '../mount/path.ts'
import type { AuditDeviceEntry, SysServices } from './services.ts'

const pathField = { path: { type: 'string', description: 'Name of the audit device.' } } as const

export function auditPaths(services: SysServices): Path[] {
  return [...devicePaths(services), ...headerPaths(services)]
}

function devicePaths(services: SysServices): Path[] {
  return [
    declarePath({
      pattern: 'audit',
      fields: {},
      operations: {
        read: async (call) => {
          const devices = await services.audit.list(call)
          return {
            data: Object.fromEntries(devices.map((device) => [device.path, deviceView(device)])),
          }
        },
      },
      topLevelCopy: true,
      sudo: 'all',
      synopsis: 'Lists the audit devices.',
      description: 'With type and options of each.',
    }),
    declarePath({
      pattern: 'audit/:path*',
      // As for mounts: a slash at the end would find nothing.
      names: { path: 'segments' },
      fields: {
        ...pathField,
        type: { type: 'string', description: 'file.' },
        description: { type: 'string', description: 'A text for people.' },
        options: {
          type: 'kv-pairs',
          description: 'file_path, mode, prefix, log_raw, hmac_accessor, elide_list_responses.',
        },
        local: { type: 'bool', description: 'Kept as given.' },
      },
      operations: {
        update: (call) => {
          const { path, type, description, options, local } = call.fields
          const entry = {
            path: `${path}/`,
            type,
            description,
            options: Object.fromEntries(options),
            local,
          }
          return services.audit.enable(call, entry)
        },
        delete: (call) => services.audit.disable(call, `${call.fields.path}/`),
      },
      sudo: 'all',
      actsItself: true,
      synopsis: 'Enables or disables an audit device.',
      description:
        'Requests are refused when no enabled device takes their line. File paths must lie under audit_dir of the server config.',
    }),
    declarePath({
      pattern: 'audit-hash/:path*',
      fields: { ...pathField, input: { type: 'string', description: 'What to hash.' } },
      operations: {
        update: ({ fields }) => {
          if (fields.input === '') throw badRequest('the "input" parameter is empty')
          const hash = services.audit.hash(`${fields.path}/`, fields.input)
          if (hash === undefined)
            throw badRequest(`unknown audit backend ${JSON.stringify(`${fields.path}/`)}`)
          return { data: { hash } }
        },
      },
      topLevelCopy: true,
      synopsis: 'Hashes a text as an audit device writes it.',
      description: 'To find a known secret in an audit log.',
    }),
  ]
}

function deviceView({
  type,
  path,
  description,
  options,
  local,
}: AuditDeviceEntry): Record<string, unknown> {
  return { description, local, options, path, type }
}

function headerPaths(services: SysServices): Path[] {
  return [
    declarePath({
      pattern: 'config/auditing/request-headers',
      fields: {},
      operations: {
        read: async (call) => ({
          data: { headers: Object.fromEntries(await services.audit.requestHeaders(call)) },
        }),
      },
      topLevelCopy: true,
      sudo: 'all',
      synopsis: 'Lists the request headers that audit lines show.',
      description: 'None but these are written.',
    }),
    declarePath({
      pattern: 'config/auditing/request-headers/:header',
      names: { header: 'visible' },
      foldsCase: ['header'],
      fields: {
        header: { type: 'lowercase', description: 'Name of the header.' },
        hmac: { type: 'bool', description: 'Writes a hash of the value.' },
      },
      operations: {
        read: async (call) => {
          const { header } = call.fields
          const found = (await services.audit.requestHeaders(call)).get(header)
          if (!found) throw new PosternError('invalid_request', 'Could not find header in config')
          return { data: { [header]: found } }
        },
        update: (call) =>
          services.audit.putRequestHeader(call, call.fields.header, call.fields.hmac),
        delete: (call) => services.audit.putRequestHeader(call, call.fields.header, undefined),
      },
      topLevelCopy: true,
      sudo: 'all',
      synopsis: 'Shows, adds or removes a request header of audit lines.',
      description: 'With or without a hash.',
    }),
  ]
}
