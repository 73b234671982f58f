/** One program in one session channel (RFC 4254 section 6): the constant command `sh -s`, all else on its input. */
import type { Channel, Client } from 'ssh2'
import type { ProgramResult } from './target.ts'

/** Constant, so that nothing of a request is in what the host's login shell parses (protocols 4.2). */
const COMMAND = 'sh -s'

/** Rejects with ssh2's error: `reason` is a number when the host opens no session. */
export function openSession(client: Client, signal: AbortSignal): Promise<Channel> {
  return new Promise((resolve, reject) => {
    client.exec(COMMAND, (error, channel) => {
      if (error) {
        reject(error)
        return
      }
      // Its caller has gone away meanwhile.
      if (signal.aborted) channel.close()
      resolve(channel)
    })
  })
}

/** Undefined when the channel ends without saying how the program did. */
export function runProgram(
  channel: Channel,
  program: string,
  outputBytes: number,
): Promise<Omit<ProgramResult, 'serverVersion'> | undefined> {
  return new Promise((resolve) => {
    const stdout = new Beginning(outputBytes)
    const stderr = new Beginning(outputBytes)
    let exit: { status: number | null; signal?: string } | undefined
    channel.on('data', (bytes: Buffer) => stdout.add(bytes))
    channel.stderr.on('data', (bytes: Buffer) => stderr.add(bytes))
    channel.on('exit', (status: number | null, signal?: string) => {
      exit = { status, ...(signal === undefined ? {} : { signal }) }
    })
    channel.on('close', () => {
      resolve(exit && { ...exit, stdout: stdout.text(), stderr: stderr.text() })
    })
    // A program may end before it has read all; then the channel closes, which is told above.
    channel.on('error', () => channel.close())
    channel.end(program)
  })
}

/** Keeps the first bytes and drops the others. */
class Beginning {
  readonly #parts: Buffer[] = []
  #room: number

  constructor(bytes: number) {
    this.#room = bytes
  }

  add(bytes: Buffer): void {
    if (this.#room === 0) return
    const part = bytes.subarray(0, this.#room)
    this.#room -= part.length
    this.#parts.push(part)
  }

  text(): string {
    return Buffer.concat(this.#parts).toString('utf8')
  }
}
