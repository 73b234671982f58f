/**
 * Runs the sessions in `*.txt` beside this file. In a session, `> METHOD URL BODY` and `< STATUS BODY` give the
 * next request that the server expects and its answer, `$` is a command line, the lines after it are its
 * standard output, `! ` marks standard error, `? N` the exit status (0 when absent), `$ cat > FILE` with lines
 * up to `EOF` makes a file, `| ` gives standard input. ADDRESS stands for the server's address.
 */
import assert from 'node:assert/strict'
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { runCli } from '../../src/cli/run.ts'
import { startFakeServer } from '../client/fake-server.ts'

interface Exchange {
  readonly request: string
  readonly status: number
  readonly body: string
}

interface Step {
  readonly line: number
  readonly command: string
  readonly exchanges: Exchange[]
  readonly input: string[]
  readonly output: string[]
  readonly errors: string[]
  status: number
}

for (const file of globSync(path.join(import.meta.dirname, '*.txt')).sort()) {
  test(`the session ${path.basename(file)} goes as written`, async () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'postern-cli-'))
    try {
      for (const step of parseSession(readFileSync(file, 'utf8'), folder)) {
        await runStep(step, folder, file)
      }
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
}

function parseSession(text: string, folder: string): Step[] {
  const steps: Step[] = []
  let exchanges: Exchange[] = []
  let input: string[] = []
  const lines = text.trimEnd().split('\n')
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index] as string
    const step = steps.at(-1)
    const hasCommand = step !== undefined && exchanges.length === 0 && input.length === 0
    if (line.startsWith('# ')) continue
    if (line.startsWith('$ cat > ')) {
      const end = lines.indexOf('EOF', index)
      const content = lines.slice(index + 1, end).map((row) => `${row}\n`)
      writeFileSync(path.join(folder, line.slice('$ cat > '.length)), content.join(''))
      index = end
    } else if (line.startsWith('> ')) {
      exchanges.push({ request: line.slice(2), status: 404, body: '{"errors":[]}' })
    } else if (line.startsWith('< ')) {
      const [, status, body = ''] = /^< ([0-9]+) ?(.*)$/.exec(line) ?? []
      const last = exchanges.pop()
      assert.ok(last, `line ${index + 1}: an answer without a request`)
      exchanges.push({ request: last.request, status: Number(status), body })
    } else if (line.startsWith('| ')) {
      input.push(line.slice(2))
    } else if (line.startsWith('$ ')) {
      const command = line.slice(2)
      steps.push({ line: index + 1, command, exchanges, input, output: [], errors: [], status: 0 })
      exchanges = []
      input = []
    } else if (hasCommand && line.startsWith('? ')) {
      step.status = Number(line.slice(2))
    } else if (hasCommand && (line === '!' || line.startsWith('! '))) {
      step.errors.push(line.slice(2))
    } else if (hasCommand) {
      step.output.push(line)
    }
  }
  return steps
}

/** Single and double quotes group; nothing else is special. */
function splitWords(command: string): string[] {
  const words = command.match(/(?:[^\s'"]|'[^']*'|"[^"]*")+/g) ?? []
  return words.map((word) => word.replace(/'([^']*)'|"([^"]*)"/g, '$1$2'))
}

async function runStep(step: Step, folder: string, file: string): Promise<void> {
  const expected = [...step.exchanges]
  await using server = await startFakeServer(({ method, url, body }) => {
    const next = expected.shift()
    const seen = `${method} ${url}${body === '' ? '' : ` ${body}`}`
    if (next?.request !== seen) {
      const wanted = next?.request ?? 'no request'
      return { status: 599, body: { errors: [`expected ${wanted}, got ${seen}`] } }
    }
    return { status: next.status, ...(next.body === '' ? {} : { body: next.body }) }
  })
  const words = splitWords(step.command)
  const environment: Record<string, string> = { VAULT_ADDR: server.address }
  while (/^[A-Z_]+=/.test(words[0] ?? '')) {
    const [name = '', value = ''] = (words.shift() as string).split('=')
    environment[name] = value
  }
  const [output, errors]: [string[], string[]] = [[], []]
  const status = await runCli(
    words.slice(1).map((word) => word.replaceAll('FOLDER', folder)),
    {
      environment,
      home: folder,
      isInteractive: false,
      outputIsTerminal: true,
      write: (text) => output.push(text),
      writeError: (text) => errors.push(text),
      readInput: async () => step.input.map((line) => `${line}\n`).join(''),
      readHidden: async () => assert.fail('nobody can be asked'),
    },
  )
  const readable = (pieces: string[]) =>
    pieces.join('').replaceAll(server.address, 'ADDRESS').replaceAll(folder, 'FOLDER').trimEnd()
  const place = `${path.basename(file)}:${step.line}: ${step.command}`
  assert.equal(readable(errors), step.errors.join('\n').trimEnd(), `${place} (stderr)`)
  assert.equal(readable(output), step.output.join('\n').trimEnd(), `${place} (stdout)`)
  assert.equal(status, step.status, `${place} (exit status)`)
  assert.deepEqual(expected, [], `${place}: requests that were not made`)
}
