/** What the server says to this host alone (protocols 5.6): checked, then put where sshd reads it. */
import { mkdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { type BundleStatement, openStatement } from '../../ssh/host/statement.ts'
import { parseAuthorizedKey } from '../../ssh/key/authorized-keys.ts'
import { isSameKey } from '../../ssh/key/public-key.ts'
import { writeFileAtomically } from '../atomic-file.ts'
import type { Server } from '../enrolment/server.ts'
import type { HostKey } from '../enrolment/signed-request.ts'
import type { HostState } from '../enrolment/state.ts'
import { hostPaths } from '../paths.ts'
import { signedOf } from './krl.ts'

/** Asks for the bundle; throws for one that is not this host's, not signed by its server, expired, or older than the last. */
export async function fetchBundle(
  server: Server,
  state: HostState,
  key: HostKey,
  now: number,
): Promise<BundleStatement> {
  const { clusterId, hostId } = state
  const signed = signedOf(await server.ask({ key, clusterId, hostId }, 'GET', 'host/bundle'))
  const keys = server.signersFor(state)
  const opened = openStatement('bundle', signed, keys, Math.floor(now / 1000))
  const { content, isExpired } = opened
  if (content.issuer !== state.issuer) {
    throw new Error(`the bundle is of ${content.issuer}, not of ${state.issuer}`)
  }
  if (content.hostId !== hostId) throw new Error(`the bundle is for the host ${content.hostId}`)
  if (isExpired) throw new Error('the bundle has expired: is the clock right?')
  const least = state.bundle?.version ?? 0
  if (content.version < least) {
    throw new Error(`the bundle has version ${content.version}, older than ${least}`)
  }
  if (content.userCas.length === 0) throw new Error('the bundle names no CA')
  for (const line of [content.nextServerKey ?? [], ...content.userCas].flat()) {
    parseAuthorizedKey(line)
  }
  // Another key comes in no other way than announced by the one before, and then signs itself.
  if (!isSameKey(parseAuthorizedKey(content.serverKey), opened.key)) {
    throw new Error('the bundle is signed by another key than the one that it names')
  }
  return content
}

/** The state after a bundle. The key that signs next is trusted from now on, and that of before no longer. */
export function stateAfter(state: HostState, bundle: BundleStatement): HostState {
  const { serverKey, nextServerKey, version, issuedAt, notAfter, krlVersion } = bundle
  const { nextServerKey: _, ...rest } = state
  return {
    ...rest,
    serverKey,
    ...(nextServerKey !== undefined && { nextServerKey }),
    bundle: { version, issuedAt, notAfter },
    leastKrlVersion: Math.max(state.leastKrlVersion ?? 0, krlVersion),
  }
}

/** Puts the CAs where sshd looks at each login. True when they were others. */
export function writeUserCas(
  { userCas }: BundleStatement,
  file: string = hostPaths.userCa,
): boolean {
  const text = `${userCas.join('\n')}\n`
  if (readIfThere(file) === text) return false
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o755 })
  writeFileAtomically(file, text, 0o644)
  return true
}

export function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
