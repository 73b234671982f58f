/** The mount table for work that no request stands behind: revocations, unmounting, start-up. */
import { MOUNTS_KEY, type Mount, MountTable } from '../../mount/mount-table.ts'
import { GENERATION_KEY } from '../../storage/path.ts'
import type { Store } from '../../storage/store.ts'
import { keysUnder } from '../../storage/view.ts'
import { configPrefix, dataPrefix } from '../request/call.ts'
import { type ConfigCache, type ConfigSnapshot, StaleGeneration } from './config-cache.ts'

const DELETES_AT_ONCE = 500

/** The configuration as it is now. */
export async function currentConfig(store: Store, cache: ConfigCache): Promise<ConfigSnapshot> {
  const [generation] = await store.get([GENERATION_KEY])
  return cache.at(generation)
}

export async function currentMounts(store: Store, cache: ConfigCache): Promise<MountTable> {
  return (await currentState(store, cache)).mounts
}

/** Mounts and configuration of one generation. */
export async function currentState(
  store: Store,
  cache: ConfigCache,
): Promise<{ readonly config: ConfigSnapshot; readonly mounts: MountTable }> {
  for (;;) {
    try {
      const config = await currentConfig(store, cache)
      const mounts = (await config.get(MOUNTS_KEY, MountTable.decode)) ?? new MountTable([])
      return { config, mounts }
    } catch (error) {
      if (!(error instanceof StaleGeneration)) throw error
    }
  }
}

/** Deletes what a mount stored, and last the mount itself from the table. */
export async function removeMount(store: Store, mount: Mount): Promise<void> {
  await deleteUnder(store, dataPrefix(mount))
  await deleteUnder(store, configPrefix(mount))
  await changeTable(store, mount.uuid, (table) => table.without(mount.path))
}

/** Strikes these from the paths where a mount lay before. */
export async function forgetFormerPaths(
  store: Store,
  mountUuid: string,
  paths: readonly string[],
): Promise<void> {
  if (paths.length === 0) return
  await changeTable(store, mountUuid, (table, { formerPaths = [], ...mount }) => {
    const left = formerPaths.filter((path) => !paths.includes(path))
    return table.with({ ...mount, ...(left.length > 0 && { formerPaths: left }) })
  })
}

/** Changes the table, unless the mount is gone from it. */
async function changeTable(
  store: Store,
  mountUuid: string,
  change: (table: MountTable, mount: Mount) => MountTable,
): Promise<void> {
  for (;;) {
    const [entry] = await store.get([MOUNTS_KEY])
    if (!entry) return
    const table = MountTable.decode(entry.value)
    const mount = table.byUuid(mountUuid)
    if (!mount) return
    const write = { key: MOUNTS_KEY, value: change(table, mount).encode() }
    const result = await store.commit([write], [{ key: MOUNTS_KEY, is: entry.version }])
    if (result.committed) return
  }
}

/** Deletes every key under a prefix, in batches. */
export async function deleteUnder(store: Store, prefix: string): Promise<void> {
  let batch: { key: string }[] = []
  for await (const key of keysUnder(store, prefix)) {
    batch.push({ key })
    if (batch.length < DELETES_AT_ONCE) continue
    await store.commit(batch, [])
    batch = []
  }
  if (batch.length > 0) await store.commit(batch, [])
}
