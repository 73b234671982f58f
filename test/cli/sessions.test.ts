/**
 * Runs the sessions in `sessions/`, one for each verb, against a dev server of their own in this process; one that
 * begins with `# new` gets a server that nobody has initialised. `…` stands for any text within a line, ADDRESS for
 * the server's address, FOLDER for a folder of the session, which is the person's home too. `$ NAME=$(postern …)`
 * keeps what a command prints, for `$NAME` later; UNSEAL_KEY is known from the start.
 */
import assert from 'node:assert/strict'
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { runCli } from '../../src/cli/run.ts'
import { parseServerConfig } from '../../src/config/parse.ts'
import { createServer, type PosternServer } from '../../src/index.ts'
import { parseSession, type Step, splitCommand } from './session-text.ts'

// Node's test runner starts its children with every option; a server in this process would refuse them.
process.execArgv.length = 0

const CONFIG = `storage "inmem" {}
listener "tcp" {
  address = "127.0.0.1:0"
  tls_disable = true
}
log_level = "error"
`

for (const file of globSync(path.join(import.meta.dirname, 'sessions/*.txt')).sort()) {
  const name = path.basename(file, '.txt')
  test(`postern ${name.replace('-', ' ')}: its session goes as written`, async () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'postern-session-'))
    const text = readFileSync(file, 'utf8')
    const server = await createServer({
      config: parseServerConfig(CONFIG, 'test').config,
      ...(text.startsWith('# new') ? {} : { dev: { rootTokenId: 'root' } }),
    })
    try {
      const session = new RealSession(server, folder)
      for (const step of parseSession(text, folder)) {
        const place = `${path.basename(file)}:${step.line}: ${step.command}`
        const ran = await session.run(step)
        assertLines(ran.errors, step.errors, `${place} (stderr)`)
        assertLines(ran.output, step.output, `${place} (stdout)`)
        assert.equal(ran.status, step.status, `${place} (exit status)`)
      }
    } finally {
      await server.close()
      rmSync(folder, { recursive: true })
    }
  })
}

class RealSession {
  readonly #folder: string
  readonly #address: string
  readonly #variables: Map<string, string>

  constructor({ addresses: [address], dev }: PosternServer, folder: string) {
    assert.equal(address?.kind, 'tcp')
    this.#address = `http://${address.host}:${address.port}`
    this.#folder = folder
    this.#variables = new Map([
      ['UNSEAL_KEY', dev?.unsealKey ?? ''],
      ['FOLDER', folder],
    ])
  }

  async run(step: Step): Promise<{ status: number; output: string; errors: string }> {
    const [, variable, inner] = /^([A-Z]+)=\$\((.*)\)$/.exec(step.command) ?? []
    const { words, environment } = splitCommand(inner ?? step.command)
    const [output, errors]: [string[], string[]] = [[], []]
    const input = step.input.map((line) => `${this.#filled(line)}\n`).join('')
    const status = await runCli(
      words.slice(1).map((word) => this.#filled(word)),
      {
        environment: {
          POSTERN_ADDR: this.#address,
          POSTERN_TOKEN: 'root',
          ...Object.fromEntries(
            Object.entries(environment).map(([name, value]) => [name, this.#filled(value)]),
          ),
        },
        home: this.#folder,
        isInteractive: false,
        outputIsTerminal: variable === undefined,
        write: (text) => output.push(text),
        writeError: (text) => errors.push(text),
        readInput: async () => input,
        readHidden: async () => assert.fail('nobody can be asked'),
      },
    )
    const readable = (pieces: string[]) =>
      pieces
        .join('')
        .replaceAll(this.#address, 'ADDRESS')
        .replaceAll(this.#folder, 'FOLDER')
        .replace(/ +$/gm, '')
        .trimEnd()
    if (variable === undefined) {
      return { status, output: readable(output), errors: readable(errors) }
    }
    this.#variables.set(variable, output.join('').trim())
    return { status, output: '', errors: readable(errors) }
  }

  #filled(word: string): string {
    return word
      .replace(/\$([A-Z_]+)/g, (text, name: string) => this.#variables.get(name) ?? text)
      .replaceAll('FOLDER', this.#folder)
  }
}

function assertLines(actual: string, expected: readonly string[], place: string): void {
  const wanted = expected.join('\n').trimEnd()
  const pattern = wanted
    .split('…')
    .map((piece) => piece.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('.*')
  // The texts are compared where the pattern fails, so that the difference is shown.
  if (!new RegExp(`^${pattern}$`).test(actual)) assert.equal(actual, wanted, place)
}
