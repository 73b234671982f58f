/** What the HTTP server hands to the core: one request, its path already canonical, its body already data. */
import type { Operation } from '../../mount/operation.ts'

export interface Request {
  /** Shown as `request_id` and in the audit log. */
  readonly id: string
  /** `update` for POST and PUT: the core makes it `create` where the path can tell. `header` is HEAD, `options` is OPTIONS. */
  readonly operation: Exclude<Operation, 'create'> | 'header' | 'options'
  /** Canonical, without `/v1/`; lists end in `/`. The only form that policies, router, audit and leases see. */
  readonly path: string
  /** Body and query as one map, before coercion. */
  readonly data: ReadonlyMap<string, unknown>
  /** The JSON text of the body, for paths that pass data through. */
  readonly bodyText?: string
  readonly token?: string
  readonly wrapTtlSeconds?: number
  /** Lower-case names. */
  readonly headers: ReadonlyMap<string, string>
  readonly remoteAddress: string
  readonly remotePort: number
  readonly clientCertificateSerial?: string
  /** Of the listener: metrics without a token. */
  readonly unauthenticatedMetrics?: boolean
  /** Calls back when the client has hung up, or has its answer. */
  readonly onGone?: (listener: () => void) => void
}
