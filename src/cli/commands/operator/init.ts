/** `operator init` (contract 8.2, 2.1). */
import type { JsonObject } from '../../../client/json.ts'
import { jsonOf, texts } from '../../../client/reply.ts'
import type { Command, Input } from '../../declaration/command.ts'
import { textFlag } from '../../declaration/flag.ts'
import { usageFailure } from '../../failure.ts'
import { goText } from '../../output/go-text.ts'
import { printStructured, say } from '../../output/output.ts'
import type { Session } from '../../session.ts'

export const operatorInit: Command = {
  args: [],
  flags: [
    textFlag('key-shares', 'count', 'Number of unseal keys; 5 when absent.'),
    textFlag('key-threshold', 'count', 'How many of them unseal; 3 when absent.'),
    { name: 'status', kind: 'bool', help: 'Only says whether it is initialised: exit 0, else 2.' },
  ],
  description: 'Shows the unseal keys and the first root token, once: they are stored nowhere.',
  examples: ['postern operator init', 'postern operator init -key-shares=1 -key-threshold=1'],
  async run(session) {
    if (session.input.bool('status')) return await initStatus(session)
    const { shares, threshold, answer } = await initialize(session)
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

interface Initialized {
  readonly shares: number
  readonly threshold: number
  /** Holds the keys and the root token. */
  readonly answer: JsonObject
}

/** Initialises the server as the flags say. Throws a Failure. */
export async function initialize(session: Session): Promise<Initialized> {
  const seal = jsonOf(await session.ask('checking seal status', 'GET', 'sys/seal-status')) ?? {}
  // A static seal has no shares to give: the server refuses a number of them.
  const isStatic = seal['type'] === 'static'
  const shares = countOf(session.input, 'key-shares', isStatic ? 0 : 5)
  const threshold = countOf(session.input, 'key-threshold', isStatic ? 0 : 3)
  const body = { secret_shares: shares, secret_threshold: threshold }
  const answer = jsonOf(await session.ask('initializing', 'PUT', 'sys/init', { body })) ?? {}
  return { shares, threshold, answer }
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

/** The count that a flag gives. */
export function countOf(input: Input, flag: string, otherwise: number): number {
  const text = input.text(flag)
  if (text === undefined) return otherwise
  if (/^[0-9]{1,3}$/.test(text)) return Number(text)
  throw usageFailure(`-${flag} is a count, not ${text}`)
}
