/** A server of its own with config, store and audit log in a folder of its own, for tests of the whole program. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type Api, apiOf } from './api.ts'
import { type RunningServer, startServer } from './server.ts'

export interface Site extends AsyncDisposable {
  readonly folder: string
  readonly config: string
  /** `audit.log` of the folder. */
  readonly auditFile: string
  /** Starts the server, or starts it again once it was stopped; with this launcher, or the checkout's own. */
  start(bin?: string): Promise<RunningServer>
}

interface SiteOptions {
  /** Lines inside the `listener "tcp"` block, besides its address; FOLDER stands for the folder. */
  readonly listener?: readonly string[]
  /** Lines of the config besides store, listener and audit file; FOLDER as above. */
  readonly lines?: readonly string[]
  /** Put into the folder before the start, by name. */
  readonly files?: Readonly<Record<string, string>>
}

/** Writes config and files; what runs is stopped, and the folder removed, at the end. */
export function makeSite(options: SiteOptions = {}): Site {
  const folder = mkdtempSync(path.join(tmpdir(), 'postern-site-'))
  const config = path.join(folder, 'server.hcl')
  const { listener = ['tls_disable = true'], lines = [], files = {} } = options
  const text = [
    'storage "sqlite" { path = "FOLDER/store.db" }',
    'listener "tcp" {',
    '  address = "127.0.0.1:0"',
    ...listener.map((line) => `  ${line}`),
    '}',
    'audit "file" "log" { options { file_path = "FOLDER/audit.log" } }',
    ...lines,
  ]
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(path.join(folder, name), content, { mode: 0o600 })
  }
  writeFileSync(config, `${text.join('\n').replaceAll('FOLDER', folder)}\n`)
  let running: RunningServer | undefined
  return {
    folder,
    config,
    auditFile: path.join(folder, 'audit.log'),
    start: async (bin) => {
      running = await startServer([`-config=${config}`], bin === undefined ? {} : { bin })
      return running
    },
    [Symbol.asyncDispose]: async () => {
      await running?.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Initializes a fresh server with one share, and unseals it; one with a seal by a static key has no shares. */
export async function initialize(
  address: string,
): Promise<{ readonly root: string; readonly key: string; readonly api: Api }> {
  const open = apiOf(address, '')
  const { type } = (await open('GET', 'sys/seal-status')).body
  const shares = type === 'static' ? {} : { secret_shares: 1, secret_threshold: 1 }
  const { body } = await open('PUT', 'sys/init', shares)
  const key: string = body.keys_base64[0] ?? ''
  if (key !== '') await open('PUT', 'sys/unseal', { key })
  return { root: body.root_token, key, api: apiOf(address, body.root_token) }
}

/** Asks again and again, for at most some seconds. Fails with `what`. */
export async function eventually(
  check: () => boolean | Promise<boolean>,
  what: string | (() => string),
  timeoutMs = 15_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs
  while (!(await check())) {
    if (Date.now() > deadline) throw new Error(typeof what === 'string' ? what : what())
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
