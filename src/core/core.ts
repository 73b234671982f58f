/**
 * The composition root: puts store, seal, cache, audit, backends and pipeline together, and is what the HTTP
 * server hands its requests to.
 */
import { hostname } from 'node:os'
import { createTokenBackend } from '../auth/token/backend.ts'
import type { Clock } from '../clock.ts'
import { createCubbyholeBackend } from '../engine/cubbyhole/backend.ts'
import { createSshBackend } from '../engine/ssh/backend.ts'
import { Expiration } from '../lease/expiration.ts'
import { LeaseEnder } from '../lease/external/ender.ts'
import type { EngineOf } from '../lease/external/engine.ts'
import type { Backend } from '../mount/path.ts'
import { Router } from '../mount/router.ts'
import { Connections } from '../remote/connections.ts'
import { GenerateRoot } from '../seal/generate-root.ts'
import type { SealSettings } from '../seal/init.ts'
import { Rekey } from '../seal/rekey.ts'
import { Seal } from '../seal/seal.ts'
import type { Store } from '../storage/store.ts'
import { createSysBackend } from '../sys/backend.ts'
import type { AuditDeviceEntry } from '../sys/services.ts'
import { tokenTree } from '../token/token-tree.ts'
import { type AuditDevices, auditServices, openAuditDevices } from './audit/audit-table.ts'
import { Background } from './background.ts'
import { ConfigCache } from './config/config-cache.ts'
import { firstRecords, newRootToken } from './first-records.ts'
import { Housekeeping } from './housekeeping.ts'
import { leaseEngines } from './lease/lease-engines.ts'
import { finishRestore } from './lease/restore.ts'
import { Revocation } from './lease/revocation.ts'
import { Metrics } from './metrics.ts'
import { MissLimit } from './miss-limit.ts'
import type { AuditLog, Parts, RoutedBackend, ServerLog, SystemTtl } from './parts.ts'
import { answerDirectly, asksToSeal, directMatch } from './request/direct.ts'
import { tokenWrites } from './request/issue.ts'
import { Pipeline } from './request/pipeline.ts'
import type { Request } from './request/request.ts'
import type { Response } from './request/response.ts'
import { sysServices, tokenServices } from './services.ts'

/** `s.` and 24 characters. */
const TOKEN_CHARACTERS = 26

export interface CoreOptions {
  /** The raw store; values are sealed above it. */
  readonly store: Store
  readonly storageType: string
  readonly seal: SealSettings
  readonly clock: Clock
  readonly log: ServerLog
  readonly audit: AuditLog & AuditDevices & { clear(): void }
  readonly auditDevices: readonly AuditDeviceEntry[]
  readonly systemTtl: SystemTtl
  readonly missLimit: { readonly ratePerSecond: number; readonly burst: number }
  /** As clients parse it: a Vault version with ours behind a plus sign (Decision 15). */
  readonly version: string
  readonly clusterName: string | undefined
  readonly apiAddress: string
  readonly isDev: boolean
  readonly allowCompat2015: boolean
  readonly allowInstallScripts: boolean
  /** Secrets engines besides `ssh`, to be mounted by their type. */
  readonly moreEngines?: readonly Backend[]
}

export class Core {
  readonly seal: Seal
  readonly metrics: Metrics
  readonly #options: CoreOptions
  readonly #cache: ConfigCache
  readonly #revocation: Revocation
  readonly #engineOf: EngineOf
  readonly #ender: LeaseEnder
  readonly #expiration: Expiration
  readonly #background: Background
  readonly #housekeeping: Housekeeping
  /** Aborted when nobody is to be kept waiting any more. */
  readonly #closing = new AbortController()
  readonly #pipeline: Pipeline
  readonly #missLimit: MissLimit
  readonly #remote = new Connections()
  readonly #backends = new Map<string, RoutedBackend>()
  readonly #inFlight = new Map<string, { readonly request: Request; readonly startedAt: number }>()
  #rootTokenId: string | undefined

  constructor(options: CoreOptions) {
    this.#options = options
    const { clock, log } = options
    this.seal = new Seal(options.store, { seal: options.seal, clock })
    this.metrics = new Metrics(() => !this.seal.isSealed)
    const store = this.seal.barrier
    this.#cache = new ConfigCache(store)
    const { systemTtl } = options
    const engines = { store, cache: this.#cache, backends: this.#backends, systemTtl, clock }
    const onFailure = (id: string, error: unknown) =>
      log.error({ err: error, lease: id }, 'a lease could not be ended; trying again')
    this.#engineOf = leaseEngines(engines)
    this.#ender = new LeaseEnder({ store, clock, engineOf: this.#engineOf, onFailure })
    this.#revocation = new Revocation({ ...engines, ender: this.#ender })
    this.#background = new Background(log)
    this.#housekeeping = new Housekeeping(engines, log)
    this.#expiration = new Expiration({
      store,
      clock,
      external: this.#ender,
      onFailure,
      expire: (id, dueBy) => this.#revocation.expireLease(id, dueBy),
    })
    this.#missLimit = this.#makeMissLimit()
    const parts = this.#parts()
    this.#pipeline = new Pipeline(parts)
    for (const backend of this.#makeBackends(parts)) {
      this.#backends.set(backend.type, { backend, router: new Router(backend.paths) })
    }
    this.seal.onUnsealed(() => this.#onUnsealed())
    this.seal.onSealed(() => this.#onSealed())
  }

  /** Every backend, for the documents made from their paths. */
  get backends(): readonly Backend[] {
    return [...this.#backends.values()].map(({ backend }) => backend)
  }

  /** Unseals where the seal does so by itself. */
  async start(): Promise<void> {
    await this.seal.autoUnseal()
  }

  /** Makes and opens a server of one key share, for `-dev`. Gives the share and the root token. */
  async startDev(
    rootTokenId: string | undefined,
  ): Promise<{ unsealKey: string; rootToken: string }> {
    this.#rootTokenId = rootTokenId
    let rootToken = ''
    const { keys } = await this.seal.initialize({ shares: 1, threshold: 1 }, async (barrier) => {
      const first = this.#firstRecords((secret) => barrier.hmac(secret))
      rootToken = first.rootToken
      return first.writes
    })
    const unsealKey = (keys[0] as Buffer).toString('base64')
    await this.seal.unseal({ key: unsealKey })
    return { unsealKey, rootToken }
  }

  /** Answers one request. Rejects with a PosternError that may be shown to the caller. */
  async handle(request: Request): Promise<Response> {
    const sys = this.#backends.get('system') as RoutedBackend
    const match = directMatch(sys.router, request)
    if (match) return answerDirectly(request, match, this.#options.clock)
    if (this.seal.isSealed && asksToSeal(request)) return { kind: 'empty', status: 204 }
    const startedAt = this.#options.clock.now()
    this.#inFlight.set(request.id, { request, startedAt })
    this.metrics.begin()
    let status = 500
    try {
      const response = await this.#pipeline.answer(request)
      status = response.status
      return response
    } catch (error) {
      status = (error as { status?: number }).status ?? 500
      throw error
    } finally {
      this.#inFlight.delete(request.id)
      this.metrics.end(status, this.#options.clock.now() - startedAt)
    }
  }

  /** Ends every lease that is due now; the server does so each second while it is unsealed. */
  async endDueLeases(): Promise<void> {
    await this.#expiration.sweep()
    await this.#ender.settled()
  }

  /** What backends do each hour, now. */
  keepHouse(): Promise<void> {
    return this.#housekeeping.run()
  }

  /** Answers at once those who wait for something to happen: the server closes. */
  endWaiting(): void {
    this.#closing.abort()
  }

  /** Cuts programs on hosts, waits for work behind answers, and keeps the count of sealed values. */
  async stop(): Promise<void> {
    this.endWaiting()
    this.#housekeeping.stop()
    this.#expiration.stop()
    this.#ender.stop()
    await this.#remote.close()
    await this.#ender.settled()
    this.#missLimit.summarize()
    await this.#background.settled()
    if (!this.seal.isSealed) await this.seal.saveEncryptions()
  }

  async #onUnsealed(): Promise<void> {
    const { audit, auditDevices } = this.#options
    const store = this.seal.barrier
    await openAuditDevices({
      store,
      cache: this.#cache,
      devices: audit,
      configDevices: auditDevices,
    })
    await finishRestore(store, this.#options.log, {
      revocation: this.#revocation,
      housekeeping: this.#housekeeping,
    })
    this.#housekeeping.start()
    this.#background.start(() => {
      this.#missLimit.summarize()
      if (this.#housekeeping.takeDue()) this.#background.run(() => this.#housekeeping.run())
    })
    this.#background.run(() => this.#revocation.resume())
    this.#ender.start()
    this.#expiration.start()
  }

  #onSealed(): void {
    this.#expiration.stop()
    this.#ender.stop()
    this.#background.stop()
    this.#housekeeping.stop()
    this.#cache.clear()
    this.#options.audit.clear()
  }

  #firstRecords(hmac: (secret: string) => string) {
    return firstRecords({ hmac, now: this.#options.clock.now(), rootTokenId: this.#rootTokenId })
  }

  #parts(): Parts {
    const { clock, log, audit, systemTtl } = this.#options
    const { seal } = this
    return {
      store: seal.barrier,
      cache: this.#cache,
      audit,
      clock,
      log,
      systemTtl,
      backends: this.#backends,
      missLimit: this.#missLimit,
      isSealed: () => seal.isSealed,
      observeSeal: (entry) => seal.observe(entry),
      hmac: (secret) => seal.barrier.hmac(secret),
      revokeToken: (tokenId) => this.#revocation.revokeToken(tokenId),
      inBackground: (work) => this.#background.run(work),
      retryLater: (work) => this.#background.retryLater(work),
      leases: { engineOf: this.#engineOf, endDue: (ids) => this.#ender.endDue(ids) },
    }
  }

  #makeMissLimit(): MissLimit {
    const { clock, log, missLimit } = this.#options
    return new MissLimit({
      missesPerSecond: missLimit.ratePerSecond,
      burst: missLimit.burst,
      clock,
      onSummary: (summary) =>
        log.warn({ ...summary }, 'requests were refused after too many failed attempts'),
    })
  }

  #makeBackends(parts: Parts): Backend[] {
    const { clock, log, allowCompat2015, allowInstallScripts } = this.#options
    const { seal } = this
    const rekey = new Rekey(seal, clock)
    const generateRoot = new GenerateRoot(seal, {
      clock,
      tokenLength: TOKEN_CHARACTERS,
      createRootToken: async () => {
        const token = newRootToken({ hmac: parts.hmac, now: clock.now() })
        const { writes, conditions } = tokenWrites(token)
        await parts.store.commit(writes, conditions)
        return { text: token.text, keys: writes.map(({ key }) => key) }
      },
    })
    const options = this.#options
    const services = sysServices({
      parts,
      seal,
      rekey,
      generateRoot,
      revocation: this.#revocation,
      background: this.#background,
      metrics: this.metrics,
      audit: auditServices({
        store: parts.store,
        cache: this.#cache,
        devices: options.audit,
        configDevices: options.auditDevices,
      }),
      inFlight: this.#inFlight,
      firstRecords: (hmac) => this.#firstRecords(hmac),
      server: {
        version: options.version,
        storageType: options.storageType,
        configuredClusterName: options.clusterName,
        apiAddress: options.apiAddress,
        hostname: hostname(),
        startedAt: clock.now(),
        isDev: options.isDev,
        allowsCompat2015: allowCompat2015,
      },
    })
    return [
      createSysBackend(services),
      createTokenBackend(tokenServices(parts, this.#revocation)),
      createCubbyholeBackend(),
      createSshBackend({
        allowCompat2015,
        allowInstallScripts,
        allowLoopback: options.isDev,
        remote: this.#remote,
        clock,
        tokens: tokenTree(parts.store),
        closing: this.#closing.signal,
        clusterId: () => this.seal.barrier.keyring.clusterId,
        log,
      }),
      ...(options.moreEngines ?? []),
    ]
  }
}
