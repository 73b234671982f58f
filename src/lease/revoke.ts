/** Ending leases: one, or all under a prefix. What a lease stands for goes in the same commit as the lease. */
import type { Outcome } from '../mount/call.ts'
import type { Store } from '../storage/store.ts'
import { keysUnder } from '../storage/view.ts'
import { inBatches } from './batch.ts'
import type { StoredLease } from './lease.ts'
import { LEASE_PREFIX, leaseRemoval, readLease } from './lease.ts'

/** How a lease's engine and token are reached; the core knows them. */
export interface LeaseEnds {
  /** The writes that end what the lease stands for; undefined when its mount is gone. */
  endSecret(lease: StoredLease): Promise<Outcome | undefined>
  /** Spares a token that does not end by this time. */
  revokeToken(tokenId: string, dueBy: number): Promise<void>
  /** Takes care of leases whose end needs work outside the store. */
  endOutside(ids: readonly string[], force: boolean): Promise<void>
}

export interface RevokeOptions {
  /** An engine that fails is passed over. */
  readonly force?: boolean
  /** Spares what does not end by this time, in milliseconds since the epoch: it was renewed meanwhile. */
  readonly dueBy?: number
  /** Spares the leases of other mounts: this one has moved away, and another may lie there now. */
  readonly mountUuid?: string | undefined
}

/** Ends one lease. An unknown id is a success. */
export async function revokeLease(
  store: Store,
  ends: LeaseEnds,
  id: string,
  { force = false, dueBy = Number.POSITIVE_INFINITY, mountUuid }: RevokeOptions = {},
): Promise<void> {
  for (;;) {
    const lease = await readLease(store, id)
    if (!lease || lease.expiresAt > dueBy) return
    if (mountUuid !== undefined && lease.mountUuid !== mountUuid) return
    if (lease.external) return ends.endOutside([id], force)
    if (lease.kind === 'token') return ends.revokeToken(lease.tokenId, dueBy)
    const end = await endOf(lease, ends, force)
    const result = await store.commit(
      [...(end?.writes ?? []), ...leaseRemoval(lease)],
      [{ key: LEASE_PREFIX + id, is: lease.version }],
    )
    // Renewed or revoked meanwhile: look again.
    if (result.committed) return
  }
}

async function endOf(lease: StoredLease, ends: LeaseEnds, force: boolean) {
  try {
    return await ends.endSecret(lease)
  } catch (error) {
    if (!force) throw error
    return undefined
  }
}

/** Ends the lease of this id and every lease below it. */
export async function revokePrefix(
  store: Store,
  ends: LeaseEnds,
  prefix: string,
  options: RevokeOptions = {},
): Promise<void> {
  const folder = prefix.endsWith('/') || prefix === '' ? prefix : `${prefix}/`
  if (folder !== prefix) await revokeLease(store, ends, prefix, options)
  const prefixed = keysUnder(store, LEASE_PREFIX + folder)
  await revokeAll(store, ends, idsOf(prefixed, LEASE_PREFIX), options)
}

/** Ends all these; what has to be ended outside the store is handed over together. */
export async function revokeAll(
  store: Store,
  ends: LeaseEnds,
  ids: AsyncIterable<string>,
  options: RevokeOptions = {},
): Promise<void> {
  const outside: string[] = []
  const collecting: LeaseEnds = {
    ...ends,
    endOutside: async (found) => void outside.push(...found),
  }
  try {
    await inBatches(ids, (id) => revokeLease(store, collecting, id, options))
  } finally {
    if (outside.length > 0) await ends.endOutside(outside, options.force ?? false)
  }
}

/** The lease ids in keys of an index. */
export async function* idsOf(keys: AsyncIterable<string>, prefix: string): AsyncGenerator<string> {
  for await (const key of keys) yield key.slice(prefix.length)
}
