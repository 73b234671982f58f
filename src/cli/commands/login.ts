/** `login` with a token (contract 8.2): checks it with the server, then keeps it in the token file. */

import { lookUpVariable } from '../../client/environment.ts'
import { isObject, type JsonObject } from '../../client/json.ts'
import { jsonOf } from '../../client/reply.ts'
import { Secret } from '../../redact.ts'
import type { Command } from '../command.ts'
import { fieldFlag } from '../common-flags.ts'
import { Failure, usageFailure } from '../failure.ts'
import { printReply, say } from '../output.ts'
import type { Session } from '../session.ts'
import { tokenFile, writeTokenFile } from '../token-file.ts'

export const login: Command = {
  args: [{ name: 'token', isOptional: true }],
  flags: [
    fieldFlag,
    {
      name: 'method',
      kind: 'text',
      value: 'token',
      help: 'Auth method; token is the one there is.',
    },
    { name: 'no-store', kind: 'bool', help: 'Keeps the token nowhere.' },
    { name: 'no-print', kind: 'bool', help: 'Shows nothing.' },
    { name: 'token-only', kind: 'bool', help: 'Prints the bare token and keeps it nowhere.' },
  ],
  description: 'Without TOKEN it is asked for, or read from standard input.',
  examples: ['postern login', 'postern login -no-print - < token'],
  async run(session) {
    const { input, terminal } = session
    const method = input.text('method') ?? 'token'
    if (method !== 'token') throw usageFailure(`unknown auth method ${method}`)
    const token = await askToken(session)
    const reply = await session.ask('authenticating', 'GET', 'auth/token/lookup-self', {
      token: new Secret(token),
    })
    const data = jsonOf(reply)?.['data']
    if (!isObject(data)) throw new Failure('Error authenticating: no token data', { status: 2 })
    if (input.bool('token-only')) {
      terminal.write(terminal.outputIsTerminal ? `${token}\n` : token)
      return 0
    }
    const file = tokenFile(terminal)
    if (input.bool('no-store') !== true) {
      writeTokenFile(file, token)
      warnAboutVariable(session)
    }
    if (input.bool('no-print')) return 0
    if (input.text('field') === undefined) {
      const kept = input.bool('no-store') ? 'is kept nowhere' : `is kept in ${file}`
      say(session, `Success! You are logged in; the token ${kept}.\n`)
    }
    printReply(session, { ...reply, text: JSON.stringify(asLogin(token, data)) })
    return 0
  },
}

async function askToken({ input, terminal }: Session): Promise<string> {
  const [word] = input.args
  const text =
    word !== undefined && word !== '-'
      ? word
      : terminal.isInteractive && word === undefined
        ? await terminal.readHidden('Token (will be hidden): ')
        : await terminal.readInput()
  const token = text.trim()
  if (token === '' || /[^\x21-\x7e]/.test(token)) throw usageFailure('that is no token')
  return token
}

function warnAboutVariable({ terminal }: Session): void {
  const variable = lookUpVariable(terminal.environment, 'TOKEN')
  if (variable === undefined) return
  terminal.writeError(
    `warning: ${variable.name} is set and wins over the token of this login; unset it to use the new one\n`,
  )
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
