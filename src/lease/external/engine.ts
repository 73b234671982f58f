/** What ending leases outside the store needs to know of their engines (protocols 1.5). The core knows these. */
import type { Write } from '../../storage/store.ts'
import type { StoredLease } from '../lease.ts'

/** The engine behind one mount. */
export interface LeaseEngine {
  /** One result for each lease; a rejection counts for all. */
  end(leases: readonly StoredLease[]): Promise<readonly (Error | undefined)[]>
  /** Absent where renewing a lease does nothing outside. */
  readonly renew?: (
    lease: StoredLease,
    expiresAt: number,
  ) => Promise<{ readonly data: unknown } | undefined>
  /** Leases with the same text are ended together. */
  groupOf(lease: StoredLease): string
  /** What goes from the store with a lease. */
  removalOf(lease: StoredLease): Promise<readonly Write[]>
}

/** Undefined when the mount, or its way to end such leases, is gone. */
export type EngineOf = (mountUuid: string) => Promise<LeaseEngine | undefined>
