/** The engines of mounts, as ending and renewing leases outside the store sees them (protocols 1.5). */
import type { Clock } from '../../clock.ts'
import type { EngineOf, LeaseEngine } from '../../lease/external/engine.ts'
import type { StoredLease } from '../../lease/lease.ts'
import type { Mount } from '../../mount/mount-table.ts'
import type { Backend, ExternalEffects, LeasedData, MountViews } from '../../mount/path.ts'
import type { Store } from '../../storage/store.ts'
import { StoreView } from '../../storage/view.ts'
import { type ConfigCache, type ConfigSnapshot, StaleGeneration } from '../config/config-cache.ts'
import { currentConfig, currentState } from '../config/mounts.ts'
import type { RoutedBackend, SystemTtl } from '../parts.ts'
import { configPrefix, dataPrefix, mountPointOf } from '../request/call.ts'

export interface EngineParts {
  readonly store: Store
  readonly cache: ConfigCache
  readonly backends: ReadonlyMap<string, RoutedBackend>
  readonly systemTtl: SystemTtl
  readonly clock: Clock
}

/** How often work begins again because the configuration changed under it. */
const RESTARTS = 3

export function leaseEngines(parts: EngineParts): EngineOf {
  return async (mountUuid) => {
    const { store, cache, backends } = parts
    const { config, mounts } = await currentState(store, cache)
    const mount = mounts.byUuid(mountUuid)
    const backend = mount && backends.get(mount.type)?.backend
    if (!mount || !backend?.external) return undefined
    return engineOf(parts, mount, backend, backend.external, config)
  }
}

function engineOf(
  parts: EngineParts,
  mount: Mount,
  { revoke }: Backend,
  { end, renew, groupOf }: ExternalEffects,
  found: ConfigSnapshot,
): LeaseEngine {
  const dataOf = (lease: StoredLease, config: ConfigSnapshot) =>
    leasedData(parts, mount, lease, config)
  return {
    end: (leases) =>
      onFirmGround(parts, async (config) => {
        const results = await end(leases.map((lease) => dataOf(lease, config)))
        const stale = results.find((result) => result instanceof StaleGeneration)
        if (stale) throw stale
        return results
      }),
    ...(renew && {
      renew: (lease: StoredLease, expiresAt: number) =>
        onFirmGround(parts, (config) => renew(dataOf(lease, config), expiresAt)),
    }),
    groupOf: (lease) => groupOf?.(dataOf(lease, found)) ?? '',
    removalOf: (lease) =>
      onFirmGround(parts, async (config) => (await revoke?.(dataOf(lease, config)))?.writes ?? []),
  }
}

/** What a backend sees of a lease of its mount. */
export function leasedData(
  { store, systemTtl }: Pick<EngineParts, 'store' | 'systemTtl'>,
  mount: Mount,
  { id, data, expiresAt, maxExpiresAt }: StoredLease,
  config: ConfigSnapshot,
): LeasedData {
  return {
    id,
    data,
    expiresAt,
    maxExpiresAt,
    mount: mountPointOf(mount, systemTtl),
    config: config.view(configPrefix(mount)),
    store: new StoreView(store, dataPrefix(mount)),
  }
}

/** Work in one mount that no request stands behind. */
export function inMount<T>(
  parts: EngineParts,
  mount: Mount,
  work: (views: MountViews) => Promise<T>,
): Promise<T> {
  const { store, systemTtl, clock } = parts
  return onFirmGround(parts, (config) =>
    work({
      mount: mountPointOf(mount, systemTtl),
      config: config.view(configPrefix(mount)),
      store: new StoreView(store, dataPrefix(mount)),
      now: clock.now(),
    }),
  )
}

/** Work that no request stands behind, begun again with the new configuration when that changes under it. */
async function onFirmGround<T>(
  { store, cache }: EngineParts,
  work: (config: ConfigSnapshot) => Promise<T>,
): Promise<T> {
  for (let restarts = 0; ; restarts++) {
    try {
      return await work(await currentConfig(store, cache))
    } catch (error) {
      if (!(error instanceof StaleGeneration) || restarts === RESTARTS) throw error
    }
  }
}
