/**
 * The host's copy of the KRL (protocols 5.6): only one that the server has signed for now, that is whole, and that is not
 * older takes the place of the one that sshd reads. Nothing here ever removes it: without it sshd refuses every key.
 */
import { hash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import type { JsonObject } from '../../client/json.ts'
import { textAt } from '../../client/json.ts'
import { jsonOf } from '../../client/reply.ts'
import { openStatement } from '../../ssh/host/statement.ts'
import { parseKrl } from '../../ssh/krl/parse-krl.ts'
import { writeFileAtomically } from '../atomic-file.ts'
import { hostPaths } from '../paths.ts'
import type { Server } from '../server.ts'
import { type HostState, trustedKeys } from '../state.ts'

const POLL_SECONDS = 55
const SLACK_MS = 15_000

/** The state with the newest KRL, which sshd's file then holds; the same state when nothing is new. */
export async function refreshKrl(
  server: Server,
  state: HostState,
  options: { readonly waits: boolean; readonly now: () => number; readonly file?: string },
): Promise<HostState> {
  const file = options.file ?? hostPaths.revokedKeys
  const known = heldVersion(file)
  const reply = await server.get('krl', {
    ...(options.waits && { query: { wait: `${POLL_SECONDS}s` } }),
    ...(known !== undefined && { headers: { 'If-None-Match': `"${known}"` } }),
    ...(options.waits && { timeoutMilliseconds: POLL_SECONDS * 1000 + SLACK_MS }),
  })
  const isSame = reply.status === 304
  const bytes = isSame ? readFileSync(file) : reply.bytes
  if (!bytes) throw new Error('the server sent no KRL')
  const signed = signedOf(jsonOf(await server.get('krl.sig')))
  const now = Math.floor(options.now() / 1000)
  const { content, isExpired } = openStatement('krl', signed, trustedKeys(state), now)
  if (content.issuer !== state.issuer) {
    throw new Error(`the KRL's signature is for ${content.issuer}, not ${state.issuer}`)
  }
  if (isExpired)
    throw new Error(
      "the KRL's signature has expired: the server, or what is between, holds new ones back",
    )
  const least = Math.max(state.krl?.version ?? 0, known ?? 0, state.leastKrlVersion ?? 0)
  if (content.version < least) {
    throw new Error(`the server's KRL has version ${content.version}, older than ${least}`)
  }
  if (hash('sha256', bytes, 'hex') !== content.sha256) {
    throw new Error('the KRL is not the one that the server has signed')
  }
  const krl = parseKrl(bytes)
  if (krl.version !== BigInt(content.version)) {
    throw new Error('the KRL has another version than its signature')
  }
  if (!isSame) writeFileAtomically(file, bytes, 0o644)
  const { version, issuedAt, notAfter } = content
  return { ...state, krl: { version, issuedAt, notAfter } }
}

/** Version of the KRL that sshd reads now; undefined for the empty file of set-up, or one that can't be read. */
export function heldVersion(file: string): number | undefined {
  try {
    return existsSync(file) ? Number(parseKrl(readFileSync(file)).version) : undefined
  } catch {
    return undefined
  }
}

export function signedOf(data: JsonObject | undefined): {
  readonly statement: string
  readonly signature: string
} {
  const statement = data && textAt(data, 'statement')
  const signature = data && textAt(data, 'signature')
  if (statement && signature) return { statement, signature }
  throw new Error("the server's answer holds no signed statement")
}
