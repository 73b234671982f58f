/**
 * The host's copy of the KRL (protocols 5.6): only one that the server has signed for now, that is whole, and that is not
 * older takes the place of the one that sshd reads. Nothing here ever removes it: without it sshd refuses every key.
 */
import { hash } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import type { JsonObject } from '../../client/json.ts'
import { textAt } from '../../client/json.ts'
import { jsonOf } from '../../client/reply.ts'
import { type KrlStatement, openStatement } from '../../ssh/host/statement.ts'
import { parseKrl } from '../../ssh/krl/parse-krl.ts'
import { writeFileAtomically } from '../atomic-file.ts'
import type { Server } from '../enrolment/server.ts'
import type { HeldKrl, HostState } from '../enrolment/state.ts'
import { hostPaths } from '../paths.ts'

const POLL_SECONDS = 55
const SLACK_MS = 15_000
/** The server signs its statement anew each hour. */
const CHECKED_EVERY_SECONDS = 3600

export interface KrlRefresh {
  readonly server: Server
  /** Asked whenever it matters: a bundle may come while the server is waited for. */
  readonly state: () => HostState
  /** Called before the file changes, and has to have stored what it is given. */
  readonly keep: (krl: HeldKrl) => void
  /** Lets the server answer when there is something new. */
  readonly waits: boolean
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly file?: string
}

/** True when sshd has another KRL than before. Throws, with the old one in place, for one that is not to be believed. */
export async function refreshKrl(refresh: KrlRefresh): Promise<boolean> {
  const { server, state, keep, file = hostPaths.revokedKeys } = refresh
  const held = heldKrl(file, state())
  let bytes = await fetchKrl(server, held, refresh.waits)
  if (!bytes && held && !isDue(held, state(), refresh.now())) return false
  let content = await fetchStatement(refresh)
  const isMeant = (text: Uint8Array | undefined) =>
    (text ? hash('sha256', text, 'hex') : held?.sha256) === content.sha256
  if (!isMeant(bytes)) {
    // It may have changed between the two requests.
    bytes = await fetchKrl(server, undefined, false)
    content = await fetchStatement(refresh)
    if (!isMeant(bytes)) throw new Error('the KRL is not the one that the server has signed')
  }
  if (bytes && parseKrl(bytes).version !== BigInt(content.version)) {
    throw new Error('the KRL has another version than its signature')
  }
  const { version, issuedAt, notAfter, sha256 } = content
  keep({ version, issuedAt, notAfter, sha256 })
  // A server need not know If-None-Match.
  if (!bytes || sha256 === held?.sha256) return false
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o755 })
  writeFileAtomically(file, bytes, 0o644)
  return true
}

/** What the state says of the file, where that is as the state says; undefined for the empty one of set-up. */
function heldKrl(file: string, { krl }: HostState): HeldKrl | undefined {
  if (!krl) return undefined
  try {
    return hash('sha256', readFileSync(file), 'hex') === krl.sha256 ? krl : undefined
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Whether the server has to say again that this KRL is the newest. */
function isDue({ version, issuedAt }: HeldKrl, { leastKrlVersion = 0 }: HostState, now: number) {
  return version < leastKrlVersion || now / 1000 - issuedAt > 2 * CHECKED_EVERY_SECONDS
}

/** Undefined where the server has none but the one that is held. */
async function fetchKrl(
  server: Server,
  held: HeldKrl | undefined,
  waits: boolean,
): Promise<Uint8Array | undefined> {
  const { status, bytes } = await server.get('krl', {
    ...(waits && { query: { wait: `${POLL_SECONDS}s` } }),
    ...(held && { headers: { 'If-None-Match': `"${held.version}"` } }),
    ...(waits && { timeoutMilliseconds: POLL_SECONDS * 1000 + SLACK_MS }),
  })
  if (status === 304 && held) return undefined
  if (status === 200 && bytes) return bytes
  throw new Error('the server sent no KRL')
}

/** What the server says of its newest KRL, if that is for this host's mount, of now, and not gone back. */
async function fetchStatement({ server, state, now }: KrlRefresh): Promise<KrlStatement> {
  const signed = signedOf(jsonOf(await server.get('krl.sig')))
  const { issuer, krl, leastKrlVersion = 0 } = state()
  const seconds = Math.floor(now() / 1000)
  const { content, isExpired } = openStatement('krl', signed, server.signersFor(state()), seconds)
  if (content.issuer !== issuer) {
    throw new Error(`the KRL's signature is for ${content.issuer}, not ${issuer}`)
  }
  if (isExpired) {
    const suspect = 'the server, or what is between, holds new ones back'
    throw new Error(`the KRL's signature has expired: ${suspect}`)
  }
  const least = Math.max(krl?.version ?? 0, leastKrlVersion)
  if (content.version < least) {
    throw new Error(`the server's KRL has version ${content.version}, older than ${least}`)
  }
  return content
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
