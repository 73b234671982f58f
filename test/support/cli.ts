/** Runs `postern` as its own process, as people do. */
import { execFile } from 'node:child_process'
import path from 'node:path'

const BIN = path.resolve(import.meta.dirname, '../../bin/postern.js')
const TIMEOUT_MS = 30_000

export interface CliRun {
  readonly status: number
  readonly output: string
  readonly errors: string
}

/** With no environment but PATH, no home, and what is given; `input` comes on stdin. */
export function runPostern(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  input = '',
): Promise<CliRun> {
  const whole = { PATH: process.env['PATH'], HOME: '/nonexistent', ...env }
  return new Promise((resolve, reject) => {
    const options = { env: whole, timeout: TIMEOUT_MS }
    const child = execFile(process.execPath, [BIN, ...args], options, (error, output, errors) => {
      if (error && typeof error.code !== 'number') reject(error)
      else resolve({ status: Number(error?.code ?? 0), output, errors })
    })
    // It may end without reading.
    child.stdin?.on('error', () => {})
    child.stdin?.end(input)
  })
}
