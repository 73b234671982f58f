/** Runs a command at a pseudo-terminal of its own (script(1)), and types when it has shown what is waited for. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'

const TIMEOUT_MS = 30_000

export interface TerminalRun {
  readonly status: number | null
  /** All that was to be seen, with the line ends of a terminal made plain. */
  readonly output: string
}

type Typed = string | ((output: string) => string)

/** `talk`: what to wait for, and what to type then, perhaps by what was seen; each pair once, in order. */
export async function onTerminal(
  words: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  talk: readonly (readonly [seen: RegExp, typed: Typed])[] = [],
): Promise<TerminalRun> {
  const command = words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ')
  // A session of its own: what is typed as Ctrl-C is for the command, not for the tests.
  const child = spawn('/usr/bin/script', ['-qefc', `exec ${command}`, '/dev/null'], {
    env: { PATH: process.env['PATH'], TERM: 'dumb', SHELL: '/bin/sh', ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS)
  let output = ''
  let read = 0
  const waiting = [...talk]
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    output += piece.replaceAll('\r\n', '\n')
    const next = waiting[0]
    const match = next?.[0].exec(output.slice(read))
    if (!next || !match) return
    read += match.index + match[0].length
    waiting.shift()
    child.stdin.write(typeof next[1] === 'string' ? next[1] : next[1](output))
  })
  const [status] = await once(child, 'close')
  clearTimeout(timer)
  if (waiting.length > 0) throw new Error(`never seen: ${waiting[0]?.[0]} in:\n${output}`)
  return { status, output }
}
