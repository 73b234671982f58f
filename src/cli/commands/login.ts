/** `login` (contract 8.2): gets a token by an auth method, or checks the one that is given, and keeps it. */
import { lookUpVariable } from '../../client/environment.ts'
import { isObject, type JsonObject, textAt } from '../../client/json.ts'
import { jsonOf, type Reply } from '../../client/reply.ts'
import { Secret } from '../../redact.ts'
import type { Command, Flag } from '../declaration/command.ts'
import { fieldFlag } from '../declaration/common-flags.ts'
import { textFlag } from '../declaration/flag.ts'
import { Failure, usageFailure } from '../failure.ts'
import { askSecret, loginRequest, METHOD_NAMES } from '../login-method.ts'
import { printReply, say, warn, warnOfSecret } from '../output/output.ts'
import type { Session } from '../session.ts'
import { storeToken } from '../token-store.ts'

export const methodFlags: readonly Flag[] = [
  { name: 'method', kind: 'text', value: METHOD_NAMES, help: 'Auth method; token when absent.' },
  textFlag('path', 'path', 'Its mount below auth/; the method when absent.'),
]

export const login: Command = {
  args: [{ name: 'token or key=value', isOptional: true, isRest: true }],
  flags: [
    fieldFlag,
    ...methodFlags,
    { name: 'no-store', kind: 'bool', help: 'Keeps the token nowhere.' },
    { name: 'no-print', kind: 'bool', help: 'Shows nothing.' },
    { name: 'token-only', kind: 'bool', help: 'Prints the bare token and keeps it nowhere.' },
  ],
  description:
    'With the method token: without TOKEN it is asked for, or read from standard input. With others, KEY=VALUE\n' +
    'are what the method wants (username; role_id; role); passwords and the like are asked for.',
  examples: [
    'postern login',
    'postern login -no-print - < token',
    'postern login -method=userpass username=alice',
    'postern login -method=approle role_id=@role-id secret_id=@secret-id',
  ],
  async run(session) {
    const { input, terminal } = session
    const { reply, token } = await logIn(session)
    if (token === undefined) {
      // Wrapped: the token is for whoever unwraps it.
      printReply(session, reply)
      return 0
    }
    if (input.bool('token-only')) {
      terminal.write(terminal.outputIsTerminal ? `${token}\n` : token)
      return 0
    }
    const isKept = input.bool('no-store') !== true
    const place = isKept ? `kept in ${await keep(session, token)}` : 'kept nowhere'
    if (input.bool('no-print')) return 0
    if (input.text('field') === undefined) {
      say(session, `Success! You are logged in; the token is ${place}.\n`)
    }
    printReply(session, reply)
    return 0
  },
}

/** Stores a token of a login, and says so when another one stays in force. Gives the place. */
export async function keep(session: Session, token: string): Promise<string> {
  const place = await storeToken(session.terminal, token)
  const variable = lookUpVariable(session.terminal.environment, 'TOKEN')
  if (variable !== undefined) {
    warn(
      session,
      `${variable.name} is set and wins over the token of this login; unset it to use the new one`,
    )
  }
  return place
}

/** The answer of a login, and its token unless it is wrapped. Throws a Failure. */
export async function logIn(
  session: Session,
): Promise<{ reply: Reply; token: string | undefined }> {
  const { input } = session
  const method = input.text('method') ?? 'token'
  if (method === 'token') return await logInWithToken(session)
  const options = { method, path: input.text('path'), words: input.args }
  const { path, body } = await loginRequest(session, options)
  const reply = await session.ask('authenticating', 'PUT', path, { body })
  const answer = jsonOf(reply) ?? {}
  if (isObject(answer['wrap_info'])) return { reply, token: undefined }
  const token = isObject(answer['auth']) ? textAt(answer['auth'], 'client_token') : undefined
  if (token) return { reply, token }
  throw new Failure('Error authenticating: the answer holds no token', {
    status: 2,
    hint: 'a method that asks for a second factor is used with postern write',
  })
}

async function logInWithToken(session: Session): Promise<{ reply: Reply; token: string }> {
  const token = await givenToken(session)
  const reply = await session.ask('authenticating', 'GET', 'auth/token/lookup-self', {
    token: new Secret(token),
    wrapTtl: undefined,
  })
  const data = jsonOf(reply)?.['data']
  if (!isObject(data)) throw new Failure('Error authenticating: no token data', { status: 2 })
  return { reply: { ...reply, text: JSON.stringify(asLogin(token, data)) }, token }
}

async function givenToken(session: Session): Promise<string> {
  const [word, ...others] = session.input.args
  if (others.length > 0) {
    throw usageFailure('too many arguments for login', '-method=NAME goes with KEY=VALUE')
  }
  if (word !== undefined && word !== '-') {
    warnOfSecret(session, 'the token', 'without it, it is asked for, and - reads it from stdin')
  }
  const text =
    word === '-'
      ? await session.terminal.readInput()
      : (word ?? (await askSecret(session, 'Token')))
  const token = text.trim()
  if (token === '' || /[^\x21-\x7e]/.test(token)) throw usageFailure('that is no token')
  return token
}

/** What a lookup says, in the form of an answer to a login. */
function asLogin(token: string, data: JsonObject): JsonObject {
  return {
    request_id: '',
    lease_id: '',
    lease_duration: 0,
    renewable: false,
    data: null,
    warnings: null,
    auth: {
      client_token: token,
      accessor: data['accessor'] ?? '',
      policies: data['policies'] ?? [],
      token_policies: data['policies'] ?? [],
      identity_policies: data['identity_policies'] ?? [],
      metadata: data['meta'] ?? null,
      lease_duration: data['ttl'] ?? 0,
      renewable: data['renewable'] ?? false,
      entity_id: data['entity_id'] ?? '',
      token_type: data['type'] ?? '',
      orphan: data['orphan'] ?? false,
    },
  }
}
