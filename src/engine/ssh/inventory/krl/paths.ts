/**
 * `krl` and `krl.sig`: what hosts fetch to refuse what was revoked (OpenSSH PROTOCOL.krl, protocols 5.6). For anybody: the
 * list holds serials and hashes, no names.
 */
import type { Call, Outcome } from '../../../../mount/call.ts'
import { declarePath, type Path } from '../../../../mount/path.ts'
import {
  issuerName,
  type SignedStatement,
  STATEMENT_SECONDS,
  signStatement,
} from '../../../../ssh/host/statement.ts'
import { identityOf } from '../../host/identity.ts'
import { absent } from '../../page.ts'
import { KrlServer } from './server.ts'
import { krlVersion } from './store.ts'

const MAX_WAIT_SECONDS = 55
const SIGNED_AGAIN_SECONDS = 3600
const MAX_STATEMENTS = 16

const waitField = {
  wait: {
    type: 'duration',
    description:
      'With If-None-Match: how long to wait for another version before 304 is answered, 55 seconds at most.',
  },
} as const

async function krl(call: Call<typeof waitField>, server: KrlServer): Promise<Outcome> {
  const { store, headers, fields } = call
  const version = await krlVersion(store)
  const known = headers.get('if-none-match')
  if (known !== undefined && isKnown(known, version)) {
    const seconds = Math.min(fields.wait, MAX_WAIT_SECONDS)
    if (seconds > 0) {
      await server.changed(store, version, seconds * 1000, (listener) => call.onGone(listener))
    }
    const now = seconds === 0 ? version : await krlVersion(store)
    if (now === version) return answer(version, 304)
    // It never goes back: the mount was removed meanwhile, and its empty list would free what was revoked.
    if (now < version) throw absent()
  }
  const current = await server.current(store)
  return answer(current.version, 200, current.bytes)
}

function answer(
  version: number,
  status: 200 | 304,
  bytes: Uint8Array = new Uint8Array(0),
): Outcome {
  return {
    status,
    bare: {
      body: bytes,
      contentType: 'application/octet-stream',
      headers: [
        // May be kept by anybody, and is asked for again each time.
        ['Cache-Control', 'public, no-cache'],
        ['ETag', `"${version}"`],
      ],
    },
  }
}

/** Weak tags count: proxies that compress make them (RFC 9110 section 13.1.2). */
function isKnown(header: string, version: number): boolean {
  return header.split(',').some((tag) => tag.trim().replace(/^W\//, '') === `"${version}"`)
}

/** The statements that were signed last. */
class Statements {
  readonly #clusterId: () => string
  readonly #server: KrlServer
  readonly #signed = new Map<
    string,
    { readonly of: string; readonly until: number; readonly signed: Promise<SignedStatement> }
  >()

  constructor(server: KrlServer, clusterId: () => string) {
    this.#server = server
    this.#clusterId = clusterId
  }

  async current({ config, store, mount, now }: Call): Promise<SignedStatement> {
    const identity = await identityOf(config)
    const { version, sha256 } = await this.#server.current(store)
    const issuer = issuerName(this.#clusterId(), mount.path)
    const of = [issuer, version, sha256, identity.publicKeyText].join(' ')
    const issuedAt = Math.floor(now / 1000)
    const known = this.#signed.get(store.prefix)
    if (known?.of === of && issuedAt < known.until) return known.signed
    const notAfter = issuedAt + STATEMENT_SECONDS
    const signed = signStatement('krl', identity, { issuer, version, sha256, issuedAt, notAfter })
    this.#signed.delete(store.prefix)
    this.#signed.set(store.prefix, { of, until: issuedAt + SIGNED_AGAIN_SECONDS, signed })
    if (this.#signed.size > MAX_STATEMENTS) {
      const [oldest] = this.#signed.keys()
      this.#signed.delete(oldest as string)
    }
    return signed
  }
}

export function krlPaths(closing: AbortSignal, clusterId: () => string): readonly Path[] {
  const server = new KrlServer(closing)
  const statements = new Statements(server, clusterId)
  return [
    declarePath({
      pattern: 'krl',
      fields: waitField,
      auth: 'none',
      unaudited: true,
      operations: { read: (call) => krl(call, server) },
      synopsis: 'What this mount has revoked, for sshd.',
      description:
        "OpenSSH's binary KRL, for the file that RevokedKeys names; needs no token. The ETag is the version, which never goes back: with If-None-Match the answer is 304 as long " +
        'as nothing has changed. Write it beside the file and rename it: without the file sshd refuses every key. Writes no audit lines.',
    }),
    declarePath({
      pattern: 'krl.sig',
      fields: {},
      auth: 'none',
      unaudited: true,
      operations: { read: async (call) => ({ bare: { body: await statements.current(call) } }) },
      synopsis: 'A signed statement about the KRL.',
      description:
        'Version and SHA-256 of the KRL, good for 24 hours, with a signature (namespace `krl@postern`) by the key that identity shows. Only where the mount knows hosts. Writes no audit lines.',
    }),
  ]
}
