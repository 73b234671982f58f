/** Starts `postern server` as its own process for tests, and stops it by its process id. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'

const BIN = path.resolve(import.meta.dirname, '../../bin/postern.js')
const START_TIMEOUT_MS = 20_000
const STOP_TIMEOUT_MS = 15_000

export interface RunningServer {
  /** `http://127.0.0.1:PORT` or `unix:///PATH`, as the server printed it first. */
  readonly address: string
  readonly pid: number
  /** What the server has written to stdout and stderr so far. */
  output(): string
  /** Ends the server as a supervisor does, and waits for its end; its exit code. */
  stop(): Promise<number | null>
  /** Ends the server at once, in the middle of whatever it does. */
  kill(): Promise<void>
}

/** A fresh dev server on a free port of loopback, with the root token `root`. */
export function startDevServer(args: readonly string[] = []): Promise<RunningServer> {
  const address = '-dev-listen-address=127.0.0.1:0'
  return startServer(['-dev', '-dev-root-token-id=root', address, ...args])
}

interface StartOptions {
  readonly env?: Readonly<Record<string, string>>
  /** The launcher to run; this checkout's own by default. */
  readonly bin?: string
  /** Flags of node itself. */
  readonly nodeArgs?: readonly string[]
  /** A command line that needs no Node, in the launcher's place: it gets `env` and nothing else. */
  readonly command?: readonly string[]
  readonly cwd?: string
  /** Runs the launcher as a program, as an installed one is run: it finds its Node by itself. */
  readonly asProgram?: boolean
}

/** Rejects, with everything that was printed, when no address is announced in time. */
export async function startServer(
  args: readonly string[],
  options: StartOptions = {},
): Promise<RunningServer> {
  const child = spawnServer(args, options)
  let output = ''
  const address = await new Promise<string>((resolve, reject) => {
    const fail = (reason: string): void => reject(new Error(`the server ${reason}:\n${output}`))
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      fail('printed no address in time')
    }, START_TIMEOUT_MS)
    const read = (chunk: Buffer): void => {
      output += chunk.toString('utf8')
      const match = /API address: ((?:https?|unix):\/\/\S+)/.exec(output)
      if (!match?.[1]) return
      clearTimeout(timer)
      resolve(match[1])
    }
    child.stdout?.on('data', read)
    child.stderr?.on('data', read)
    child.on('exit', (code, signal) => {
      clearTimeout(timer)
      fail(`ended with ${signal ?? code}`)
    })
  })
  return {
    address,
    pid: child.pid!,
    output: () => output,
    stop: () => end(child, 'SIGTERM'),
    kill: async () => {
      await end(child, 'SIGKILL')
    },
  }
}

/** A server that is not to start: its exit code, and all that it wrote. */
export async function failToStart(
  args: readonly string[],
  options: StartOptions = {},
): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = spawnServer(args, options)
  let output = ''
  const read = (chunk: Buffer): void => {
    output += chunk.toString('utf8')
    if (output.includes('API address')) child.kill('SIGKILL')
  }
  child.stdout?.on('data', read)
  child.stderr?.on('data', read)
  const timer = setTimeout(() => child.kill('SIGKILL'), START_TIMEOUT_MS)
  await once(child, 'close')
  clearTimeout(timer)
  return { code: child.exitCode, output }
}

function spawnServer(
  args: readonly string[],
  { env = {}, bin = BIN, nodeArgs = [], asProgram = false, command, cwd }: StartOptions,
): ChildProcess {
  const launcher = asProgram ? [bin] : [process.execPath, ...nodeArgs, bin]
  const [program = bin, ...before] = command ?? launcher
  return spawn(program, [...before, 'server', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: command ? env : { ...process.env, ...env },
    cwd,
  })
}

async function end(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
  const ended = once(child, 'exit')
  child.kill(signal)
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
  await ended
  clearTimeout(timer)
  return child.exitCode
}
