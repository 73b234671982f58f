/** `token create`, `lookup`, `renew`, `revoke` and `capabilities` (contract 8.2, 2.4, 3.2, 3.3). */
import { lookUpVariable } from '../../client/environment.ts'
import { isObject, type JsonObject } from '../../client/json.ts'
import { envelopeOf, jsonOf, texts } from '../../client/reply.ts'
import { parseDuration } from '../../duration.ts'
import type { Command, Flag, Input } from '../declaration/command.ts'
import { fieldFlag, wrapFlag } from '../declaration/common-flags.ts'
import { listFlag, textFlag } from '../declaration/flag.ts'
import { splitPair } from '../declaration/pairs.ts'
import { usageFailure } from '../failure.ts'
import { printReply, printStructured, say, warn, warnOfSecret } from '../output/output.ts'
import type { Session } from '../session.ts'
import { eraseToken } from '../token-store.ts'

const accessorFlag: Flag = {
  name: 'accessor',
  kind: 'bool',
  help: 'The argument is an accessor, not a token.',
}

export const tokenCreate: Command = {
  args: [],
  flags: [
    fieldFlag,
    wrapFlag,
    listFlag('policy', 'name', 'A policy; may be repeated.'),
    textFlag('ttl', 'duration', 'First life time.'),
    textFlag('explicit-max-ttl', 'duration', 'Limit over all renewals.'),
    textFlag('period', 'duration', 'Each renewal gives it this long.'),
    textFlag('use-limit', 'count', 'How many requests it is good for.'),
    { name: 'renewable', kind: 'bool', help: 'Whether it can be renewed; true when absent.' },
    { name: 'orphan', kind: 'bool', help: 'Outlives the token that makes it.' },
    { name: 'no-default-policy', kind: 'bool', help: 'Without the policy named default.' },
    textFlag('display-name', 'name', 'Shown in audit logs and key ids.'),
    listFlag('metadata', 'key=value', 'A member of its metadata.'),
    textFlag('id', 'id', 'The token itself, instead of a random one.'),
    textFlag('type', 'service|batch', 'Kind of token.'),
    textFlag('role', 'name', 'Token role to create it with.'),
  ],
  description: 'The token is a child of the one that the command runs with, unless -orphan.',
  examples: ['postern token create -policy=developer -ttl=8h', 'postern token create -field=token'],
  async run(session) {
    const { input } = session
    const role = input.text('role')
    const path =
      role !== undefined
        ? `auth/token/create/${role}`
        : `auth/token/create${input.bool('orphan') ? '-orphan' : ''}`
    const body = createBody(input)
    printReply(session, await session.ask('creating token', 'POST', path, { body }))
    return 0
  },
}

function createBody(input: Input): JsonObject {
  const count = input.text('use-limit') ?? '0'
  if (!/^-?[0-9]{1,15}$/.test(count)) throw usageFailure(`-use-limit is a count, not ${count}`)
  const body: JsonObject = {
    policies: [...input.list('policy')],
    ttl: input.text('ttl') ?? '0s',
    explicit_max_ttl: input.text('explicit-max-ttl') ?? '0s',
    period: input.text('period') ?? '0s',
    display_name: input.text('display-name') ?? '',
    num_uses: Number(count),
    renewable: input.bool('renewable') ?? true,
    no_default_policy: input.bool('no-default-policy') ?? false,
    type: input.text('type') ?? '',
  }
  const metadata = input.list('metadata').map(splitPair)
  if (metadata.length > 0) body['meta'] = Object.fromEntries(metadata)
  const id = input.text('id')
  if (id !== undefined) body['id'] = id
  // Absent means the parent's policies; an empty list means none.
  if (input.list('policy').length === 0) delete body['policies']
  return body
}

export const tokenLookup: Command = {
  args: [{ name: 'token', isOptional: true }],
  flags: [fieldFlag, accessorFlag],
  description: 'Without TOKEN the own one; - reads it from standard input.',
  async run(session) {
    const token = await tokenArgument(session)
    const path = 'auth/token/lookup'
    const reply =
      token === undefined
        ? await session.ask('looking up token', 'GET', `${path}-self`)
        : session.input.bool('accessor')
          ? await session.ask('looking up token', 'POST', `${path}-accessor`, {
              body: { accessor: token },
            })
          : await session.ask('looking up token', 'POST', path, { body: { token } })
    printReply(session, reply)
    return 0
  },
}

export const tokenRenew: Command = {
  args: [{ name: 'token', isOptional: true }],
  flags: [
    fieldFlag,
    wrapFlag,
    accessorFlag,
    textFlag('increment', 'duration', 'Life time asked for, from now.'),
  ],
  description: 'Without TOKEN the own one; - reads it from standard input.',
  examples: ['postern token renew -increment=2h'],
  async run(session) {
    const token = await tokenArgument(session)
    const increment = secondsOf(session.input, 'increment')
    const [path, named]: [string, JsonObject] =
      token === undefined
        ? ['renew-self', {}]
        : session.input.bool('accessor')
          ? ['renew-accessor', { accessor: token }]
          : ['renew', { token }]
    const body = { ...named, increment }
    printReply(session, await session.ask('renewing token', 'PUT', `auth/token/${path}`, { body }))
    return 0
  },
}

/** Seconds of a flag that holds a duration; 0 when absent. Throws a Failure. */
export function secondsOf(input: Input, flag: string): number {
  const text = input.text(flag) ?? '0'
  try {
    return Math.trunc(parseDuration(text))
  } catch {
    throw usageFailure(
      `-${flag} is a duration, not ${text}`,
      `write -${flag}=30m or a number of seconds`,
    )
  }
}

export const tokenCapabilities: Command = {
  args: [{ name: 'token or path' }, { name: 'path', isOptional: true, completes: 'path' }],
  flags: [accessorFlag],
  description: 'What a token may do on PATH; with one argument the own token.',
  examples: ['postern token capabilities ssh/sign/web'],
  async run(session) {
    const [first = '', second] = session.input.args
    const path = second ?? first
    const isAccessor = session.input.bool('accessor') === true
    const token = second === undefined ? undefined : await otherToken(session, first, isAccessor)
    const [target, body]: [string, JsonObject] =
      token === undefined
        ? ['sys/capabilities-self', { path }]
        : isAccessor
          ? ['sys/capabilities-accessor', { path, accessor: token }]
          : ['sys/capabilities', { path, token }]
    const answer = jsonOf(await session.ask('listing capabilities', 'POST', target, { body })) ?? {}
    const data = isObject(answer['data']) ? answer['data'] : answer
    const names = texts(data['capabilities']).sort()
    if (session.format === 'table') session.terminal.write(`${names.join(', ')}\n`)
    else printStructured(session, names)
    return 0
  },
}

export const tokenRevoke: Command = {
  args: [{ name: 'token', isOptional: true }],
  flags: [
    accessorFlag,
    {
      name: 'self',
      kind: 'bool',
      help: 'Revokes the token that the command runs with, and forgets it where a login kept it.',
    },
    textFlag(
      'mode',
      'orphan|path',
      'orphan spares the children; path revokes all tokens made below a path.',
    ),
    {
      name: 'certificates',
      kind: 'bool',
      help: 'Revokes the live SSH certificates that they were given too; as the mounts say when absent.',
    },
  ],
  description: 'Revokes the token with its children and leases. - reads TOKEN from standard input.',
  examples: ['postern token revoke -accessor 9793c9b3', 'postern token revoke -self'],
  async run(session) {
    await revokeToken(session)
    say(session, 'Success! Revoked token (if it existed)')
    return 0
  },
}

/** Revokes the token that was named. Throws a Failure. */
export async function revokeToken(session: Session): Promise<void> {
  const { path, body } = revocation(session.input, await tokenArgument(session))
  const certificates = session.input.bool('certificates')
  if (certificates !== undefined) {
    if (!path.startsWith('auth/')) throw usageFailure('-mode=path takes no -certificates')
    body['revoke_certificates'] = certificates
  }
  const reply = await session.ask('revoking token', 'PUT', path, { body })
  const wasStored = lookUpVariable(session.terminal.environment, 'TOKEN') === undefined
  if (path.endsWith('/revoke-self') && wasStored) await eraseToken(session.terminal)
  for (const text of envelopeOf(reply)?.warnings ?? []) warn(session, text)
}

function revocation(input: Input, token: string | undefined): { path: string; body: JsonObject } {
  const mode = input.text('mode')
  if (input.bool('self')) {
    if (token !== undefined) throw usageFailure('-self takes no token')
    return { path: 'auth/token/revoke-self', body: {} }
  }
  if (token === undefined) throw usageFailure('no token named', 'name a token, or say -self')
  if (input.bool('accessor')) {
    if (mode !== undefined) throw usageFailure('-accessor and -mode exclude each other')
    return { path: 'auth/token/revoke-accessor', body: { accessor: token } }
  }
  switch (mode) {
    case undefined:
      return { path: 'auth/token/revoke', body: { token } }
    case 'orphan':
      return { path: 'auth/token/revoke-orphan', body: { token } }
    case 'path':
      return { path: `sys/leases/revoke-prefix/${token}`, body: {} }
    default:
      throw usageFailure(`unknown mode ${mode}`, 'the modes are orphan and path')
  }
}

async function tokenArgument(session: Session): Promise<string | undefined> {
  const { input } = session
  const [word] = input.args
  if (word === undefined) return undefined
  return await otherToken(session, word, input.bool('accessor') === true)
}

async function otherToken(session: Session, word: string, isAccessor: boolean): Promise<string> {
  if (word === '-') return (await session.terminal.readInput()).trim()
  if (!isAccessor) warnOfSecret(session, 'the token', '- reads it from standard input')
  return word
}
