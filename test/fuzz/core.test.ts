/**
 * The whole core under requests of every kind: each operation on each declared path, with fields of any type. Nothing
 * fails unexpectedly, nothing is left unhandled, and the audit lines of a request come in pairs (protocols 2.1).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { LineEncoder } from '../../src/audit/entry.ts'
import { Hasher } from '../../src/audit/hash.ts'
import type { AuditRecord } from '../../src/audit/record.ts'
import type { Request } from '../../src/core/request/request.ts'
import type { Envelope } from '../../src/core/request/response.ts'
import { PosternError } from '../../src/errors.ts'
import { canonicalPath, encodePath } from '../../src/mount/canonical.ts'
import { uuid } from '../../src/random.ts'
import {
  keysIn,
  mountCa,
  mountSsh,
  RecordingAudit,
  startTestCore,
  type TestCore,
  tokenOf,
  tokenWith,
} from '../support/core.ts'
import { fuzz } from './runs.ts'
import { anyShot, MOUNTS, type Shot } from './shots.ts'

/** Members whose value is a secret: it stands in clear nowhere. Put elsewhere, it may be a name that is shown. */
const SECRET_FIELDS: ReadonlySet<string> = new Set(['otp', 'token', 'key', 'id', 'private_key'])

/** Records what the core logs as the lines that a device would write. */
class EncodingAudit extends RecordingAudit {
  readonly lines: string[] = []
  readonly #encoder = new LineEncoder(
    { logRaw: false, hmacAccessor: true, elideListResponses: false },
    new Hasher('salt'),
  )

  override logRequest(record: AuditRecord): Promise<void> {
    this.#encode('request', record)
    return super.logRequest(record)
  }

  override logResponse(record: AuditRecord): Promise<void> {
    this.#encode('response', record)
    return super.logResponse(record)
  }

  #encode(type: 'request' | 'response', record: AuditRecord): void {
    const line = this.#encoder.encode(type, Date.UTC(2026, 10, 22), record, new Map())
    assert.doesNotMatch(line, /[\n\r]/)
    assert.equal(JSON.parse(line).request.id, record.request.id)
    this.lines.push(line)
  }
}

interface Target {
  readonly server: TestCore
  readonly audit: EncodingAudit
  readonly tokens: readonly string[]
  readonly knownTexts: readonly string[]
  readonly failures: unknown[]
  /** Secrets that the server holds or gave out. */
  readonly secrets: Set<string>
  /** Texts that requests put where they may be shown. */
  readonly shownTexts: string[]
  /** What the server logged, and what it told callers as errors. */
  readonly told: string[]
}

async function makeTarget(): Promise<Target> {
  const failures: unknown[] = []
  const told: string[] = []
  const note = (fields: object, message: string) => void told.push(inspect({ fields, message }))
  const log = {
    error: (fields: { readonly err?: unknown }, message: string) => {
      note(fields, message)
      // What goes on behind answers stops when somebody seals the server.
      const isSealed = fields.err instanceof PosternError && fields.err.code === 'sealed'
      if (!isSealed) failures.push({ ...fields, message })
    },
    warn: note,
    info: note,
  }
  const audit = new EncodingAudit()
  const server = await startTestCore({ log, audit })
  await mountSsh(server)
  await mountCa(server)
  const otp = await server.call('update', 'ssh/creds/web', { ip: '10.0.0.1' })
  const limited = await tokenWith(server, 'path "*" { capabilities = ["read", "update", "list"] }')
  const uses = await tokenOf(server, { num_uses: 2 })
  const fresh = await tokenOf(server, { ttl: '1h' })
  const holder = await server.call('update', 'auth/token/create', { ttl: '1h' })
  const wrapped = await server.call('update', 'sys/wrapping/wrap', { a: 1 }, { wrapTtlSeconds: 60 })
  const tokens = [server.rootToken, '', limited, uses, 'hvs.\0é']
  const knownTexts = [
    otp.data?.['key'] as string,
    otp.lease_id,
    holder.auth?.client_token ?? '',
    holder.auth?.accessor ?? '',
    wrapped.wrap_info?.token ?? '',
    wrapped.wrap_info?.accessor ?? '',
    server.unsealKey,
    fresh,
  ]
  const given = [0, 2, 4, 6, 7].map((index) => knownTexts[index] as string)
  const secrets = new Set([server.rootToken, limited, uses, ...given])
  return { server, audit, tokens, knownTexts, failures, secrets, shownTexts: [], told }
}

/** Puts this run's texts in the place of `$0` and the like, in names of members too. */
function resolve(target: Target, input: unknown): unknown {
  if (typeof input === 'string') {
    return input.replace(/\$([0-9])/g, (_, index: string) => target.knownTexts[Number(index)] ?? '')
  }
  if (Array.isArray(input)) return input.map((part) => resolve(target, part))
  if (typeof input !== 'object' || input === null) return input
  const entries = Object.entries(input).map(([name, part]) => [
    resolve(target, name),
    resolve(target, part),
  ])
  return Object.fromEntries(entries)
}

/** As the HTTP layer would hand it over; undefined for a path that it refuses. */
function requestOf(target: Target, shot: Shot): Request | undefined {
  const text = resolve(target, shot.path) as string
  if (!text.isWellFormed()) return undefined
  const canonical = canonicalPath(encodePath(text))
  if (canonical.kind !== 'path') return undefined
  const isList = shot.operation === 'list' || shot.operation === 'scan'
  const path = isList && !canonical.path.endsWith('/') ? `${canonical.path}/` : canonical.path
  const data = new Map<string, unknown>()
  // Names and texts come from JSON: half a surrogate pair does not.
  for (const [name, part] of shot.data) {
    data.set(
      (resolve(target, name) as string).toWellFormed(),
      JSON.parse(wellFormed(resolve(target, part))),
    )
  }
  target.shownTexts.push(path)
  for (const [name, part] of data) {
    target.shownTexts.push(name)
    if (typeof part !== 'string' || !SECRET_FIELDS.has(name))
      target.shownTexts.push(stringify(part))
  }
  const token = target.tokens[shot.token] as string
  return {
    id: uuid(),
    operation: shot.operation,
    path,
    data,
    bodyText: JSON.stringify(Object.fromEntries(data)),
    ...(token === '' ? {} : { token }),
    ...(shot.wrapTtlSeconds === undefined ? {} : { wrapTtlSeconds: shot.wrapTtlSeconds }),
    headers: new Map([['x-vault-policy-override', 'true']]),
    remoteAddress: shot.address,
    remotePort: 4711,
  }
}

function stringify(input: unknown): string {
  return typeof input === 'string' ? input : JSON.stringify(input)
}

function wellFormed(input: unknown): string {
  return JSON.stringify(input).replace(/\\ud[89a-f][0-9a-f]{2}/g, '\\ufffd')
}

/** Sends one, and says with which code it was refused. */
async function fire(target: Target, request: Request): Promise<string | undefined> {
  try {
    const response = await target.server.core.handle(request)
    assert.ok(response.status < 600)
    if (response.kind === 'envelope') noteSecrets(target, response.envelope)
    return undefined
  } catch (error) {
    assert.ok(error instanceof PosternError, `${request.operation} ${request.path}: ${error}`)
    assert.ok(
      !['internal', 'store_failed', 'audit_failed'].includes(error.code),
      `${request.operation} ${request.path}: ${error.code}`,
    )
    target.told.push(error.messages.join('\n'))
    return error.code
  }
}

function noteSecrets({ secrets }: Target, { auth, wrap_info, data }: Envelope): void {
  const given = [auth?.client_token, wrap_info?.token, data?.['private_key']]
  if (data?.['key_type'] === 'otp') given.push(data['key'])
  for (const text of given) if (typeof text === 'string' && text !== '') secrets.add(text)
}

/** In pairs, and told of every request that is audited. */
function checkLines(
  { server, audit }: Target,
  requests: readonly Request[],
  codes: ReadonlyMap<string, string>,
) {
  const count = (records: readonly { readonly request: { readonly id: string } }[], id: string) =>
    records.filter(({ request }) => request.id === id).length
  for (const { id, operation, path } of requests) {
    const [asked, told] = [count(audit.requests, id), count(audit.responses, id)]
    const code = codes.get(id) ?? 'answered'
    const what = `${operation} ${path} (${code}): ${asked} request lines, ${told} response lines`
    assert.ok(asked <= 1 && told <= asked, what)
    // A shut door writes no line; a server that was sealed meanwhile has no audit log any more.
    if (code === 'too_many_requests') assert.equal(asked, 0, what)
    if (code === 'sealed' || code === 'too_many_requests') continue
    assert.equal(told, asked, what)
    // To seal what is sealed is no request of the core any more.
    if (path === 'sys/seal' && server.core.seal.isSealed) continue
    if (!isUnaudited(server, path)) assert.equal(asked, 1, what)
  }
}

/** No secret in audit lines, logs, error texts, keys or values of the store (protocols 2.4). */
async function checkSecrets({ server, audit, secrets, shownTexts, told }: Target) {
  const shown = shownTexts.join('\n')
  const hidden = [...secrets].filter((secret) => !shown.includes(secret))
  const places: [string, readonly string[]][] = [
    ['an audit line', audit.lines],
    ['a log line or an error', told],
    ['a key of the store', await keysIn(server.raw, '')],
  ]
  for (const [place, texts] of places) {
    const text = texts.join('\n')
    for (const secret of hidden) {
      if (!text.includes(secret)) continue
      assert.fail(`${place} shows a secret: ${texts.find((line) => line.includes(secret))}`)
    }
  }
}

function isUnaudited(server: TestCore, path: string): boolean {
  const rest = path.replace(/\/$/, '')
  return server.core.backends.some(({ type, paths }) =>
    paths.some(({ unaudited, pattern }) => unaudited && MOUNTS[type] + pattern === rest),
  )
}

test('any requests, some at the same time: no unexpected failure, and lines in pairs', async () => {
  const unhandled: unknown[] = []
  const note = (reason: unknown) => unhandled.push(reason)
  process.on('unhandledRejection', note)
  const sample = await startTestCore()
  const shot = anyShot(sample.core.backends)
  await sample.close()
  const volley = fc.array(shot, { minLength: 1, maxLength: 8 })
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(volley, { minLength: 1, maxLength: 12 }), async (volleys) => {
        const target = await makeTarget()
        try {
          for (const some of volleys) {
            const requests = some.flatMap((shot) => requestOf(target, shot) ?? [])
            const codes = new Map<string, string>()
            await Promise.all(
              requests.map(async (request) => {
                const code = await fire(target, request)
                if (code !== undefined) codes.set(request.id, code)
              }),
            )
            checkLines(target, requests, codes)
            target.server.advance(1000)
          }
          await target.server.core.endDueLeases().catch((error) => {
            // Somebody may have sealed it.
            if (!target.server.core.seal.isSealed) throw error
          })
          await checkSecrets(target)
        } finally {
          await target.server.close()
        }
        assert.deepEqual(target.failures, [])
        assert.deepEqual(unhandled, [])
      }),
      fuzz(40),
    )
  } finally {
    process.off('unhandledRejection', note)
  }
})
