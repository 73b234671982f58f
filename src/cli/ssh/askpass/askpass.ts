/**
 * `postern ssh-askpass SOCKET QUESTION`, which ssh runs for `postern ssh` (SSH_ASKPASS, ssh(1)): prints the answer that
 * the socket gives; other questions go to the person at the terminal, and fail where there is none.
 */
import { once } from 'node:events'
import { openSync, readSync, writeSync } from 'node:fs'
import { createConnection } from 'node:net'
import { text } from 'node:stream/consumers'
import { ReadStream } from 'node:tty'
import { isObject, parseJson, textAt } from '../../../client/json.ts'
import { readHiddenLine, type Terminal } from '../../output/terminal.ts'

/** Returns the exit status. */
export async function runAskpass(words: readonly string[], terminal: Terminal): Promise<number> {
  const [socket = '', question = ''] = words
  const told = parseJson(await ask(socket, question))
  if (!isObject(told) || told['isRefused'] === true) return 1
  const answer = textAt(told, 'answer') ?? (await askPerson(terminal, question))
  if (answer === undefined) return 1
  terminal.write(`${answer}\n`)
  return 0
}

async function ask(path: string, question: string): Promise<string> {
  const connection = createConnection({ path, allowHalfOpen: true })
  connection.end(question)
  return await text(connection)
}

/** Undefined where there is no terminal; for a permission that was refused as well. */
async function askPerson(terminal: Terminal, question: string): Promise<string | undefined> {
  let tty: number
  try {
    tty = openSync('/dev/tty', 'r+')
  } catch {
    return undefined
  }
  const kind = terminal.environment['SSH_ASKPASS_PROMPT']
  if (kind === 'none') {
    // A notice, which ssh takes back by ending this process.
    writeSync(tty, `${question}\n`)
    await once(process, 'SIGTERM')
    return undefined
  }
  if (kind === 'confirm') {
    const answer = readShown(tty, `${question} (yes/no): `)
    return answer === 'yes' ? answer : undefined
  }
  // Answers about host keys are no secrets, and are checked while they are typed.
  if (/\(yes\/no|'yes'/.test(question)) return readShown(tty, question)
  const input = new ReadStream(tty)
  try {
    return await readHiddenLine(question, input, { write: (piece) => writeSync(tty, piece) })
  } catch {
    // Ctrl-C is meant for all that runs here, as it is for a question of ssh itself.
    process.kill(0, 'SIGINT')
    return undefined
  } finally {
    input.destroy()
  }
}

function readShown(tty: number, question: string): string {
  writeSync(tty, question)
  const line = Buffer.alloc(4096)
  return line.toString('utf8', 0, readSync(tty, line)).trim()
}
