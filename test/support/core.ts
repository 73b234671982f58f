/** A real core over the in-memory store, unsealed, for tests without a socket: time and audit are the test's. */
import type { AuditRecord } from '../../src/audit/record.ts'
import type { Clock } from '../../src/clock.ts'
import { Core, type CoreOptions } from '../../src/core/core.ts'
import type { Request } from '../../src/core/request/request.ts'
import type { Envelope, Response } from '../../src/core/request/response.ts'
import { PosternError } from '../../src/errors.ts'
import { base62, uuid } from '../../src/random.ts'
import { openSqliteStore } from '../../src/storage/sqlite/sqlite.ts'
import type { Store } from '../../src/storage/store.ts'
import { keysUnder } from '../../src/storage/view.ts'

/** Keeps lines in memory; fails when told to. */
export class RecordingAudit {
  enabled = true
  failRequests = false
  failResponses = false
  readonly requests: AuditRecord[] = []
  readonly responses: AuditRecord[] = []
  /** Paths of the devices that were tried. */
  readonly tried: string[] = []

  isEnabled(): boolean {
    return this.enabled
  }

  logRequest(record: AuditRecord): Promise<void> {
    if (this.failRequests) return Promise.reject(new PosternError('audit_failed'))
    this.requests.push(record)
    return Promise.resolve()
  }

  logResponse(record: AuditRecord): Promise<void> {
    if (this.failResponses) return Promise.reject(new PosternError('audit_failed'))
    this.responses.push(record)
    return Promise.resolve()
  }

  configure(): Promise<void> {
    return Promise.resolve()
  }

  tryDevice({ path }: { readonly path: string }): Promise<void> {
    this.tried.push(path)
    return Promise.resolve()
  }

  setRequestHeaders(): void {}

  hash(): string | undefined {
    return undefined
  }

  clear(): void {}
}

export interface TestCore {
  readonly core: Core
  readonly audit: RecordingAudit
  /** The raw store below the barrier. */
  readonly raw: Store
  readonly unsealKey: string
  readonly rootToken: string
  /** Moves the clock. */
  advance(milliseconds: number): void
  /** Sends a request as root, or with a token ('' for none), and gives the answer. */
  send(
    operation: Request['operation'],
    path: string,
    data?: object,
    options?: SendOptions,
  ): Promise<Response>
  /** The same, with the envelope of a success. */
  call(
    operation: Request['operation'],
    path: string,
    data?: object,
    options?: SendOptions,
  ): Promise<Envelope>
  close(): Promise<void>
}

export interface SendOptions {
  readonly token?: string
  readonly wrapTtlSeconds?: number
  readonly remoteAddress?: string
  readonly headers?: Record<string, string>
}

export async function startTestCore(
  changes: Partial<CoreOptions> & { readonly raw?: Store } = {},
): Promise<TestCore> {
  const time = { now: Date.UTC(2026, 10, 22, 12) }
  const clock = { now: () => time.now }
  const raw = changes.raw ?? (await openSqliteStore({ path: ':memory:', clock }))
  const audit = new RecordingAudit()
  const core = new Core({ ...coreOptions(raw, audit, clock), ...changes })
  const { unsealKey, rootToken } = await core.startDev(`t${base62(20)}`)
  return {
    ...requestsTo(core, rootToken),
    core,
    audit,
    raw,
    unsealKey,
    rootToken,
    advance: (milliseconds) => {
      time.now += milliseconds
    },
    close: async () => {
      await core.stop()
      await raw.close()
    },
  }
}

/** Another core over the store of a first one, unsealed: the second reader of protocols 1.3. Its store stays open. */
export async function startSecondCore(
  first: TestCore,
  changes: Partial<CoreOptions> = {},
): Promise<TestCore> {
  const { raw, unsealKey, rootToken } = first
  const audit = new RecordingAudit()
  const clock = { now: () => Date.UTC(2026, 10, 22, 12) }
  const core = new Core({ ...coreOptions(raw, audit, clock), ...changes })
  await core.seal.unseal({ key: unsealKey })
  const close = () => core.stop()
  return { ...first, ...requestsTo(core, rootToken), core, audit, close }
}

function coreOptions(store: Store, audit: RecordingAudit, clock: Clock): CoreOptions {
  return {
    store,
    storageType: 'inmem',
    seal: { type: 'shamir' },
    clock,
    log: { error: () => {}, warn: () => {}, info: () => {} },
    audit,
    auditDevices: [],
    systemTtl: { defaultSeconds: 2_764_800, maxSeconds: 2_764_800 },
    missLimit: { ratePerSecond: 10, burst: 50 },
    version: '1.15.0+postern.0.0.0',
    clusterName: undefined,
    apiAddress: '',
    isDev: true,
    allowCompat2015: true,
    allowInstallScripts: true,
  }
}

function requestsTo(core: Core, rootToken: string): Pick<TestCore, 'send' | 'call'> {
  const send: TestCore['send'] = (operation, path, data = {}, options = {}) => {
    const token = options.token ?? rootToken
    return core.handle({
      id: uuid(),
      operation,
      path,
      data: new Map(Object.entries(data)),
      bodyText: JSON.stringify(data),
      ...(token === '' ? {} : { token }),
      ...(options.wrapTtlSeconds === undefined ? {} : { wrapTtlSeconds: options.wrapTtlSeconds }),
      headers: new Map(Object.entries(options.headers ?? {})),
      remoteAddress: options.remoteAddress ?? '127.0.0.1',
      remotePort: 4711,
    })
  }
  return {
    send,
    call: async (operation, path, data, options) => {
      const response = await send(operation, path, data, options)
      if (response.kind !== 'envelope')
        throw new Error(`${path} answered ${response.kind} ${response.status}`)
      return response.envelope
    },
  }
}

/** What a refused request says. Fails when it was not refused by a PosternError. */
export async function refusalOf(
  answer: Promise<unknown>,
): Promise<{ readonly status: number; readonly message: string | undefined }> {
  try {
    await answer
  } catch (error) {
    if (!(error instanceof PosternError)) throw error
    return { status: error.status, message: error.messages[0] }
  }
  throw new Error('the request was not refused')
}

/** Every key of a store below these prefixes. */
export async function keysIn(store: Store, ...prefixes: readonly string[]): Promise<string[]> {
  const keys: string[] = []
  for (const prefix of prefixes) for await (const key of keysUnder(store, prefix)) keys.push(key)
  return keys
}

/** Where everything lies that somebody was issued. */
export const ISSUED: readonly string[] = [
  'tok/',
  'acc/',
  'kin/',
  'held/',
  'lease/',
  'exp/',
  'revoking/',
  'wrap/',
  'data/',
]

/** Records of certificates outlive the token that asked for them, and what is revoked stays so. */
const OUTLIVING = /^data\/[^/]+\/(?:certs|cert-tokens|revoked|krl|host-bundle-floor)(?:\/|$)/

/** The keys of all that is issued now: equal before and after means that nothing was left behind. */
export async function issuedKeys({ raw }: Pick<TestCore, 'raw'>): Promise<string[]> {
  return (await keysIn(raw, ...ISSUED)).filter((key) => !OUTLIVING.test(key))
}

/** Mounts `ssh/` with a one-time-password role `web` for 10.0.0.0/8. */
export async function mountSsh({ send }: Pick<TestCore, 'send'>): Promise<void> {
  await send('update', 'sys/mounts/ssh', { type: 'ssh' })
  const otpRole = { key_type: 'otp', default_user: 'ubuntu', cidr_list: '10.0.0.0/8' }
  await send('update', 'ssh/roles/web', otpRole)
}

/** Adds to `mountSsh` a CA of its own key, and a role `sign` for the user ubuntu. */
export async function mountCa(
  { send }: Pick<TestCore, 'send'>,
  fields: object = {},
): Promise<void> {
  await send('update', 'ssh/config/ca', { generate_signing_key: true, key_type: 'ed25519' })
  const role = { key_type: 'ca', allow_user_certificates: true, allowed_users: 'ubuntu' }
  await send('update', 'ssh/roles/sign', { ...role, default_user: 'ubuntu', ttl: '30m', ...fields })
}

/** Makes a token and gives its text. */
export async function tokenOf(
  { call }: Pick<TestCore, 'call'>,
  data: object,
  options: SendOptions = {},
): Promise<string> {
  const { auth } = await call('update', 'auth/token/create', data, options)
  if (!auth) throw new Error('no token was made')
  return auth.client_token
}

/** Writes a policy and makes a token that has it, and no other. */
export async function tokenWith(
  core: Pick<TestCore, 'call' | 'send'>,
  policy: string,
  data: object = {},
): Promise<string> {
  const name = `p-${base62(8).toLowerCase()}`
  await core.send('update', `sys/policies/acl/${name}`, { policy })
  return tokenOf(core, { policies: [name], no_default_policy: true, ...data })
}
