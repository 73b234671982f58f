/** How leases and tokens are ended, put together: each knows the other only through here. */

import { cubbyholeFolder } from '../../engine/cubbyhole/backend.ts'
import type { LeaseEnder } from '../../lease/external/ender.ts'
import type { StoredLease } from '../../lease/lease.ts'
import { heldPrefix, LEASE_PREFIX, leaseRemoval, readLease } from '../../lease/lease.ts'
import { idsOf, type LeaseEnds, revokeAll, revokeLease, revokePrefix } from '../../lease/revoke.ts'
import type { Outcome } from '../../mount/call.ts'
import type { Mount } from '../../mount/mount-table.ts'
import type { TokenGrants } from '../../mount/path.ts'
import type { Write } from '../../storage/store.ts'
import { keysUnder } from '../../storage/view.ts'
import {
  type EndedGrants,
  resumeRevocations,
  revokeTokenAlone,
  revokeTokenTree,
  type TokenHoldings,
} from '../../token/revoke.ts'
import { type TokenRecord, tokenLeaseId } from '../../token/token.ts'
import {
  currentMounts,
  currentState,
  deleteUnder,
  forgetFormerPaths,
  removeMount,
} from '../config/mounts.ts'
import { dataPrefix } from '../request/call.ts'
import { type EngineParts, inMount, leasedData } from './lease-engines.ts'

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
      revokeToken: (tokenId, dueBy) => {
        // That its time is up is nobody's wish to revoke anything.
        const grants = dueBy === Number.POSITIVE_INFINITY ? 'by default' : 'none'
        return revokeTokenTree(this.#parts.store, this.#holdings, tokenId, { dueBy, grants })
      },
      endOutside: (ids, force) => this.#endOutside(ids, force),
    }
    this.#holdings = {
      revokeHeldLeases: (tokenId) => this.#revokeHeldLeases(tokenId),
      removeCubbyhole: (tokenId) => this.#removeCubbyhole(tokenId),
      prefixes: async (tokenId, grants) => [
        heldPrefix(tokenId),
        ...(await this.#cubbyholes(tokenId)),
        ...(await this.#granting(grants)).map(
          ({ mount, folder }) => dataPrefix(mount) + folder(tokenId),
        ),
      ],
      endGrants: (tokenId, grants, last) => this.#endGrants(tokenId, grants, last),
      leaseRemoval: removalOfTokenLease,
    }
  }

  revokeToken(tokenId: string, grants: EndedGrants = 'none'): Promise<void> {
    return revokeTokenTree(this.#parts.store, this.#holdings, tokenId, { grants })
  }

  revokeTokenAlone(tokenId: string, grants: EndedGrants = 'none'): Promise<void> {
    return revokeTokenAlone(this.#parts.store, this.#holdings, tokenId, grants)
  }

  revokeLease(id: string): Promise<void> {
    return revokeLease(this.#parts.store, this.#ends, id)
  }

  /** The same, but what has to be ended outside the store is made due and not waited for. */
  endSoon(id: string): Promise<void> {
    return revokeLease(this.#parts.store, this.#endsSoon(), id)
  }

  endPrefixSoon(prefix: string): Promise<void> {
    return revokePrefix(this.#parts.store, this.#endsSoon(), prefix)
  }

  /** Ends a lease that is due by this time, in milliseconds since the epoch; one that was renewed meanwhile stays. */
  expireLease(id: string, dueBy: number): Promise<void> {
    return revokeLease(this.#parts.store, this.#ends, id, { dueBy })
  }

  revokePrefix(prefix: string, force: boolean): Promise<void> {
    return revokePrefix(this.#parts.store, this.#ends, prefix, { force })
  }

  /** Ends the leases of a mount that is marked as unmounting, then removes all that it stored. */
  async emptyMount(mountUuid: string): Promise<void> {
    const { store, cache } = this.#parts
    const mount = (await currentMounts(store, cache)).byUuid(mountUuid)
    if (!mount?.unmounting) return
    await this.revokePrefix(mount.path, true)
    await this.#endAtFormerPaths(mount, this.#ends, true)
    await removeMount(store, mount)
  }

  /** Ends the leases that a mount has left at the paths where it lay before, and forgets those where none are left. */
  async endMoved(mountUuid: string, ends: LeaseEnds = this.#ends): Promise<void> {
    const { store, cache } = this.#parts
    const mount = (await currentMounts(store, cache)).byUuid(mountUuid)
    if (!mount?.formerPaths || mount.unmounting) return
    await this.#endAtFormerPaths(mount, ends, false)
    const empty: string[] = []
    for (const path of mount.formerPaths)
      if (!(await this.#hasLeases(mount, path))) empty.push(path)
    await forgetFormerPaths(store, mountUuid, empty)
  }

  /** Finishes what a crash or a restart left half done. */
  async resume(): Promise<void> {
    const { store, cache } = this.#parts
    await resumeRevocations(store, this.#holdings)
    for (const mount of (await currentMounts(store, cache)).all()) {
      if (mount.unmounting) await this.emptyMount(mount.uuid)
      else await this.endMoved(mount.uuid, this.#endsSoon())
    }
  }

  async #endAtFormerPaths(mount: Mount, ends: LeaseEnds, force: boolean): Promise<void> {
    const mountUuid = ownerOf(mount)
    for (const path of mount.formerPaths ?? []) {
      await revokePrefix(this.#parts.store, ends, path, { force, mountUuid })
    }
  }

  async #hasLeases(mount: Mount, path: string): Promise<boolean> {
    const { store } = this.#parts
    const mountUuid = ownerOf(mount)
    for await (const id of idsOf(keysUnder(store, LEASE_PREFIX + path), LEASE_PREFIX)) {
      const lease = await readLease(store, id)
      if (lease && (mountUuid === undefined || lease.mountUuid === mountUuid)) return true
    }
    return false
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

  /** Each mount ends its own; the token goes with those of the last. */
  async #endGrants(tokenId: string, grants: EndedGrants, last: readonly Write[]): Promise<void> {
    const mounts = await this.#granting(grants)
    if (mounts.length === 0 && last.length > 0) await this.#parts.store.commit(last, [])
    for (const [at, { mount, end }] of mounts.entries()) {
      const isLast = at === mounts.length - 1
      await inMount(this.#parts, mount, (views) => end(views, tokenId, isLast ? last : []))
    }
  }

  /** The mounts that have given tokens something that has to end with them. */
  async #granting(grants: EndedGrants): Promise<(TokenGrants & { readonly mount: Mount })[]> {
    if (grants === 'none') return []
    const { store, cache, backends } = this.#parts
    const found: (TokenGrants & { readonly mount: Mount })[] = []
    for (const mount of (await currentMounts(store, cache)).all()) {
      const ends = backends.get(mount.type)?.backend.grants
      if (!ends || mount.unmounting) continue
      const isWanted =
        grants === 'all' || (await inMount(this.#parts, mount, (views) => ends.endByDefault(views)))
      if (isWanted) found.push({ ...ends, mount })
    }
    return found
  }

  async #cubbyholes(tokenId: string): Promise<string[]> {
    const { store, cache } = this.#parts
    const mount = (await currentMounts(store, cache)).get('cubbyhole/')
    return mount ? [dataPrefix(mount) + cubbyholeFolder(tokenId)] : []
  }
}

/** Leases of an auth method are those of its tokens, and name no mount. */
function ownerOf({ class: mountClass, uuid }: Mount): string | undefined {
  return mountClass === 'secret' ? uuid : undefined
}

function removalOfTokenLease(tokenId: string, record: TokenRecord): Write[] {
  if (record.expiresAt === 0) return []
  const id = tokenLeaseId(record.path, tokenId)
  return leaseRemoval({ id, expiresAt: record.expiresAt, tokenId })
}
