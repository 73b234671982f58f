/** A server for `postern-host service` in tests: it says what a test wants, signed or not, and as often as it is asked. */
import { hash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { HostConfig } from '../../src/host/config.ts'
import { parseHostConfig } from '../../src/host/config.ts'
import { Server } from '../../src/host/enrolment/server.ts'
import type { HostState } from '../../src/host/enrolment/state.ts'
import {
  type BundleStatement,
  type KrlStatement,
  type SignedStatement,
  signStatement,
} from '../../src/ssh/host/statement.ts'
import { encodeAuthorizedKey } from '../../src/ssh/key/authorized-keys.ts'
import { generateKeyPair } from '../../src/ssh/key/private-key.ts'
import { encodeKrl } from '../../src/ssh/krl/encode-krl.ts'
import { type SigningKey, signingKey } from '../../src/ssh/signature.ts'

const ISSUER = 'cluster/ssh'
export const NOW_SECONDS = 1_800_000_000

interface Answer {
  readonly status?: number
  readonly body: string | Uint8Array
  readonly headers?: Readonly<Record<string, string>>
}

/** By the path below the mount; the header If-None-Match comes as it was sent. */
type Answers = Map<string, (known: string | undefined) => Answer>

export interface FakeServer extends AsyncDisposable {
  readonly answers: Answers
  /** Paths in the order in which they were asked for. */
  readonly asked: string[]
  readonly config: HostConfig
  readonly server: Server
}

export async function startFakeServer(): Promise<FakeServer> {
  const answers: Answers = new Map()
  const asked: string[] = []
  const listener = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '', 'http://host')
    const path = pathname.replace('/v1/ssh/', '')
    asked.push(path)
    const answer = answers.get(path)?.(request.headers['if-none-match'])
    response.writeHead(answer ? (answer.status ?? 200) : 404, answer?.headers)
    response.end(answer?.body)
  }).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  const config = parseHostConfig(`vault_addr = "http://127.0.0.1:${port}"`, true)
  const server = new Server(config)
  return {
    answers,
    asked,
    config,
    server,
    [Symbol.asyncDispose]: async () => {
      server.close()
      listener.closeAllConnections()
      listener.close()
      await once(listener, 'close')
    },
  }
}

export async function newKey(): Promise<SigningKey> {
  return signingKey(await generateKeyPair('ed25519', 256))
}

export function lineOf({ publicKey }: Pick<SigningKey, 'publicKey'>): string {
  return encodeAuthorizedKey(publicKey.blob)
}

export function krlOf(ca: SigningKey, version: number, serials: readonly bigint[] = [7n]): Buffer {
  return encodeKrl({
    version: BigInt(version),
    generatedAt: NOW_SECONDS,
    comment: '',
    issuers: [{ caKey: ca.publicKey.blob, serials: BigUint64Array.from(serials) }],
    keyHashes: [],
  })
}

/** What an honest server says of these bytes, but for what the test changes. */
export function krlStatement(
  key: SigningKey,
  bytes: Uint8Array,
  version: number,
  changes: Partial<KrlStatement> = {},
): Promise<SignedStatement> {
  const sha256 = hash('sha256', bytes, 'hex')
  return signStatement('krl', key, { ...times(version), sha256, ...changes })
}

export function bundleOf(
  key: SigningKey,
  userCas: readonly string[],
  changes: Partial<BundleStatement> = {},
): BundleStatement {
  return {
    ...times(10),
    hostId: 'web-1',
    krlVersion: 1,
    serverKey: lineOf(key),
    userCas,
    accounts: [],
    groups: ['web'],
    tags: ['env=prod'],
    hostCertificates: false,
    ...changes,
  }
}

function times(version: number) {
  const [issuedAt, notAfter] = [NOW_SECONDS - 60, NOW_SECONDS + 86_340]
  return { issuer: ISSUER, version, issuedAt, notAfter }
}

export function stateOf(key: SigningKey, more: Partial<HostState> = {}): HostState {
  return {
    hostId: 'web-1',
    clusterId: 'cluster',
    mount: 'ssh',
    issuer: ISSUER,
    serverKey: lineOf(key),
    ...more,
  }
}
