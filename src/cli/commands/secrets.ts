/** `secrets enable`, `secrets list`, `secrets disable` (contract 8.2, 2.2). */
import { isObject, type JsonObject } from '../../client/json.ts'
import { jsonOf } from '../../client/reply.ts'
import type { Command } from '../command.ts'
import { goText, tableText } from '../go-text.ts'
import { printStructured, say } from '../output.ts'
import { splitPair } from '../pairs.ts'
import type { Session } from '../session.ts'
import { encodeTable } from '../table.ts'

export const secretsEnable: Command = {
  args: [{ name: 'type' }],
  flags: [
    { name: 'path', kind: 'text', value: 'path', help: 'Where to mount; the type when absent.' },
    { name: 'description', kind: 'text', value: 'text', help: 'For people.' },
    { name: 'default-lease-ttl', kind: 'text', value: 'duration', help: 'Default life of leases.' },
    { name: 'max-lease-ttl', kind: 'text', value: 'duration', help: 'Longest life of leases.' },
    { name: 'listing-visibility', kind: 'text', value: 'unauth|hidden', help: 'Who may see it.' },
    { name: 'options', kind: 'list', value: 'key=value', help: 'An option of the engine.' },
    {
      name: 'audit-non-hmac-request-keys',
      kind: 'list',
      value: 'key',
      help: 'A key of requests that audit devices show in clear.',
    },
    {
      name: 'audit-non-hmac-response-keys',
      kind: 'list',
      value: 'key',
      help: 'A key of responses that audit devices show in clear.',
    },
  ],
  description: 'Postern has one secrets engine to enable: ssh.',
  examples: ['postern secrets enable ssh', 'postern secrets enable -path=ssh-client-signer ssh'],
  async run(session) {
    const { input } = session
    const [type = ''] = input.args
    const path = (input.text('path') ?? type).replace(/^\/+|\/+$/g, '')
    const config: JsonObject = {
      default_lease_ttl: input.text('default-lease-ttl') ?? '0s',
      max_lease_ttl: input.text('max-lease-ttl') ?? '0s',
      force_no_cache: false,
    }
    for (const [flag, key] of [
      ['audit-non-hmac-request-keys', 'audit_non_hmac_request_keys'],
      ['audit-non-hmac-response-keys', 'audit_non_hmac_response_keys'],
    ] as const) {
      if (input.list(flag).length > 0) config[key] = [...input.list(flag)]
    }
    const visibility = input.text('listing-visibility')
    if (visibility !== undefined) config['listing_visibility'] = visibility
    const options = input.list('options').map(splitPair)
    const body: JsonObject = {
      type,
      description: input.text('description') ?? '',
      config,
      options: options.length === 0 ? null : Object.fromEntries(options),
    }
    await session.ask('enabling', 'POST', `sys/mounts/${path}`, { body })
    say(session, `Success! Enabled the ${type} secrets engine at: ${path}/`)
    return 0
  },
}

export const secretsList: Command = {
  args: [],
  flags: [{ name: 'detailed', kind: 'bool', help: 'Shows life times, options and ids as well.' }],
  description: '',
  async run(session) {
    const table = await readMounts(session)
    if (session.format !== 'table') {
      printStructured(session, table)
      return 0
    }
    const isDetailed = session.input.bool('detailed') === true
    const titles = ['Path', 'Type', 'Accessor', 'Description']
    const more = ['Default TTL', 'Max TTL', 'Options', 'UUID']
    const rows = Object.keys(table).map((path) => {
      const entry = isObject(table[path]) ? table[path] : {}
      const cells = ['type', 'accessor', 'description'].map((key) => tableText(key, entry[key]))
      return [path, ...cells, ...(isDetailed ? detailsOf(entry) : [])]
    })
    session.terminal.write(encodeTable(isDetailed ? [...titles, ...more] : titles, rows))
    return 0
  },
}

function detailsOf(entry: JsonObject): string[] {
  const config = isObject(entry['config']) ? entry['config'] : {}
  const ttls = ['default_lease_ttl', 'max_lease_ttl'].map((key) =>
    config[key] === 0 ? 'system' : tableText(key, config[key]),
  )
  return [...ttls, goText(entry['options'] ?? {}), goText(entry['uuid'])]
}

export const secretsDisable: Command = {
  args: [{ name: 'path' }],
  flags: [],
  description: 'Revokes all leases of the engine and deletes what it stored.',
  examples: ['postern secrets disable ssh/'],
  async run(session) {
    const path = (session.input.args[0] ?? '').replace(/^\/+|\/+$/g, '')
    await session.ask(`disabling secrets engine at ${path}/`, 'DELETE', `sys/mounts/${path}`)
    say(session, `Success! Disabled the secrets engine (if it existed) at: ${path}/`)
    return 0
  },
}

/** The mount table, by path. */
export async function readMounts(session: Session): Promise<JsonObject> {
  const reply = await session.ask('listing secrets engines', 'GET', 'sys/mounts')
  const data = jsonOf(reply)?.['data']
  return isObject(data) ? data : {}
}
