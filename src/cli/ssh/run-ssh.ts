/** Runs ssh in this terminal, and sees to it that what was made for it is removed however it ends. */
import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import type { Readable, Writable } from 'node:stream'
import { Failure } from '../failure.ts'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const

export interface SshRun {
  readonly program: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  /** What the program reads from its descriptor 3. */
  readonly thirdInput?: string | undefined
}

/**
 * Does `work`, which starts programs by the function that it gets. A signal goes to the program that runs, whose
 * end is waited for; where none runs, work is given up. Whatever is in `resources` is disposed before this settles:
 * with the work's result, or by a Failure with the status that a shell expects of a signal. A second signal
 * does not wait for that.
 */
export async function withSignals(
  work: (resources: AsyncDisposableStack, run: (ssh: SshRun) => Promise<number>) => Promise<number>,
): Promise<number> {
  // Not by `await using`, which the check of the import rules can't read.
  const resources = new AsyncDisposableStack()
  let child: ChildProcess | undefined
  let isInterrupted = false
  const { promise: interrupted, reject } = Promise.withResolvers<never>()
  const onSignal = (signal: NodeJS.Signals): void => {
    const status = 128 + constants.signals[signal]
    if (child) {
      child.kill(signal)
      return
    }
    if (isInterrupted) process.exit(status)
    isInterrupted = true
    reject(new Failure('postern: interrupted', { status }))
  }
  for (const signal of SIGNALS) process.on(signal, onSignal)
  resources.defer(() => {
    for (const signal of SIGNALS) process.off(signal, onSignal)
  })
  const run = async (ssh: SshRun): Promise<number> => {
    if (isInterrupted) return await interrupted
    child = start(ssh)
    try {
      return await endOf(child, ssh.program)
    } finally {
      child = undefined
    }
  }
  try {
    return await Promise.race([work(resources, run), interrupted])
  } finally {
    await resources.disposeAsync()
  }
}

function start({ program, args, env, thirdInput }: SshRun): ChildProcess {
  const third = thirdInput === undefined ? [] : ['pipe' as const]
  const child = spawn(program, args, { env, stdio: ['inherit', 'inherit', 'inherit', ...third] })
  const pipe: Readable | Writable | null | undefined = child.stdio[3]
  if (pipe && 'end' in pipe) {
    // It may end without reading.
    pipe.on('error', () => {})
    pipe.end(thirdInput)
  }
  return child
}

function endOf(child: ChildProcess, program: string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.on('error', ({ message }) => {
      const hint = 'ssh has to be installed; -ssh-executable names another one'
      reject(new Failure(`postern: ${program}: ${message}`, { hint }))
    })
    child.on('exit', (code, signal) =>
      resolve(signal ? 128 + constants.signals[signal] : (code ?? 1)),
    )
  })
}
