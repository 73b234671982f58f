/** The public API of the package: a server in this process, and backups of its store. */
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import manifest from '../package.json' with { type: 'json' }
import { AuditBroker } from './audit/broker.ts'
import { parseDeviceOptions } from './audit/options.ts'
import { systemClock } from './clock.ts'
import { groupIdOf, userIdOf } from './config/account.ts'
import { readSealKey } from './config/seal-key.ts'
import type { ListenerConfig, ServerConfig } from './config/server-config.ts'
import { Core } from './core/core.ts'
import type { ServerLog } from './core/parts.ts'
import { createServerLog, type ServerLogOptions } from './core/server-log.ts'
import { PosternError } from './errors.ts'
import type { Listener, ListenerAddress } from './http/listener/listener.ts'
import { tlsFiles } from './http/listener/tls.ts'
import { type HttpServer, startHttpServer } from './http/server.ts'
import type { SealSettings } from './seal/init.ts'
import { backUpStore as backUp, restoreStore as restore } from './storage/backup.ts'
import { openSqliteStore } from './storage/sqlite/sqlite.ts'

export { loadServerConfig } from './config/parse.ts'
export type { ServerConfig } from './config/server-config.ts'

/** Clients read the reported version as Vault's, and gate features by it (contract, Decision 15). */
const API_VERSION = '1.15.0'
const GRACE_MS = 30_000

export const version: string = manifest.version

export interface DevOptions {
  /** Text of the root token; a random one when absent. */
  readonly rootTokenId?: string | undefined
}

export interface CreateServerOptions {
  readonly config: ServerConfig
  /** Makes an unsealed server at once: for trying things out. */
  readonly dev?: DevOptions | undefined
  readonly log?: Partial<ServerLogOptions>
}

export interface PosternServer {
  readonly addresses: readonly ListenerAddress[]
  readonly log: ServerLog
  /** Only of a dev server. */
  readonly dev: { readonly unsealKey: string; readonly rootToken: string } | undefined
  /** Reads certificates anew and opens audit files anew (SIGHUP). */
  reload(): Promise<void>
  /** Finishes the requests under way and closes the store. */
  close(): Promise<void>
}

/** Starts a server. Rejects with a PosternError when store, seal or a listener can't be opened. */
export async function createServer(options: CreateServerOptions): Promise<PosternServer> {
  const { config } = options
  const log = createServerLog({ level: config.logLevel, format: config.logFormat, ...options.log })
  checkAuditDevices(config)
  const store = await openStore(config)
  const audit = new AuditBroker({
    clock: systemClock,
    auditDir: options.dev ? 'any' : config.auditDir && path.resolve(config.auditDir),
    log,
  })
  const core = new Core({
    store,
    storageType: config.storage.type,
    seal: sealSettings(config),
    clock: systemClock,
    log,
    audit,
    auditDevices: config.auditDevices.map((device) => ({
      ...device,
      options: Object.fromEntries(device.options),
      local: false,
    })),
    systemTtl: {
      defaultSeconds: config.defaultLeaseTtlSeconds,
      maxSeconds: config.maxLeaseTtlSeconds,
    },
    missLimit: config.missLimit,
    version: `${API_VERSION}+postern.${version}`,
    clusterName: config.clusterName,
    apiAddress: config.apiAddr ?? '',
    isDev: options.dev !== undefined,
    allowCompat2015: config.allowCompat2015 || options.dev !== undefined,
    allowInstallScripts: config.allowInstallScripts || options.dev !== undefined,
  })
  try {
    const dev = options.dev ? await core.startDev(options.dev.rootTokenId) : undefined
    if (!dev) await core.start()
    const servers = await listen(config, core, log)
    return {
      addresses: servers.flatMap(({ addresses }) => addresses),
      log,
      dev,
      reload: async () => {
        const failures: unknown[] = []
        for (const server of servers) {
          try {
            server.reloadTls()
          } catch (error) {
            failures.push(error)
          }
        }
        // A certificate that can't be read must not keep a rotated log from being opened anew.
        await audit.reopen()
        if (failures.length > 0) throw failures[0]
      },
      close: async () => {
        core.endWaiting()
        await Promise.all(servers.map((server) => server.close(GRACE_MS)))
        await core.stop()
        await audit.close()
        await store.close()
      },
    }
  } catch (error) {
    await store.close()
    throw error
  }
}

/** A wrong option is told at start, not at the unseal that would open the device. */
function checkAuditDevices({ auditDevices }: ServerConfig): void {
  for (const { type, path: name, options } of auditDevices) {
    try {
      parseDeviceOptions(type, Object.fromEntries(options))
    } catch (cause) {
      const reason = (cause as Error).message
      throw new PosternError('invalid_config', `audit device "${name}": ${reason}`)
    }
  }
}

function openStore({ storage }: ServerConfig) {
  if (storage.type === 'inmem') return openSqliteStore({ path: ':memory:' })
  mkdirSync(path.dirname(storage.path), { recursive: true, mode: 0o700 })
  return openSqliteStore({ path: storage.path })
}

function sealSettings({ seal }: ServerConfig): SealSettings {
  if (seal.type === 'shamir') return seal
  const { currentKeyId: keyId, currentKey } = seal
  return { type: 'static', keyId, loadKey: () => readSealKey(currentKey) }
}

async function listen(config: ServerConfig, core: Core, log: ServerLog): Promise<HttpServer[]> {
  const servers: HttpServer[] = []
  try {
    for (const listener of config.listeners) {
      const { limits } = listener
      const server = await startHttpServer({
        listeners: [listenerOf(listener)],
        handle: (request) => core.handle(request),
        log: ({ level, message, cause }) => log[level]({ err: cause }, message),
        limits: {
          maxBodyBytes: limits.maxRequestBytes,
          bodyMilliseconds: limits.readTimeoutSeconds * 1000,
          requestMilliseconds: limits.maxRequestSeconds * 1000,
          headersMilliseconds: limits.readHeaderTimeoutSeconds * 1000,
          keepAliveMilliseconds: limits.idleTimeoutSeconds * 1000,
        },
      })
      servers.push(server)
    }
  } catch (cause) {
    await Promise.all(servers.map((server) => server.close(0)))
    const reason = (cause as Error).message
    throw new PosternError('invalid_config', `a listener can't be opened: ${reason}`, { cause })
  }
  return servers
}

function listenerOf(config: ListenerConfig): Listener {
  const unauthenticatedMetrics = config.unauthenticatedMetricsAccess
  if (config.type === 'unix') {
    const { path: socket, socketMode, socketUser, socketGroup } = config
    return {
      kind: 'unix',
      path: socket,
      unauthenticatedMetrics,
      ...(socketMode === undefined ? {} : { mode: socketMode }),
      ...(socketUser === undefined ? {} : { uid: userIdOf(socketUser) }),
      ...(socketGroup === undefined ? {} : { gid: groupIdOf(socketGroup) }),
    }
  }
  const { host, port, tls, forwarded } = config
  return {
    kind: 'tcp',
    host: host ?? '::',
    port,
    unauthenticatedMetrics,
    ...(forwarded === undefined ? {} : { forwarded }),
    ...(tls === undefined
      ? {}
      : {
          tls: {
            load: tlsFiles(
              tls.certFile,
              tls.keyFile,
              tls.disableClientCerts ? undefined : tls.clientCaFile,
            ),
            minVersion: tls.minVersion,
            requireClientCertificate: tls.requireAndVerifyClientCert,
          },
        }),
  }
}

/** Copies the store of a running or stopped server to a file, still sealed. */
export function backupStore(store: string, to: string): Promise<void> {
  return backUp({ path: store, to })
}

/** Puts a backup in the place of a stopped server's store; gives the name under which the old one is kept. */
export async function restoreStore(
  from: string,
  store: string,
  options: { readonly keepTokens?: boolean; readonly keepAccessor?: string | undefined } = {},
): Promise<string | undefined> {
  const { replaced } = await restore({ from, path: store, ...options })
  return replaced
}
