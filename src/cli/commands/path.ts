/** The commands that name an API path and send no data: read, list, delete, path-help, unwrap (contract 8.2). */
import { envelopeOf, jsonOf, type Reply, texts } from '../../client/reply.ts'
import { Secret } from '../../redact.ts'
import type { Command } from '../declaration/command.ts'
import { fieldFlag, wrapFlag } from '../declaration/common-flags.ts'
import { splitPair } from '../declaration/pairs.ts'
import { Failure } from '../failure.ts'
import { printReply, printStructured, say, warn } from '../output/output.ts'
import { encodeTable } from '../output/table.ts'
import type { Session } from '../session.ts'

const NOTHING = 2

export const read: Command = {
  args: [
    { name: 'path', completes: 'path' },
    { name: 'key=value', isOptional: true, isRest: true },
  ],
  flags: [fieldFlag, wrapFlag],
  description: 'Pairs become query parameters.',
  examples: ['postern read ssh/roles/web', 'postern read -field=public_key ssh/config/ca'],
  async run(session) {
    const { path, query } = pathAndQuery(session)
    const reply = await session.askMaybe(`reading ${path}`, 'GET', path, { query })
    if (reply === undefined) throw nothingAt(path)
    printReply(session, reply)
    return 0
  },
}

export const list: Command = {
  args: [{ name: 'path', completes: 'path' }],
  flags: [wrapFlag],
  description: 'In JSON and YAML the output is the bare list.',
  examples: ['postern list ssh/roles'],
  async run(session) {
    const { path } = pathAndQuery(session)
    const query = new Map([['list', ['true']]])
    const reply = await session.askMaybe(`listing ${path}`, 'GET', path, { query })
    const keys = reply && keysOf(reply)
    if (reply !== undefined && (keys === undefined || session.format === 'raw')) {
      printReply(session, reply)
      return 0
    }
    if (reply === undefined || keys === undefined || keys.length === 0) {
      if (session.format === 'json') printStructured(session, {})
      throw nothingAt(path)
    }
    for (const text of envelopeOf(reply)?.warnings ?? []) {
      if (session.format === 'table') warn(session, text)
    }
    if (session.format === 'table') {
      const rows = keys.map((key) => [key])
      session.terminal.write(encodeTable(['Keys'], rows))
    } else {
      printStructured(session, keys)
    }
    return 0
  },
}

export const remove: Command = {
  args: [
    { name: 'path', completes: 'path' },
    { name: 'key=value', isOptional: true, isRest: true },
  ],
  flags: [],
  description: 'Succeeds as well where nothing is stored. Pairs become query parameters.',
  examples: ['postern delete ssh/roles/web'],
  async run(session) {
    const { path, query } = pathAndQuery(session)
    const reply = await session.ask(`deleting ${path}`, 'DELETE', path, { query })
    if (reply.text !== '') printReply(session, reply)
    say(session, `Success! Data deleted (if it existed) at: ${path}`)
    return 0
  },
}

export const pathHelp: Command = {
  args: [{ name: 'path', completes: 'path' }],
  flags: [],
  description:
    'The text comes from the server: mount a secrets engine first, then ask about its paths.',
  examples: ['postern path-help ssh', 'postern path-help ssh/roles/web'],
  async run(session) {
    const { path } = pathAndQuery(session)
    const query = new Map([['help', ['1']]])
    const reply = await session.askMaybe(`retrieving help for ${path}`, 'GET', path, { query })
    if (reply === undefined) throw new Failure(`No help found for ${path}`, { status: NOTHING })
    const body = jsonOf(reply)
    if (session.format === 'table' && typeof body?.['help'] === 'string') {
      session.terminal.write(`${body['help'].trimEnd()}\n`)
    } else {
      printReply(session, reply)
    }
    return 0
  },
}

export const unwrap: Command = {
  args: [{ name: 'token', isOptional: true }],
  flags: [fieldFlag],
  description:
    'TOKEN is a wrapping token; - reads it from standard input. Without it the own token is unwrapped.',
  examples: ['postern unwrap s.wrapping-token', 'postern unwrap -field=key -'],
  async run(session) {
    const [word] = session.input.args
    const text = word === '-' ? (await session.terminal.readInput()).trim() : word
    // A caller without a token of its own proves itself with the wrapping token.
    const options =
      text === undefined
        ? {}
        : session.token
          ? { body: { token: text } }
          : { token: new Secret(text) }
    const reply = await session.ask('unwrapping', 'PUT', 'sys/wrapping/unwrap', options)
    printReply(session, reply)
    return 0
  },
}

function pathAndQuery(session: Session): { path: string; query: Map<string, string[]> } {
  const [path = '', ...words] = session.input.args
  const query = new Map<string, string[]>()
  for (const word of words) {
    const [key, value] = splitPair(word)
    query.set(key, [...(query.get(key) ?? []), value])
  }
  return { path: path.replace(/^\/+/, ''), query }
}

/** The keys of a list's answer; undefined where the answer has another form. */
function keysOf(reply: Reply): string[] | undefined {
  const keys = envelopeOf(reply)?.data?.['keys']
  return Array.isArray(keys) ? texts(keys) : undefined
}

function nothingAt(path: string): Failure {
  return new Failure(`No value found at ${path}`, { status: NOTHING })
}
