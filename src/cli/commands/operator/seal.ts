/** `status`, `operator unseal`, `operator seal` (contract 8.2, 2.1). */
import { ApiError } from '../../../client/api-error.ts'
import type { JsonObject } from '../../../client/json.ts'
import { jsonOf, type Reply } from '../../../client/reply.ts'
import type { Command } from '../../declaration/command.ts'
import { fieldFlag } from '../../declaration/common-flags.ts'
import { Failure, usageFailure } from '../../failure.ts'
import { goText } from '../../output/go-text.ts'
import { printField, printRows, printStructured, say, warnOfSecret } from '../../output/output.ts'
import { requestFailure, type Session } from '../../session.ts'

const SEALED = 2

export const status: Command = {
  args: [],
  flags: [fieldFlag],
  description: 'Exit status: 0 unsealed, 2 sealed, 1 when the server gives no answer.',
  async run(session) {
    let reply: Reply
    try {
      reply = await session.client.send('GET', 'sys/seal-status')
    } catch (error) {
      const failure = requestFailure('checking seal status', error, session.client.base)
      if (!(failure instanceof Failure)) throw failure
      throw new Failure(failure.message, { status: 1, hint: failure.hint })
    }
    const state = jsonOf(reply) ?? {}
    if (typeof state['sealed'] !== 'boolean') {
      const hint = '-address or POSTERN_ADDR names another server'
      throw new Failure(`postern: what answers at ${session.client.base} tells no seal status`, {
        hint,
      })
    }
    await printStatus(session, state)
    return state['sealed'] ? SEALED : 0
  },
}

export const operatorUnseal: Command = {
  args: [{ name: 'key', isOptional: true }],
  flags: [{ name: 'reset', kind: 'bool', help: 'Forgets the keys entered so far.' }],
  description:
    'Without KEY it is asked for, or read from standard input: arguments can be seen by others.',
  async run(session) {
    await printStatus(session, await unseal(session))
    return 0
  },
}

/** Gives the server a key, or drops those given; the state of the seal. Throws a Failure. */
export async function unseal(session: Session): Promise<JsonObject> {
  const body = session.input.bool('reset')
    ? { reset: true }
    : { key: await askKey(session), reset: false, migrate: false }
  return jsonOf(await session.ask('unsealing', 'PUT', 'sys/unseal', { body })) ?? {}
}

/** The unseal key of the command line, or asked for, or from standard input. */
export async function askKey(session: Session): Promise<string> {
  const { input, terminal } = session
  const [word] = input.args
  if (word !== undefined && word !== '-') {
    warnOfSecret(
      session,
      'the unseal key',
      'without it, it is asked for, and - reads it from stdin',
    )
    return word
  }
  const key =
    terminal.isInteractive && word === undefined
      ? await terminal.readHidden('Unseal Key (will be hidden): ')
      : await terminal.readInput()
  if (key.trim() === '') throw usageFailure('no unseal key given')
  return key.trim()
}

export const operatorSeal: Command = {
  args: [],
  flags: [],
  description: 'The server forgets its keys: nothing works until it is unsealed again.',
  async run(session) {
    await session.ask('sealing', 'PUT', 'sys/seal')
    say(session, 'Success! Vault is sealed.')
    return 0
  },
}

const STATUS_ROWS = [
  ['Seal Type', 'type'],
  ['Initialized', 'initialized'],
  ['Sealed', 'sealed'],
  ['Total Shares', 'n'],
  ['Threshold', 't'],
  ['Version', 'version'],
  ['Build Date', 'build_date'],
  ['Storage Type', 'storage_type'],
  ['Cluster Name', 'cluster_name'],
  ['Cluster ID', 'cluster_id'],
] as const

async function printStatus(session: Session, state: JsonObject): Promise<void> {
  const leader = await readLeader(session)
  const all: JsonObject = { ...state, ...leader }
  const field = session.input.text('field')
  if (field !== undefined) {
    printField(session, field, Object.hasOwn(all, field) ? all[field] : undefined)
    return
  }
  if (session.format !== 'table') {
    printStructured(session, all)
    return
  }
  const rows = STATUS_ROWS.flatMap(([title, key]): [string, string][] => {
    const row: [string, string][] =
      state[key] === undefined || state[key] === '' ? [] : [[title, goText(state[key])]]
    return key === 't' ? [...row, ...progressRows(state)] : row
  })
  printRows(session, [...rows, ['HA Enabled', goText(leader['ha_enabled'] ?? false)]])
}

function progressRows(state: JsonObject): [string, string][] {
  const { progress, nonce, sealed } = state
  if (sealed !== true || typeof progress !== 'number') return []
  return [
    ['Unseal Progress', `${progress}/${goText(state['t'])}`],
    ['Unseal Nonce', nonce ? goText(nonce) : 'n/a'],
  ]
}

/** A sealed server may refuse this: the status is shown without it. */
async function readLeader(session: Session): Promise<JsonObject> {
  try {
    return jsonOf(await session.client.send('GET', 'sys/leader')) ?? {}
  } catch (error) {
    if (error instanceof ApiError) return {}
    throw requestFailure('checking leader status', error, session.client.base)
  }
}
