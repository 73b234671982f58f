/** Where a command runs: environment, input and output; tests give their own. */
import { homedir } from 'node:os'
import { ReadStream } from 'node:tty'

export interface Terminal {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly home: string
  /** Somebody can be asked. */
  readonly isInteractive: boolean
  readonly outputIsTerminal: boolean
  write(text: string): void
  writeError(text: string): void
  /** Standard input to its end. */
  readInput(): Promise<string>
  /** One line that is not shown while it is typed. */
  readHidden(prompt: string): Promise<string>
}

export const processTerminal: Terminal = {
  environment: process.env,
  home: homedir(),
  isInteractive: process.stdin.isTTY === true,
  outputIsTerminal: process.stdout.isTTY === true,
  write: (text) => void process.stdout.write(text),
  writeError: (text) => void process.stderr.write(text),
  async readInput() {
    let text = ''
    for await (const piece of process.stdin.setEncoding('utf8')) text += piece
    return text
  },
  readHidden: (prompt) => readHiddenLine(prompt, process.stdin, process.stderr),
}

/** One line, not shown where it is typed at a terminal. Throws an Error when it is broken off. */
export async function readHiddenLine(
  prompt: string,
  stdin: NodeJS.ReadStream | ReadStream,
  stderr: { write(text: string): void },
): Promise<string> {
  stderr.write(prompt)
  if (stdin instanceof ReadStream) stdin.setRawMode(true)
  try {
    let line = ''
    for await (const piece of stdin.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
      for (const character of piece as string) {
        if (character === '\r' || character === '\n') return line
        // Ctrl-C and Ctrl-D arrive as characters in raw mode.
        if (character === '\x03' || character === '\x04') throw new Error('interrupted')
        line = character === '\x7f' || character === '\b' ? line.slice(0, -1) : line + character
      }
    }
    return line
  } finally {
    if (stdin instanceof ReadStream) stdin.setRawMode(false)
    stdin.pause()
    stderr.write('\n')
  }
}
