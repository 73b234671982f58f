/**
 * Runs the sessions in `*.txt` beside this file against a made-up server, which checks the requests that a
 * command makes. ADDRESS stands for the server's address, FOLDER for a folder of the session.
 */
import assert from 'node:assert/strict'
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { runCli } from '../../src/cli/run.ts'
import { startFakeServer } from '../client/fake-server.ts'
import { parseSession, type Step, splitCommand } from './session-text.ts'

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
  const { words, environment } = splitCommand(step.command)
  const [output, errors]: [string[], string[]] = [[], []]
  const status = await runCli(
    words.slice(1).map((word) => word.replaceAll('FOLDER', folder)),
    {
      environment: { VAULT_ADDR: server.address, ...environment },
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
