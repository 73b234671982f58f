/** What the sys backend and the token method are given of the core. */
import type { TokenServices } from '../auth/token/services.ts'
import { badRequest, PosternError } from '../errors.ts'
import { renewOutside } from '../lease/external/renew.ts'
import type { Call } from '../mount/call.ts'
import type { Mount } from '../mount/mount-table.ts'
import { judgedPath } from '../mount/router.ts'
import { isPolicyName } from '../policy/name.ts'
import { policyKey } from '../policy/stored-policy.ts'
import type { Barrier } from '../seal/barrier.ts'
import type { GenerateRoot } from '../seal/generate-root.ts'
import type { Rekey } from '../seal/rekey.ts'
import type { Seal } from '../seal/seal.ts'
import type { Write } from '../storage/store.ts'
import type { AuditServices, ServerFacts, SysServices } from '../sys/services.ts'
import { isExpired } from '../token/token.ts'
import { readByAccessor, readToken, revokingKey, tokenKey } from '../token/token-store.ts'
import type { Background } from './background.ts'
import { aclOf } from './config/acl-cache.ts'
import { currentConfig, currentMounts } from './config/mounts.ts'
import { type InFlight, inFlightView } from './in-flight.ts'
import type { Revocation } from './lease/revocation.ts'
import type { Metrics } from './metrics.ts'
import { openApiOf } from './openapi.ts'
import type { Parts } from './parts.ts'
import { wrappingServices } from './request/wrapping.ts'

interface SysParts {
  readonly parts: Parts
  readonly seal: Seal
  readonly rekey: Rekey
  readonly generateRoot: GenerateRoot
  readonly revocation: Revocation
  readonly background: Background
  readonly metrics: Metrics
  readonly audit: AuditServices
  readonly inFlight: InFlight
  readonly server: Omit<ServerFacts, 'clusterName'> & {
    readonly configuredClusterName: string | undefined
  }
  firstRecords(hmac: (secret: string) => string): { writes: readonly Write[]; rootToken: string }
}

/** Types that are always there: others may be mounted. */
const BUILT_IN = ['system', 'token', 'cubbyhole']
const AUTH_METHODS: readonly string[] = []

export function sysServices(options: SysParts): SysServices {
  const { parts, seal, revocation, background } = options
  const { store, cache } = parts
  const { configuredClusterName, ...server } = options.server
  return {
    store,
    seal,
    rekey: options.rekey,
    generateRoot: options.generateRoot,
    systemTtl: parts.systemTtl,
    audit: options.audit,
    metrics: options.metrics,
    wrapping: wrappingServices(parts),
    server: {
      ...server,
      get clusterName() {
        return (
          configuredClusterName ?? `postern-cluster-${seal.barrier.keyring.clusterId.slice(0, 8)}`
        )
      },
    },
    leases: {
      revoke: (id) => revocation.revokeLease(id),
      revokePrefix: (prefix, force) => revocation.revokePrefix(prefix, force),
      revokeSoon: (id) => revocation.endSoon(id),
      revokePrefixSoon: (prefix) => revocation.endPrefixSoon(prefix),
      renewOutside: (id, expiresAt, now) =>
        renewOutside(parts.leases.engineOf, store, id, { expiresAt, now }),
      inBackground: (work) => background.run(work),
    },
    hmac: parts.hmac,
    firstRecords: (barrier: Barrier) => options.firstRecords((secret) => barrier.hmac(secret)),
    mountTypes: (mountClass) => (mountClass === 'secret' ? secretsEngines(parts) : AUTH_METHODS),
    checkMountOptions: (_type, mountOptions) => checkCompat(mountOptions, server.allowsCompat2015),
    mountTable: () => currentMounts(store, cache),
    emptyMount: (uuid) => revocation.emptyMount(uuid),
    endMoved: (uuid) => revocation.endMoved(uuid),
    policyPath: (_call, path) => policyPath(parts, path),
    aclOf: async (call, token) =>
      aclOf(await currentConfig(store, cache), token.policies, call.now),
    isRoot: (token) => token.policies.includes('root'),
    tokenByText: async (text, now) => {
      const token = await readToken(store, parts.hmac(text))
      return token && !isExpired(token, now) ? token : undefined
    },
    tokenByAccessor: (accessor, now) => readByAccessor(store, accessor, now),
    revokeToken: (tokenId) => revocation.revokeToken(tokenId),
    openApi: (call) => openApi(parts, call),
    inFlight: () => inFlightView(parts, options.inFlight),
  }
}

function secretsEngines({ backends }: Parts): string[] {
  return [...backends.keys()].filter((type) => !BUILT_IN.includes(type))
}

function checkCompat(options: ReadonlyMap<string, string>, isAllowed: boolean): void {
  const compat = options.get('compat')
  if (compat === undefined) return
  if (compat !== '2015')
    throw badRequest(`the option "compat" can only be "2015", not ${JSON.stringify(compat)}`)
  if (!isAllowed) {
    throw badRequest(
      'compat=2015 is not allowed here: set allow_compat_2015 = true in the server config',
    )
  }
}

async function policyPath(parts: Parts, path: string): Promise<string> {
  const found = (await currentMounts(parts.store, parts.cache)).route(path)
  const match = found && parts.backends.get(found.mount.type)?.router.match(found.rest, 'read')
  return match ? judgedPath(match, path, found.rest) : path
}

/** Of the mounts that the caller may see; without a token, only the paths that need none. */
async function openApi(parts: Parts, call: Call): Promise<Record<string, unknown>> {
  const table = await currentMounts(parts.store, parts.cache)
  const config = await currentConfig(parts.store, parts.cache)
  const acl = call.caller && (await aclOf(config, call.caller.policies, call.now))
  const isVisible = (mount: Mount) =>
    mount.path === 'sys/' ||
    mount.config.listingVisibility === 'unauth' ||
    (acl?.reachesInto(mount.path) ?? false)
  const mounted = table
    .all()
    .filter(isVisible)
    .flatMap((mount) => {
      const paths = parts.backends.get(mount.type)?.backend.paths ?? []
      const shown = call.caller ? paths : paths.filter((path) => path.auth !== undefined)
      return shown.map((path) => ({ mountPath: mount.path, path }))
    })
  return openApiOf(mounted)
}

export function tokenServices(parts: Parts, revocation: Revocation): TokenServices {
  const { store } = parts
  return {
    store,
    hmac: parts.hmac,
    tokenOf: async (caller) => {
      const token = await readToken(store, caller.tokenId)
      if (!token) throw new PosternError('permission_denied')
      return token
    },
    exists: async (text) => {
      const id = parts.hmac(text)
      const [token, ending] = await store.get([tokenKey(id), revokingKey(id)])
      return token !== undefined || ending !== undefined
    },
    policyExists: async (name) => {
      if (!isPolicyName(name)) return false
      const [entry] = await store.get([policyKey(name)])
      return entry !== undefined
    },
    revokeToken: (tokenId, grants) => revocation.revokeToken(tokenId, grants),
    revokeTokenAlone: (tokenId, grants) => revocation.revokeTokenAlone(tokenId, grants),
  }
}
