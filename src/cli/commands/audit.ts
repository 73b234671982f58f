/** `audit enable`, `audit list`, `audit disable` (contract 8.2, 10.1). */
import { isObject, type JsonObject } from '../../client/json.ts'
import { jsonOf } from '../../client/reply.ts'
import type { Command } from '../declaration/command.ts'
import { textFlag } from '../declaration/flag.ts'
import { splitPair } from '../declaration/pairs.ts'
import { Failure } from '../failure.ts'
import { goText, tableText } from '../output/go-text.ts'
import { printStructured, say } from '../output/output.ts'
import { encodeTable } from '../output/table.ts'
import type { Session } from '../session.ts'

export const auditEnable: Command = {
  args: [{ name: 'type' }, { name: 'key=value', isOptional: true, isRest: true }],
  flags: [
    textFlag('path', 'path', 'Name of the device; the type when absent.'),
    textFlag('description', 'text', 'For people.'),
    { name: 'local', kind: 'bool', help: 'Accepted for compatibility.' },
  ],
  description: 'From then on each request is refused that no device has written down.',
  examples: ['postern audit enable file file_path=/var/log/postern/audit.log'],
  async run(session) {
    const { type, path } = await enableAudit(session)
    say(session, `Success! Enabled the ${type} audit device at: ${path}/`)
    return 0
  },
}

/** Enables the device that was named. Throws a Failure. */
export async function enableAudit(session: Session): Promise<{ type: string; path: string }> {
  const { input } = session
  const [type = '', ...words] = input.args
  const path = (input.text('path') ?? type).replace(/^\/+|\/+$/g, '')
  const body: JsonObject = {
    type,
    description: input.text('description') ?? '',
    options: Object.fromEntries(words.map(splitPair)),
    local: input.bool('local') ?? false,
  }
  await session.ask('enabling audit device', 'PUT', `sys/audit/${path}`, { body })
  return { type, path }
}

export const auditList: Command = {
  args: [],
  flags: [{ name: 'detailed', kind: 'bool', help: 'Shows the options as well.' }],
  description: '',
  async run(session) {
    const data = jsonOf(await session.ask('listing audits', 'GET', 'sys/audit'))?.['data']
    const devices = isObject(data) ? data : {}
    if (session.format !== 'table') {
      printStructured(session, devices)
      return Object.keys(devices).length === 0 ? 2 : 0
    }
    if (Object.keys(devices).length === 0) {
      throw new Failure('No audit devices are enabled.', { status: 2 })
    }
    const isDetailed = session.input.bool('detailed') === true
    const rows = Object.keys(devices).map((path) => {
      const device = isObject(devices[path]) ? devices[path] : {}
      const cells = [path, ...['type', 'description'].map((key) => tableText(key, device[key]))]
      return isDetailed ? [...cells, optionsText(device['options'])] : cells
    })
    const titles = ['Path', 'Type', 'Description']
    session.terminal.write(encodeTable(isDetailed ? [...titles, 'Options'] : titles, rows))
    return 0
  },
}

export const auditDisable: Command = {
  args: [{ name: 'path', completes: 'audit' }],
  flags: [],
  description: 'The file of a device stays as it is.',
  async run(session) {
    const path = (session.input.args[0] ?? '').replace(/^\/+|\/+$/g, '')
    await session.ask('disabling audit device', 'DELETE', `sys/audit/${path}`)
    say(session, `Success! Disabled audit device (if it was enabled) at: ${path}/`)
    return 0
  },
}

function optionsText(options: JsonObject[string] | undefined): string {
  if (!isObject(options)) return ''
  return Object.entries(options)
    .map(([key, value]) => `${key}=${goText(value)}`)
    .join(' ')
}
