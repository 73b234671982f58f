/** One mounted engine on a store in memory: requests go through router, coercion, configuration cache and commit. */
import { createHmac } from 'node:crypto'
import { ConfigCache } from '../../src/core/config/config-cache.ts'
import { PosternError } from '../../src/errors.ts'
import type {
  Call,
  Caller,
  ConfigView,
  LeaseTerms,
  NewLease,
  Outcome,
  PendingLease,
} from '../../src/mount/call.ts'
import { coerceFields } from '../../src/mount/field.ts'
import type { Operation } from '../../src/mount/operation.ts'
import type { Backend, ExternalEffects, LeasedData } from '../../src/mount/path.ts'
import { type Match, Router } from '../../src/mount/router.ts'
import { secretBytes } from '../../src/random.ts'
import { Secret } from '../../src/redact.ts'
import { CONFIG_PREFIX, GENERATION_KEY } from '../../src/storage/path.ts'
import { openSqliteStore } from '../../src/storage/sqlite/sqlite.ts'
import type { Store, Write } from '../../src/storage/store.ts'
import { StoreView } from '../../src/storage/view.ts'

const CONFIG = 'cfg/mount/m/'
const DATA = 'data/m/'
const DAY = 86_400
const SYSTEM_TTL: number = 32 * DAY

export interface Answer {
  readonly status: number
  readonly data: Record<string, unknown>
  readonly warnings: readonly string[]
  /** The first error text; undefined for success and for errors without text. */
  readonly error: string | undefined
  readonly body: unknown
  readonly outcome: Outcome
}

export interface Tuning {
  readonly options?: Readonly<Record<string, string>>
  readonly defaultTtl?: number
  readonly maxTtl?: number
}

export interface Sent {
  readonly headers?: Readonly<Record<string, string>>
  readonly bodyText?: string
  readonly caller?: Partial<Caller>
  /** Requests are told apart by it; `r` by default. */
  readonly requestId?: string
}

export const ALICE: Caller = {
  tokenId: 'aa',
  token: new Secret('s.alice'),
  accessor: 'accessor-a',
  displayName: 'token-alice',
  policies: ['default'],
  isRoot: false,
  hasSudo: false,
  entityId: '',
}

/** The configuration changed before a lease was begun. */
class Stale extends Error {}

export class Mounted {
  readonly #backend: Backend
  readonly #store: Store
  readonly #router: Router
  readonly #cache: ConfigCache
  #leases = 0
  /** Milliseconds: tests move it. */
  now: number = Date.UTC(2026, 10, 22, 12)
  tuning: Tuning = {}
  /** Leases that were begun, and not abandoned. */
  readonly begun: Map<string, PendingLease> = new Map()
  /** Runs where the engine asks whether the token is still good. */
  stillAllowed: () => Promise<void> = async () => {}
  /** What the caller may do with sudo at other paths. */
  allowsSudo: (operation: Operation, path: string) => boolean = () => true

  constructor(backend: Backend, store: Store) {
    this.#backend = backend
    this.#store = store
    this.#router = new Router(backend.paths)
    this.#cache = new ConfigCache(store)
  }

  /** The request's answer; its writes are committed, and a failed condition is tried again from the start. */
  async request(
    operation: Operation,
    path: string,
    data: Readonly<Record<string, unknown>> = {},
    sent: Sent = {},
  ): Promise<Answer> {
    try {
      for (;;) {
        const outcome = await this.#run(operation, path, new Map(Object.entries(data)), sent)
        if (outcome && (await this.#commit(outcome))) return answer(outcome)
      }
    } catch (error) {
      if (!(error instanceof PosternError)) throw error
      return { ...answer({}), status: error.status, error: error.messages[0] }
    }
  }

  read(path: string, data?: Record<string, unknown>): Promise<Answer> {
    return this.request('read', path, data)
  }

  write(path: string, data?: Record<string, unknown>, sent?: Sent): Promise<Answer> {
    return this.request('update', path, data, sent)
  }

  list(path: string, data?: Record<string, unknown>): Promise<Answer> {
    return this.request('list', path, data)
  }

  delete(path: string): Promise<Answer> {
    return this.request('delete', path)
  }

  /** Whether a write to the path would be judged as creation or as update. */
  async judged(path: string): Promise<Operation> {
    const { match, call } = await this.#call('update', path, new Map(), {})
    return match.path.exists && !(await match.path.exists(call)) ? 'create' : 'update'
  }

  /** Revokes a lease as the expiry does. */
  async revoke(lease: NewLease): Promise<void> {
    const outcome = await this.#backend.revoke?.(await this.leased(lease))
    await this.#store.commit(outcome?.writes ?? [], outcome?.conditions ?? [])
  }

  /** What the server has the engine do each hour, or after a restore. */
  async run(work: 'periodic' | 'restored'): Promise<void> {
    const views = { mount: this.#mount(), store: this.#view(), now: this.now }
    await this.#backend[work]?.({ ...views, config: await this.#config() })
  }

  /** What the engine does outside the store. */
  get external(): ExternalEffects {
    return this.#backend.external as ExternalEffects
  }

  /** A lease as the engine sees it. */
  async leased({ id, expiresAt, terms }: NewLease): Promise<LeasedData> {
    const config = await this.#config()
    const maxExpiresAt = this.now + terms.maxTtlSeconds * 1000
    const store = this.#view()
    return { id, data: terms.data, expiresAt, maxExpiresAt, mount: this.#mount(), config, store }
  }

  /** Every key of the mount's data. */
  dataKeys(): Promise<string[]> {
    return this.#view().list('')
  }

  close(): Promise<void> {
    return this.#store.close()
  }

  async #commit({ writes = [], conditions = [] }: Outcome): Promise<boolean> {
    if (writes.length === 0) return true
    const all = [...writes, ...newGeneration(writes)]
    return (await this.#store.commit(all, conditions)).committed
  }

  async #begin(
    path: string,
    version: number | undefined,
    terms: LeaseTerms,
    writes: (id: string) => readonly Write[] = () => [],
  ): Promise<PendingLease> {
    const id = `ssh/${path}/${++this.#leases}`
    const conditions = version === undefined ? [] : [{ key: GENERATION_KEY, is: version }]
    const { committed } = await this.#store.commit(writes(id), conditions)
    if (!committed) throw new Stale()
    const expiresAt = this.now + terms.ttlSeconds * 1000
    const abandon = async () => void this.begun.delete(id)
    const lease = { id, expiresAt, tokenId: ALICE.tokenId, terms, abandon }
    this.begun.set(id, lease)
    return lease
  }

  async #config(): Promise<ConfigView> {
    const [generation] = await this.#store.get([GENERATION_KEY])
    return this.#cache.at(generation).view(CONFIG)
  }

  #view(): StoreView {
    return new StoreView(this.#store, DATA)
  }

  async #run(
    operation: Operation,
    path: string,
    data: ReadonlyMap<string, unknown>,
    sent: Sent,
  ): Promise<Outcome | undefined> {
    const { match, call } = await this.#call(operation, path, data, sent)
    const run = match.path.operations[operation as Exclude<Operation, 'help'>]
    if (!run) throw new PosternError('unsupported_operation')
    try {
      return await run(call)
    } catch (error) {
      if (error instanceof Stale) return undefined
      throw error
    }
  }

  async #call(
    operation: Operation,
    path: string,
    data: ReadonlyMap<string, unknown>,
    sent: Sent,
  ): Promise<{ readonly match: Match; readonly call: Call }> {
    const match = this.#router.match(path, operation)
    if (!match) throw new PosternError('unsupported_path')
    const { values, given } = coerceFields(match.path.fields, new Map([...data, ...match.names]))
    const [generation] = await this.#store.get([GENERATION_KEY])
    const call: Call = {
      requestId: sent.requestId ?? 'r',
      operation,
      path,
      fields: values,
      given,
      data,
      bodyText: sent.bodyText,
      headers: new Map(Object.entries(sent.headers ?? {})),
      remoteAddress: '127.0.0.1',
      wrapTtlSeconds: undefined,
      sentToken: undefined,
      unauthenticatedMetrics: false,
      caller: match.path.auth === 'none' ? undefined : { ...ALICE, ...sent.caller },
      mount: this.#mount(),
      config: this.#cache.at(generation).view(CONFIG),
      store: this.#view(),
      now: this.now,
      newLease: (terms) => ({
        id: `ssh/${path}/${++this.#leases}`,
        expiresAt: this.now + terms.ttlSeconds * 1000,
        tokenId: ALICE.tokenId,
        terms,
      }),
      onGone: () => {},
      beginLease: (terms, writes) => this.#begin(path, generation?.version, terms, writes),
      hmac: (secret) => createHmac('sha256', 'key').update(secret).digest('hex'),
      allowsSudo: async (wanted, other) => this.allowsSudo(wanted, other),
      stillAllowed: () => this.stillAllowed(),
    }
    return { match, call }
  }

  #mount(): Call['mount'] {
    const { options = {}, defaultTtl, maxTtl } = this.tuning
    return {
      path: 'ssh/',
      type: 'ssh',
      uuid: 'm',
      accessor: 'ssh_00000000',
      options: new Map(Object.entries(options)),
      tunedDefaultTtlSeconds: defaultTtl,
      tunedMaxTtlSeconds: maxTtl,
      defaultTtlSeconds: defaultTtl ?? SYSTEM_TTL,
      maxTtlSeconds: maxTtl ?? SYSTEM_TTL,
    }
  }
}

/** Mounts a backend on a fresh store. */
export async function mount(backend: Backend): Promise<Mounted> {
  return new Mounted(backend, await openSqliteStore({ path: ':memory:' }))
}

/** As the barrier does: a commit to configuration replaces the generation. */
function newGeneration(writes: readonly Write[]): Write[] {
  if (!writes.some(({ key }) => key.startsWith(CONFIG_PREFIX))) return []
  return [{ key: GENERATION_KEY, value: secretBytes(16) }]
}

function answer(outcome: Outcome): Answer {
  const { data, warnings = [], bare } = outcome
  const isEmpty = data === undefined && warnings.length === 0 && bare === undefined
  return {
    status: isEmpty ? 204 : 200,
    data: (data ?? {}) as Record<string, unknown>,
    warnings,
    error: undefined,
    body: bare?.body,
    outcome,
  }
}
