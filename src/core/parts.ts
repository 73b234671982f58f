/** What the steps of a request work with; `core.ts` puts it together. */

import type { AuditRecord } from '../audit/record.ts'
import type { Clock } from '../clock.ts'
import type { EngineOf } from '../lease/external/engine.ts'
import type { Backend } from '../mount/path.ts'
import type { Router } from '../mount/router.ts'
import type { Entry, Store } from '../storage/store.ts'
import type { ConfigCache } from './config/config-cache.ts'
import type { MissLimit } from './miss-limit.ts'

export interface RoutedBackend {
  readonly backend: Backend
  readonly router: Router
}

/** Where audit lines go. Both reject with `audit_failed` when no enabled device took the line. */
export interface AuditLog {
  isEnabled(): boolean
  logRequest(record: AuditRecord): Promise<void>
  logResponse(record: AuditRecord): Promise<void>
}

export interface ServerLog {
  error(details: object, message: string): void
  warn(details: object, message: string): void
  info(details: object, message: string): void
}

export interface SystemTtl {
  readonly defaultSeconds: number
  readonly maxSeconds: number
}

export interface Parts {
  /** Sealed values, opened: the barrier. */
  readonly store: Store
  readonly cache: ConfigCache
  readonly audit: AuditLog
  readonly clock: Clock
  readonly log: ServerLog
  readonly systemTtl: SystemTtl
  /** By the type of a mount. */
  readonly backends: ReadonlyMap<string, RoutedBackend>
  readonly missLimit: MissLimit
  isSealed(): boolean
  /** Looks at the stored seal state that came with a request: another node may have sealed. */
  observeSeal(entry: Entry | undefined): void
  hmac(secret: string): string
  /** Revokes a token and all below it. */
  revokeToken(tokenId: string): Promise<void>
  /** Runs it without anybody waiting; a failure goes to the log. */
  inBackground(work: () => Promise<void>): void
  /** Keeps trying what failed at first. */
  retryLater(work: () => Promise<void>): void
  /** Leases whose end needs work outside the store. */
  readonly leases: { readonly engineOf: EngineOf; endDue(leaseIds: readonly string[]): void }
}
