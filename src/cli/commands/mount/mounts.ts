/** `enable`, `list`, `disable`, `tune` and `move` of `secrets` and `auth` (contract 8.2, 2.2). */
import { isObject, type JsonObject, textAt } from '../../../client/json.ts'
import { jsonOf } from '../../../client/reply.ts'
import type { Command } from '../../declaration/command.ts'
import { splitPair } from '../../declaration/pairs.ts'
import { Failure } from '../../failure.ts'
import { goText, tableText } from '../../output/go-text.ts'
import { printStructured, say } from '../../output/output.ts'
import { encodeTable } from '../../output/table.ts'
import type { Session } from '../../session.ts'
import {
  AUTH,
  type MountKind,
  mountPath,
  pathFlag,
  readMounts,
  SECRETS,
  settingFlags,
  settingsOf,
} from './kind.ts'

const MOVE_CHECK_MS = 250

export const secretsEnable: Command = {
  ...enableOf(SECRETS),
  description: 'Postern has one secrets engine to enable: ssh.',
  examples: ['postern secrets enable ssh', 'postern secrets enable -path=ssh-client-signer ssh'],
}
export const authEnable: Command = enableOf(AUTH)
export const secretsList: Command = listOf(SECRETS)
export const authList: Command = listOf(AUTH)
export const secretsDisable: Command = disableOf(SECRETS)
export const authDisable: Command = disableOf(AUTH)
export const secretsTune: Command = tuneOf(SECRETS)
export const authTune: Command = tuneOf(AUTH)
export const secretsMove: Command = moveOf(SECRETS)
export const authMove: Command = moveOf(AUTH)

function enableOf(kind: MountKind): Command {
  return {
    args: [{ name: 'type' }],
    flags: [
      pathFlag,
      ...settingFlags,
      { name: 'local', kind: 'bool', help: 'Kept as given; there is no replication.' },
      { name: 'seal-wrap', kind: 'bool', help: 'Kept as given; every value is sealed.' },
    ],
    description: '',
    async run(session) {
      const { input } = session
      const [type = ''] = input.args
      const path = mountPath(input.text('path') ?? type)
      const options = input.list('options').map(splitPair)
      const body: JsonObject = {
        type,
        description: input.text('description') ?? '',
        config: {
          default_lease_ttl: input.text('default-lease-ttl') ?? '0s',
          max_lease_ttl: input.text('max-lease-ttl') ?? '0s',
          force_no_cache: false,
          ...settingsOf(session),
        },
        local: input.bool('local') ?? false,
        seal_wrap: input.bool('seal-wrap') ?? false,
        options: options.length === 0 ? null : Object.fromEntries(options),
      }
      await session.ask('enabling', 'POST', `${kind.base}/${path.slice(0, -1)}`, { body })
      say(session, `Success! Enabled the ${type} ${kind.noun} at: ${path}`)
      return 0
    },
  }
}

function listOf(kind: MountKind): Command {
  return {
    args: [],
    flags: [{ name: 'detailed', kind: 'bool', help: 'Shows life times, options and ids as well.' }],
    description: '',
    async run(session) {
      const table = await readMounts(session, kind)
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
}

function detailsOf(entry: JsonObject): string[] {
  const config = isObject(entry['config']) ? entry['config'] : {}
  const ttls = ['default_lease_ttl', 'max_lease_ttl'].map((key) =>
    config[key] === 0 ? 'system' : tableText(key, config[key]),
  )
  return [...ttls, goText(entry['options'] ?? {}), goText(entry['uuid'])]
}

function disableOf(kind: MountKind): Command {
  return {
    args: [{ name: 'path', completes: kind.completes }],
    flags: [],
    description:
      kind === SECRETS
        ? 'Revokes all leases of the engine and deletes what it stored.'
        : 'Revokes all tokens of the method and deletes what it stored.',
    async run(session) {
      const path = mountPath(session.input.args[0])
      const doing = `disabling ${kind.noun} at ${path}`
      await session.ask(doing, 'DELETE', `${kind.base}/${path.slice(0, -1)}`)
      say(session, `Success! Disabled the ${kind.noun} (if it existed) at: ${path}`)
      return 0
    },
  }
}

function tuneOf(kind: MountKind): Command {
  return {
    args: [{ name: 'path', completes: kind.completes }],
    flags: settingFlags,
    description: 'Changes what is named, and nothing else; the life time system is the server’s.',
    async run(session) {
      const { input } = session
      const path = mountPath(input.args[0])
      const body = settingsOf(session)
      for (const flag of ['description', 'default-lease-ttl', 'max-lease-ttl']) {
        const value = input.text(flag)
        if (value !== undefined) body[flag.replaceAll('-', '_')] = value
      }
      const options = input.list('options').map(splitPair)
      if (options.length > 0) body['options'] = Object.fromEntries(options)
      const target = `${kind.tuneBase}/${path.slice(0, -1)}/tune`
      await session.ask(`tuning ${kind.noun} ${path}`, 'POST', target, { body })
      say(session, `Success! Tuned the ${kind.noun} at: ${path}`)
      return 0
    },
  }
}

function moveOf(kind: MountKind): Command {
  return {
    args: [{ name: 'from', completes: kind.completes }, { name: 'to' }],
    flags: [],
    description: 'Leases of the mount are revoked; what it stores moves with it.',
    async run(session) {
      const [from, to] = [mountPath(session.input.args[0]), mountPath(session.input.args[1])]
      await moveMount(session, kind, { from, to })
      say(session, `Success! Finished moving ${kind.noun} ${from} to ${to}`)
      return 0
    },
  }
}

/** Returns when the mount has moved. Throws a Failure. */
export async function moveMount(
  session: Session,
  kind: MountKind,
  { from, to }: { from: string; to: string },
): Promise<void> {
  const prefix = kind === AUTH ? 'auth/' : ''
  const doing = `moving ${kind.noun} ${from} to ${to}`
  const body = { from: prefix + from, to: prefix + to }
  const begun = jsonOf(await session.ask(doing, 'POST', 'sys/remount', { body }))
  const data = isObject(begun?.['data']) ? begun['data'] : {}
  const id = textAt(data, 'migration_id')
  // Servers of old had moved it by now, and answered with nothing.
  if (id === undefined) return
  for (;;) {
    const state = jsonOf(await session.ask(doing, 'GET', `sys/remount/status/${id}`))?.['data']
    const info = isObject(state) && isObject(state['migration_info']) ? state['migration_info'] : {}
    if (info['status'] === 'success') return
    if (info['status'] !== 'in-progress') {
      throw new Failure(`Error ${doing}: ${goText(info['status'])}`, { status: 2 })
    }
    await new Promise((resolve) => setTimeout(resolve, MOVE_CHECK_MS))
  }
}
