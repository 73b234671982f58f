/**
 * `operator rekey` and `operator generate-root` (contract 2.1): new key shares and a new root token, by a quorum of
 * the present shares. With a token that has sudo an attempt is started without a share, else with the first one.
 */
import type { JsonObject } from '../../../client/json.ts'
import { jsonOf, texts } from '../../../client/reply.ts'
import type { Command, Flag } from '../../declaration/command.ts'
import { textFlag } from '../../declaration/flag.ts'
import { Failure, usageFailure } from '../../failure.ts'
import { goText } from '../../output/go-text.ts'
import { printRows, printStructured, say } from '../../output/output.ts'
import type { Session } from '../../session.ts'
import { countOf } from './init.ts'
import { askKey } from './seal.ts'

const attemptFlags: readonly Flag[] = [
  { name: 'init', kind: 'bool', help: 'Starts an attempt.' },
  { name: 'status', kind: 'bool', help: 'Shows how far it is.' },
  { name: 'cancel', kind: 'bool', help: 'Drops it.' },
  textFlag('nonce', 'nonce', 'Nonce of the attempt, from its start.'),
]

export const operatorRekey: Command = {
  args: [{ name: 'key', isOptional: true }],
  flags: [
    ...attemptFlags,
    textFlag('key-shares', 'count', 'Number of new keys; 5 when absent.'),
    textFlag('key-threshold', 'count', 'How many of them unseal; 3 when absent.'),
    {
      name: 'verify',
      kind: 'bool',
      help: 'With -init: replaces the keys only after the new ones were given back. Else: gives one back.',
    },
  ],
  description:
    'KEY is one of the present unseal keys; without it, it is asked for or read from stdin.',
  examples: ['postern operator rekey -init -key-shares=3 -key-threshold=2'],
  async run(session) {
    const { input } = session
    const isVerifying = input.bool('verify') === true && input.bool('init') !== true
    const base = isVerifying ? 'sys/rekey/verify' : 'sys/rekey/init'
    const nonce = nonceOf(session)
    if (input.bool('cancel')) return await cancel(session, base, nonce)
    if (input.bool('status')) {
      const answer = await session.ask('reading rekey status', 'GET', base, { query: nonce.query })
      return show(session, jsonOf(answer) ?? {})
    }
    if (input.bool('init')) {
      const body = {
        secret_shares: countOf(input, 'key-shares', 5),
        secret_threshold: countOf(input, 'key-threshold', 3),
        require_verification: input.bool('verify') ?? false,
        ...(await firstKey(session)),
      }
      return show(session, jsonOf(await session.ask('starting rekey', 'PUT', base, { body })) ?? {})
    }
    const path = isVerifying ? base : 'sys/rekey/update'
    const body = { ...nonce.body, key: await askKey(session) }
    return show(session, jsonOf(await session.ask('rekeying', 'PUT', path, { body })) ?? {})
  },
}

export const operatorGenerateRoot: Command = {
  args: [{ name: 'key', isOptional: true }],
  flags: [
    ...attemptFlags,
    textFlag('otp', 'text', 'One-time password that hides the token.'),
    textFlag('decode', 'text', 'Shows the token of an encoded one; needs -otp.'),
  ],
  description:
    'For when the root token is lost. The last key answers with an encoded token: decode it with the\n' +
    'one-time password that the start has shown. KEY is asked for, or read from stdin, when absent.',
  examples: [
    'postern operator generate-root -init',
    'postern operator generate-root -decode=TEXT -otp=OTP',
  ],
  async run(session) {
    const { input } = session
    const base = 'sys/generate-root/attempt'
    const encoded = input.text('decode')
    if (encoded !== undefined) return decode(session, encoded)
    const nonce = nonceOf(session)
    if (input.bool('cancel')) return await cancel(session, base, nonce)
    if (input.bool('status')) {
      const answer = await session.ask('reading status', 'GET', base, { query: nonce.query })
      return show(session, jsonOf(answer) ?? {})
    }
    const [path, body] = input.bool('init')
      ? [base, { otp: input.text('otp') ?? '', ...(await firstKey(session)) }]
      : ['sys/generate-root/update', { ...nonce.body, key: await askKey(session) }]
    return show(session, jsonOf(await session.ask('generating root', 'PUT', path, { body })) ?? {})
  },
}

interface Nonce {
  readonly body: JsonObject
  readonly query: Map<string, string[]>
}

function nonceOf(session: Session): Nonce {
  const nonce = session.input.text('nonce')
  return nonce === undefined
    ? { body: {}, query: new Map() }
    : { body: { nonce }, query: new Map([['nonce', [nonce]]]) }
}

async function firstKey(session: Session): Promise<JsonObject> {
  const mayGoWithout = session.token !== undefined && session.input.args.length === 0
  return mayGoWithout ? {} : { key: await askKey(session) }
}

async function cancel(session: Session, path: string, { query }: Nonce): Promise<number> {
  await session.ask('cancelling', 'DELETE', path, { query })
  say(session, 'Success! The attempt is dropped (if there was one).')
  return 0
}

const ROWS = [
  ['Nonce', 'nonce'],
  ['Started', 'started'],
  ['Complete', 'complete'],
  ['OTP', 'otp'],
  ['OTP Length', 'otp_length'],
  ['Verification Nonce', 'verification_nonce'],
  ['Encoded Token', 'encoded_token'],
] as const

function show(session: Session, state: JsonObject): number {
  if (session.format !== 'table') {
    printStructured(session, state)
    return 0
  }
  const isShown = (key: string) => state[key] !== undefined && state[key] !== ''
  const rows = ROWS.filter(([, key]) => isShown(key)).map(([title, key]): [string, string] => [
    title,
    goText(state[key]),
  ])
  const required = state['required'] ?? state['t']
  printRows(session, [...rows, ['Progress', `${goText(state['progress'])}/${goText(required)}`]])
  const keys = texts(state['keys_base64'])
  if (keys.length > 0) {
    const lines = keys.map((key, index) => `Key ${index + 1}: ${key}\n`)
    session.terminal.write(`\n${lines.join('')}`)
  }
  return 0
}

function decode(session: Session, encoded: string): number {
  const otp = session.input.text('otp')
  if (otp === undefined) throw usageFailure('-decode needs -otp')
  const hidden = Buffer.from(encoded, 'base64')
  const mask = Buffer.from(otp)
  if (hidden.length !== mask.length) {
    throw new Failure('Error decoding root token: it and the OTP have different lengths')
  }
  const token = Buffer.from(hidden.map((byte, index) => byte ^ (mask[index] as number))).toString()
  if (session.format === 'table') session.terminal.write(`Root Token: ${token}\n`)
  else printStructured(session, { token })
  return 0
}
