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
  for (;;) {
    const [entry] = await store.get([MOUNTS_KEY])
    if (!entry) return
    const table = MountTable.decode(entry.value)
    if (table.byUuid(mount.uuid) === undefined) return
    const rest = table.without(mount.path)
    const write = { key: MOUNTS_KEY, value: rest.encode() }
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
