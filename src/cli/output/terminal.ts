/** Where a command runs: environment, input and output; tests give their own. */
import { writeSync } from 'node:fs'
import { homedir } from 'node:os'
import { isatty } from 'node:tty'
import { printable } from './printable.ts'

export interface Terminal {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly home: string
  /** Somebody can be asked. */
  readonly isInteractive: boolean
  readonly outputIsTerminal: boolean
  /** Standard error may be coloured. */
  readonly hasColor?: boolean
  write(text: string): void
  writeError(text: string): void
  /** Standard input to its end. */
  readInput(): Promise<string>
  /** One line that is not shown while it is typed. */
  readHidden(prompt: string): Promise<string>
}

const writeOutput = writer(1, () => process.stdout)

export const processTerminal: Terminal = {
  environment: process.env,
  home: homedir(),
  // Asked for when they matter: opening the streams takes time.
  get isInteractive() {
    return process.stdin.isTTY === true
  },
  get outputIsTerminal() {
    return process.stdout.isTTY === true
  },
  get hasColor() {
    const { NO_COLOR, TERM } = process.env
    return !NO_COLOR && TERM !== 'dumb' && process.stderr.isTTY === true
  },
  // What programs read is passed on as it is.
  write: (text) => writeOutput(isatty(1) ? printable(text) : text),
  writeError: writer(2, () => process.stderr),
  async readInput() {
    let text = ''
    for await (const piece of process.stdin.setEncoding('utf8')) text += piece
    return text
  },
  readHidden: (prompt) => readHiddenLine(prompt, process.stdin, process.stderr),
}

/** Writes straight to a descriptor: opening the stream in front of it takes 5 ms. */
function writer(descriptor: number, open: () => NodeJS.WriteStream): (text: string) => void {
  let stream: NodeJS.WriteStream | undefined
  return (text) => {
    let bytes = Buffer.from(text)
    while (stream === undefined && bytes.length > 0) {
      try {
        bytes = bytes.subarray(writeSync(descriptor, bytes))
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        // The reader of a pipe may go away early, as `head` does.
        if (code === 'EPIPE') return
        if (code !== 'EAGAIN') throw error
        // A pipe that does not block, and is full.
        stream = open().on('error', () => {})
      }
    }
    if (stream !== undefined && bytes.length > 0) {
      const open = stream
      waiting.push(new Promise((resolve) => void open.write(bytes, () => resolve())))
    }
  }
}

const waiting: Promise<void>[] = []

/** Resolves when all that was written has left this process. */
export async function allWritten(): Promise<void> {
  await Promise.all(waiting)
}

/** One line, not shown where it is typed at a terminal. Throws an Error when it is broken off. */
export async function readHiddenLine(
  prompt: string,
  stdin: NodeJS.ReadStream,
  stderr: { write(text: string): void },
): Promise<string> {
  // Before the question: who types as soon as it stands there is not shown either.
  if (stdin.isTTY) stdin.setRawMode(true)
  try {
    stderr.write(prompt)
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
    if (stdin.isTTY) stdin.setRawMode(false)
    stdin.pause()
    stderr.write('\n')
  }
}
