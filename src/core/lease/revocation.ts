/** How leases and tokens are ended, put together: each knows the other only through here. */

import { cubbyholeFolder } from '../../engine/cubbyhole/backend.ts'
import type { LeaseEnder } from '../../lease/external/ender.ts'
import type { StoredLease } from '../../lease/lease.ts'
import { heldPrefix, leaseRemoval } from '../../lease/lease.ts'
import { idsOf, type LeaseEnds, revokeAll, revokeLease, revokePrefix } from '../../lease/revoke.ts'
import type { Outcome } from '../../mount/call.ts'
import type { Write } from '../../storage/store.ts'
import { keysUnder } from '../../storage/view.ts'
import {
  resumeRevocations,
  revokeTokenAlone,
  revokeTokenTree,
  type TokenHoldings,
} from '../../token/revoke.ts'
import { type TokenRecord, tokenLeaseId } from '../../token/token.ts'
import { currentMounts, currentState, deleteUnder, removeMount } from '../config/mounts.ts'
import { dataPrefix } from '../request/call.ts'
import { type EngineParts, leasedData } from './lease-engines.ts'

export interface RevocationParts extends EngineParts {
  readonly ender: LeaseEnder
}

export class Revocation {
  readonly #parts: RevocationParts
  readonly #ends: LeaseEnds
  readonly #holdings: TokenHoldings

  constructor(parts: RevocationParts) {
    this.#parts = parts
    this.#ends = {
      endSecret: (lease) => this.#endSecret(lease),
      revokeToken: (tokenId, dueBy) =>
        revokeTokenTree(this.#parts.store, this.#holdings, tokenId, dueBy),
      endOutside: (ids, force) => this.#endOutside(ids, force),
    }
    this.#holdings = {
      revokeHeldLeases: (tokenId) => this.#revokeHeldLeases(tokenId),
      removeCubbyhole: (tokenId) => this.#removeCubbyhole(tokenId),
      prefixes: async (tokenId) => [heldPrefix(tokenId), ...(await this.#cubbyholes(tokenId))],
      leaseRemoval: removalOfTokenLease,
    }
  }

  revokeToken(tokenId: string): Promise<void> {
    return revokeTokenTree(this.#parts.store, this.#holdings, tokenId)
  }

  revokeTokenAlone(tokenId: string): Promise<void> {
    return revokeTokenAlone(this.#parts.store, this.#holdings, tokenId)
  }

  revokeLease(id: string): Promise<void> {
    return revokeLease(this.#parts.store, this.#ends, id)
  }

  /** The same, but what has to be ended outside the store is made due and not waited for. */
  endSoon(id: string): Promise<void> {
    return revokeLease(this.#parts.store, this.#endsSoon(), id)
  }

  /** Ends a lease that is due by this time, in milliseconds since the epoch; one that was renewed meanwhile stays. */
  expireLease(id: string, dueBy: number): Promise<void> {
    return revokeLease(this.#parts.store, this.#ends, id, { dueBy })
  }

  revokePrefix(prefix: string, force: boolean): Promise<void> {
    return revokePrefix(this.#parts.store, this.#ends, prefix, force)
  }

  /** Ends the leases of a mount that is marked as unmounting, then removes all that it stored. */
  async emptyMount(mountUuid: string): Promise<void> {
    const { store, cache } = this.#parts
    const mount = (await currentMounts(store, cache)).byUuid(mountUuid)
    if (!mount?.unmounting) return
    await this.revokePrefix(mount.path, true)
    await removeMount(store, mount)
  }

  /** Finishes what a crash or a restart left half done. */
  async resume(): Promise<void> {
    const { store, cache } = this.#parts
    await resumeRevocations(store, this.#holdings)
    for (const mount of (await currentMounts(store, cache)).all()) {
      if (mount.unmounting) await this.emptyMount(mount.uuid)
    }
  }

  async #endSecret(lease: StoredLease): Promise<Outcome | undefined> {
    const { store, cache, backends } = this.#parts
    const { config, mounts } = await currentState(store, cache)
    const mount = mounts.byUuid(lease.mountUuid)
    const revoke = mount && backends.get(mount.type)?.backend.revoke
    if (!mount || !revoke) return undefined
    return revoke(leasedData(this.#parts, mount, lease, config))
  }

  async #endOutside(ids: readonly string[], force: boolean): Promise<void> {
    const { ender } = this.#parts
    if (force) return ender.endOrDrop(ids)
    const failure = (await ender.endNow(ids)).find((result) => result !== undefined)
    if (failure) throw failure
  }

  #endsSoon(): LeaseEnds {
    return { ...this.#ends, endOutside: (ids) => this.#parts.ender.retire(ids) }
  }

  /** A token goes at once: no host keeps it waiting. */
  async #revokeHeldLeases(tokenId: string): Promise<void> {
    const { store } = this.#parts
    const prefix = heldPrefix(tokenId)
    await revokeAll(store, this.#endsSoon(), idsOf(keysUnder(store, prefix), prefix))
  }

  async #removeCubbyhole(tokenId: string): Promise<void> {
    for (const folder of await this.#cubbyholes(tokenId)) {
      await deleteUnder(this.#parts.store, folder)
    }
  }

  async #cubbyholes(tokenId: string): Promise<string[]> {
    const { store, cache } = this.#parts
    const mount = (await currentMounts(store, cache)).get('cubbyhole/')
    return mount ? [dataPrefix(mount) + cubbyholeFolder(tokenId)] : []
  }
}

function removalOfTokenLease(tokenId: string, record: TokenRecord): Write[] {
  if (record.expiresAt === 0) return []
  const id = tokenLeaseId(record.path, tokenId)
  return leaseRemoval({ id, expiresAt: record.expiresAt, tokenId })
}
