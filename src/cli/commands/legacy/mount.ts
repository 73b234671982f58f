/** The verbs of 2015 for mounts: `mount`, `mounts`, `unmount`, `remount`, `mount-tune` (contract 8.2, Decision 3). */
import { ApiError } from '../../../client/api-error.ts'
import { isObject, type JsonObject } from '../../../client/json.ts'
import { formatDuration } from '../../../duration.ts'
import type { Command, Flag } from '../../declaration/command.ts'
import { textFlag } from '../../declaration/flag.ts'
import { printStructured } from '../../output/output.ts'
import { encodeTable } from '../../output/table.ts'
import { requestFailure, type Session } from '../../session.ts'
import { mountPath, pathFlag, readMounts, SECRETS } from '../mount/kind.ts'
import { moveMount } from '../mount/mounts.ts'

const COMPAT: JsonObject = { compat: '2015' }

const lifeFlags: readonly Flag[] = [
  textFlag('default-lease-ttl', 'duration', 'Default life of leases.'),
  textFlag('max-lease-ttl', 'duration', 'Longest life of leases.'),
]

export const mount: Command = {
  args: [{ name: 'type' }],
  flags: [pathFlag, textFlag('description', 'text', 'For people.'), ...lifeFlags],
  description:
    'The verb of 2015: an ssh engine is mounted with the option compat=2015, where the server allows it.\n' +
    'For new set-ups there is postern secrets enable.',
  examples: ['postern mount ssh'],
  async run(session) {
    const [type = ''] = session.input.args
    const path = mountPath(session.input.text('path') ?? type).slice(0, -1)
    const body: JsonObject = {
      type,
      description: session.input.text('description') ?? '',
      config: {
        default_lease_ttl: session.input.text('default-lease-ttl') ?? '0s',
        max_lease_ttl: session.input.text('max-lease-ttl') ?? '0s',
      },
    }
    if (type !== 'ssh' || !(await mountWithCompat(session, path, body))) {
      await session.ask('mounting', 'POST', `sys/mounts/${path}`, { body })
    }
    session.terminal.write(`Successfully mounted '${type}' at '${path}'!\n`)
    return 0
  },
}

/** False when the server does not allow the option; anything else that it refuses is a failure. */
async function mountWithCompat(session: Session, path: string, body: JsonObject): Promise<boolean> {
  const note = (text: string) => session.terminal.writeError(`postern: ${text}\n`)
  try {
    await session.client.send('POST', `sys/mounts/${path}`, { body: { ...body, options: COMPAT } })
  } catch (error) {
    const refusesCompat =
      error instanceof ApiError &&
      error.status === 400 &&
      error.messages.some((text) => text.includes('compat'))
    if (!refusesCompat) throw requestFailure('mounting', error, session.client.base)
    note('mounted without compat=2015, which the server does not allow')
    return false
  }
  note(
    'mounted with compat=2015: for otp and dynamic roles an empty cidr_list means every address and ' +
      'empty allowed_users any user',
  )
  return true
}

export const mounts: Command = {
  args: [],
  flags: [],
  description: 'The verb of 2015; today it is postern secrets list.',
  async run(session) {
    const table = await readMounts(session, SECRETS)
    if (session.format !== 'table') {
      printStructured(session, table)
      return 0
    }
    const rows = Object.keys(table).map((path) => {
      const entry = isObject(table[path]) ? table[path] : {}
      const config = isObject(entry['config']) ? entry['config'] : {}
      const ttl = (key: string) => {
        const seconds = config[key]
        return typeof seconds === 'number' && seconds > 0 ? formatDuration(seconds, true) : 'system'
      }
      const cells = [path, entry['type'], ttl('default_lease_ttl'), ttl('max_lease_ttl')]
      return [...cells, entry['description']].map((cell) => String(cell ?? ''))
    })
    session.terminal.write(
      encodeTable(['Path', 'Type', 'Default TTL', 'Max TTL', 'Description'], rows),
    )
    return 0
  },
}

export const unmount: Command = {
  args: [{ name: 'path', completes: 'mount' }],
  flags: [],
  description: 'The verb of 2015; today it is postern secrets disable.',
  async run(session) {
    const path = mountPath(session.input.args[0]).slice(0, -1)
    await session.ask('unmounting', 'DELETE', `sys/mounts/${path}`)
    session.terminal.write(`Successfully unmounted '${path}' if it was mounted\n`)
    return 0
  },
}

export const remount: Command = {
  args: [{ name: 'from', completes: 'mount' }, { name: 'to' }],
  flags: [],
  description: 'The verb of 2015; today it is postern secrets move.',
  async run(session) {
    const [from = '', to = ''] = session.input.args
    await moveMount(session, SECRETS, { from: mountPath(from), to: mountPath(to) })
    session.terminal.write(`Successfully remounted from '${from}' to '${to}'!\n`)
    return 0
  },
}

export const mountTune: Command = {
  args: [{ name: 'path', completes: 'mount' }],
  flags: lifeFlags,
  description: 'The verb of 2015; today it is postern secrets tune.',
  async run(session) {
    const { input } = session
    const path = mountPath(input.args[0]).slice(0, -1)
    const body = {
      default_lease_ttl: input.text('default-lease-ttl') ?? '',
      max_lease_ttl: input.text('max-lease-ttl') ?? '',
    }
    await session.ask('tuning', 'POST', `sys/mounts/${path}/tune`, { body })
    session.terminal.write(`Successfully tuned mount '${path}'!\n`)
    return 0
  },
}
