/** `status`, `operator init`, `operator unseal`, `operator seal` (contract 8.2, 2.1). */
import { ApiError } from '../../client/api-error.ts'
import type { JsonObject } from '../../client/json.ts'
import { jsonOf, type Reply, texts } from '../../client/reply.ts'
import type { Command, Input } from '../command.ts'
import { fieldFlag } from '../common-flags.ts'
import { Failure, usageFailure } from '../failure.ts'
import { goText } from '../go-text.ts'
import { printField, printRows, printStructured, say } from '../output.ts'
import { requestFailure, type Session } from '../session.ts'

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
    await printStatus(session, state)
    return state['sealed'] === false ? 0 : SEALED
  },
}

export const operatorInit: Command = {
  args: [],
  flags: [
    {
      name: 'key-shares',
      kind: 'text',
      value: 'count',
      help: 'Number of unseal keys; 5 when absent.',
    },
    {
      name: 'key-threshold',
      kind: 'text',
      value: 'count',
      help: 'How many of them unseal; 3 when absent.',
    },
    { name: 'status', kind: 'bool', help: 'Only says whether it is initialised: exit 0, else 2.' },
  ],
  description: 'Shows the unseal keys and the first root token, once: they are stored nowhere.',
  examples: ['postern operator init', 'postern operator init -key-shares=1 -key-threshold=1'],
  async run(session) {
    if (session.input.bool('status')) return await initStatus(session)
    const seal = jsonOf(await session.ask('checking seal status', 'GET', 'sys/seal-status')) ?? {}
    // A static seal has no shares to give: the server refuses a number of them.
    const isStatic = seal['type'] === 'static'
    const shares = countOf(session.input, 'key-shares', isStatic ? 0 : 5)
    const threshold = countOf(session.input, 'key-threshold', isStatic ? 0 : 3)
    const body = { secret_shares: shares, secret_threshold: threshold }
    const answer = jsonOf(await session.ask('initializing', 'PUT', 'sys/init', { body })) ?? {}
    const [base64, hex] = [texts(answer['keys_base64']), texts(answer['keys'])]
    if (session.format !== 'table') {
      printStructured(session, initValue(base64, hex, { shares, threshold }, answer))
      return 0
    }
    const keys = base64.map((key, index) => `Unseal Key ${index + 1}: ${key}\n`).join('')
    const rootToken = `Initial Root Token: ${goText(answer['root_token'])}\n`
    if (base64.length === 0) {
      session.terminal.write(`${rootToken}\nKeep it well: it can't be shown again.\n`)
      return 0
    }
    session.terminal.write(
      `${keys}\n${rootToken}\n` +
        `Give the ${shares} keys to different people and keep none of this output: it can't be shown again.\n` +
        `After each start, ${threshold} of them unseal the server.\n`,
    )
    return 0
  },
}

async function initStatus(session: Session): Promise<number> {
  const reply = await session.ask('checking initialization status', 'GET', 'sys/init')
  const isInitialized = jsonOf(reply)?.['initialized'] === true
  if (session.format !== 'table') printStructured(session, { initialized: isInitialized })
  say(session, isInitialized ? 'Initialized' : 'Not initialized')
  return isInitialized ? 0 : 2
}

function initValue(
  base64: string[],
  hex: string[],
  { shares, threshold }: { shares: number; threshold: number },
  answer: JsonObject,
): JsonObject {
  return {
    unseal_keys_b64: base64,
    unseal_keys_hex: hex,
    unseal_shares: shares,
    unseal_threshold: threshold,
    recovery_keys_b64: [],
    recovery_keys_hex: [],
    recovery_keys_shares: 0,
    recovery_keys_threshold: 0,
    root_token: answer['root_token'] ?? '',
  }
}

export const operatorUnseal: Command = {
  args: [{ name: 'key', isOptional: true }],
  flags: [{ name: 'reset', kind: 'bool', help: 'Forgets the keys entered so far.' }],
  description:
    'Without KEY it is asked for, or read from standard input: arguments can be seen by others.',
  async run(session) {
    const body = session.input.bool('reset')
      ? { reset: true }
      : { key: await askKey(session), reset: false, migrate: false }
    const reply = await session.ask('unsealing', 'PUT', 'sys/unseal', { body })
    await printStatus(session, jsonOf(reply) ?? {})
    return 0
  },
}

/** The unseal key of the command line, or asked for, or from standard input. */
export async function askKey({
  input,
  terminal,
}: Pick<Session, 'input' | 'terminal'>): Promise<string> {
  const [word] = input.args
  if (word !== undefined && word !== '-') return word
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

/** The count that a flag gives. */
export function countOf(input: Input, flag: string, otherwise: number): number {
  const text = input.text(flag)
  if (text === undefined) return otherwise
  if (/^[0-9]{1,3}$/.test(text)) return Number(text)
  throw usageFailure(`-${flag} is a count, not ${text}`)
}
