/** The servers that groups of records are replayed on. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type RunningServer, startDevServer, startServer } from '../support/server.ts'
import type { ReplayServer } from './replay.ts'

/** In memory, unsealed, root token `root`; audit files of the records go below a folder of its own. */
export async function startUnsealed(): Promise<ReplayServer & RunningServer> {
  return await inOwnFolder(async (folder) => ({
    ...(await startDevServer()),
    vars: { '@AUDIT_DIR@': folder },
  }))
}

/** With a store on disk, and not initialized. */
export async function startUninitialized(): Promise<ReplayServer & RunningServer> {
  return await inOwnFolder(async (folder) => {
    const config = path.join(folder, 'postern.hcl')
    writeFileSync(
      config,
      `storage "sqlite" {
  path = ${JSON.stringify(path.join(folder, 'postern.db'))}
}
listener "tcp" {
  address = "127.0.0.1:0"
  tls_disable = true
}
`,
    )
    return await startServer([`-config=${config}`])
  })
}

async function inOwnFolder<Server extends RunningServer>(
  start: (folder: string) => Promise<Server>,
): Promise<Server> {
  const folder = mkdtempSync(path.join(tmpdir(), 'postern-compat-'))
  const remove = (): void => rmSync(folder, { recursive: true, force: true })
  let server: Server
  try {
    server = await start(folder)
  } catch (error) {
    remove()
    throw error
  }
  const stop = async (): Promise<number | null> => {
    const code = await server.stop()
    remove()
    return code
  }
  return { ...server, stop }
}
