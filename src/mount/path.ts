/**
 * A path is declared once: pattern, fields, operations, help. Routing, validation, `?help=1`, OpenAPI and
 * docs/api.md come from the declaration.
 */
import type { Write } from '../storage/store.ts'
import type { StoreView } from '../storage/view.ts'
import type { Call, ConfigView, MountPoint, Outcome } from './call.ts'
import type { Fields } from './field.ts'
import type { Operation } from './operation.ts'

export type Run<F extends Fields> = (call: Call<F>) => Promise<Outcome> | Outcome

export type NamePattern = 'role' | 'issuer' | 'visible' | 'segment' | 'rest' | 'segments'

/** How a name in a pattern is spelled: ASCII, anchored, linear, and run on at most 512 characters. */
export const namePatterns: Readonly<Record<NamePattern, RegExp>> = {
  /** Letters, digits, `_ - . @`; begins and ends with a word character. */
  role: /^[A-Za-z0-9_](?:[A-Za-z0-9_.@-]*[A-Za-z0-9_])?$/,
  /** The same without `@`. */
  issuer: /^[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?$/,
  /** One segment of visible ASCII. */
  visible: /^[!-.0-~]+$/,
  /** One segment of any spelling. */
  segment: /^[^/]+$/,
  /** Everything that is left, slashes included. */
  rest: /^.+$/,
  /** The same without a slash at the end. */
  segments: /^.*[^/]$/,
}

export interface PathDeclaration<F extends Fields> {
  /**
   * Segments split by `/`. `:name` takes one segment, one `:name*` all that the others leave. The names are fields of
   * the path. A segment in parentheses at the end, `(/:name)`, is optional.
   */
  readonly pattern: string
  /** Spelling of the names in the pattern; `segment` (or `rest` for `:name*`) where absent. */
  readonly names?: Readonly<Record<string, NamePattern>>
  /** Names that mean the same in capitals: policies are judged by their small letters (CVE-2025-5999). */
  readonly foldsCase?: readonly string[]
  readonly fields: F
  readonly operations: Partial<Record<Exclude<Operation, 'help'>, Run<F>>>
  /** Says whether the thing exists: then a write is judged as `create` or `update`. Without it every write is `update`. */
  readonly exists?: (call: Call<F>) => Promise<boolean>
  /**
   * `none`: no token is read, not even a bad one refused. `optional`: a valid token widens the answer. `if-sent`: none is
   * needed, but where a valid one is sent its policies decide.
   */
  readonly auth?: 'none' | 'optional' | 'if-sent'
  /** Operations that need the `sudo` capability too. */
  readonly sudo?: readonly Operation[] | 'all'
  /** Sys paths that answer while the server is sealed. */
  readonly whileSealed?: boolean
  /** A method that is not offered answers with an empty list of errors. */
  readonly plainMethodErrors?: boolean
  /** Not audited: health and its like, and what anybody may read and many machines ask for all the time. */
  readonly unaudited?: boolean
  /** Takes data of any names: none is ignored, none warned about. */
  readonly anyData?: boolean
  /** Old clients read `data` at the top level here. */
  readonly topLevelCopy?: boolean
  /** Acts while it runs, and not only by the writes of its outcome: its request line is written first. */
  readonly actsItself?: boolean
  /** Charged to the caller's address when it fails with a 4xx (protocols 3.4): unauthenticated doors. */
  readonly chargesMisses?: boolean
  readonly synopsis: string
  readonly description: string
}

/** A declaration whose fields' types are forgotten, as routers keep it. */
export type Path = PathDeclaration<Fields>

/** Declares a path; the types of its fields reach its operations. */
export function declarePath<const F extends Fields>(declaration: PathDeclaration<F>): Path {
  return declaration as unknown as Path
}

/** A secrets engine or auth method: a set of paths over a view of the store. */
export interface Backend {
  readonly type: string
  readonly description: string
  readonly paths: readonly Path[]
  /**
   * Ends what a lease stands for: the writes that do it. For a lease with an end outside the store they go with its
   * removal, after that end. Absent where nothing is leased.
   */
  readonly revoke?: (lease: LeasedData) => Promise<Outcome> | Outcome
  /** For leases that were begun with `beginLease`. */
  readonly external?: ExternalEffects
  readonly grants?: TokenGrants
  /** Housekeeping of a mount, about once an hour. */
  readonly periodic?: (views: MountViews) => Promise<void>
  /** Called after a restore from a backup: versions that others compare must not go back (protocols 1.10). */
  readonly restored?: (views: MountViews) => Promise<void>
}

/** A mount as work sees it that no request stands behind. */
export interface MountViews {
  readonly mount: MountPoint
  readonly config: ConfigView
  readonly store: StoreView
  /** Milliseconds since the epoch. */
  readonly now: number
}

/** What a token was given and no lease ends: it outlives the token, unless whoever revokes that wants otherwise. */
export interface TokenGrants {
  /** Whether it ends where a revocation does not say. */
  endByDefault(views: MountViews): Promise<boolean>
  /** The mount's data has a key under this name for each. */
  folder(tokenId: string): string
  /** Ends it. `last` ends the token itself, and is committed with the last of it. */
  end(views: MountViews, tokenId: string, last: readonly Write[]): Promise<void>
}

/** Ends and renews what leases stand for outside the store (protocols 1.5 and 1.6). */
export interface ExternalEffects {
  /**
   * Ends what these stand for, at most 500 of one group: one result each, an Error where it may still be there. Also
   * called for what is gone already, or was never made. Takes at most 50 s; a rejection counts for all of them.
   */
  end(leases: readonly LeasedData[]): Promise<readonly (Error | undefined)[]>
  /**
   * Moves the end outside to this time, in milliseconds since the epoch; a rejection refuses the renewal. It must not
   * make again what has been ended. May give new data for the lease.
   */
  renew?(lease: LeasedData, expiresAt: number): Promise<{ readonly data: unknown } | undefined>
  /** Leases with the same text are handed over together: the host. */
  groupOf?(lease: LeasedData): string
}

/** What a backend sees of its lease. */
export interface LeasedData {
  readonly id: string
  readonly data: unknown
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
  readonly maxExpiresAt: number
  readonly mount: MountPoint
  readonly config: ConfigView
  readonly store: StoreView
}
