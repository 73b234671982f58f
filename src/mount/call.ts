/**
 * What an operation of a path is handed (a call, already authorised and coerced) and what it gives back (an
 * outcome: the answer, and the writes it wants). The pipeline adds the lease and the wrapping, and commits once.
 */
import type { Secret } from '../redact.ts'
import type { Condition, Write } from '../storage/store.ts'
import type { StoreView } from '../storage/view.ts'
import type { AuthResponse } from '../token/auth-response.ts'
import type { Fields, FieldValues } from './field.ts'
import type { Operation } from './operation.ts'

/** Who calls: nobody (on paths that need no token), or the holder of a token. */
export interface Caller {
  /** Storage id of the token: its HMAC in hex. */
  readonly tokenId: string
  /** The token itself, for the few paths that show it to its holder. */
  readonly token: Secret
  readonly accessor: string
  readonly displayName: string
  readonly policies: readonly string[]
  readonly isRoot: boolean
  /** Has the `sudo` capability on this very path, or is root. */
  readonly hasSudo: boolean
  readonly entityId: string
}

/** Configuration of one mount, kept decoded while the store's generation is the request's. */
export interface ConfigView {
  /** The decoded value at `name`, decoded once a generation. The result must not be changed. */
  get<T>(name: string, decode: (value: Uint8Array) => T): Promise<T | undefined>
  /** All names that begin with `folder`, in order, without it. */
  list(folder: string): Promise<readonly string[]>
  put(name: string, value: Uint8Array): Write
  remove(name: string): Write
}

/** The mount that a call came through. */
export interface MountPoint {
  /** With its final slash: `ssh/`. */
  readonly path: string
  readonly type: string
  readonly uuid: string
  readonly accessor: string
  readonly options: ReadonlyMap<string, string>
  /** The tuned values, absent where the mount was not tuned. */
  readonly tunedDefaultTtlSeconds: number | undefined
  readonly tunedMaxTtlSeconds: number | undefined
  /** With the system's values where not tuned; the default may be above the maximum. */
  readonly defaultTtlSeconds: number
  readonly maxTtlSeconds: number
}

export interface Call<F extends Fields = Fields> {
  readonly requestId: string
  readonly operation: Operation
  /** Inside the mount: `roles/web`. */
  readonly path: string
  readonly fields: FieldValues<F>
  /** Names of fields that the request held, even when empty. */
  readonly given: ReadonlySet<string>
  /** The request's data as sent, undeclared names included, path parts excluded. */
  readonly data: ReadonlyMap<string, unknown>
  /** The body's JSON text, for paths that pass data through with its numbers as written. */
  readonly bodyText: string | undefined
  readonly headers: ReadonlyMap<string, string>
  readonly remoteAddress: string
  /** The life that the caller wants for a wrapped answer. */
  readonly wrapTtlSeconds: number | undefined
  /** The token as sent, valid or not: for paths that take wrapping tokens. */
  readonly sentToken: Secret | undefined
  /** The listener gives metrics to anybody. */
  readonly unauthenticatedMetrics: boolean
  /** Undefined only on paths declared with `auth`. */
  readonly caller: Caller | undefined
  readonly mount: MountPoint
  /** This mount's configuration (`cfg/…`): a write to it renews the generation. */
  readonly config: ConfigView
  /** This mount's data: never cached. */
  readonly store: StoreView
  /** Milliseconds since the epoch, read once a request. */
  readonly now: number
  /** A lease for what this call creates; the pipeline stores it when the outcome names it. Needs a caller. */
  newLease(terms: LeaseTerms): NewLease
  /**
   * Stores at once a lease whose end needs work outside the store, before that work begins (protocols 1.5). It is
   * ended by itself unless the outcome activates it. `writes` are committed with it, after the request's audit line is
   * written. Needs a caller.
   */
  beginLease(
    terms: LeaseTerms,
    writes?: (leaseId: string) => readonly Write[],
  ): Promise<PendingLease>
  /** `hmac-sha256` (hex) of a secret under a key that never leaves the barrier: for storing what must not be readable. */
  hmac(secret: string): string
  /** Whether the caller may do this, and with sudo, at another path of the same mount. */
  allowsSudo(operation: Operation, path: string): Promise<boolean>
  /** Calls back when the client has hung up, or has its answer. */
  onGone(listener: () => void): void
  /** Reads again whether the caller's token is still good, when over a second passed since it was read (protocols 1.4). */
  stillAllowed(): Promise<void>
}

export interface LeaseTerms {
  readonly ttlSeconds: number
  /** Longest life over renewals, from now. */
  readonly maxTtlSeconds: number
  readonly renewable: boolean
  /** What the engine needs to revoke, in any JSON form; sealed with the lease. */
  readonly data: unknown
}

/** Names a stored lease so that it can be ended together with what it leases. */
export interface LeaseRef {
  readonly id: string
  readonly expiresAt: number
  readonly tokenId: string
}

export interface NewLease extends LeaseRef {
  readonly terms: LeaseTerms
}

/** A lease that is stored as not yet active: what it stands for is being made outside the store. */
export interface PendingLease extends NewLease {
  /** Removes it: for when the other side has seen nothing, so that there is nothing to end. */
  abandon(): Promise<void>
}

/** A token that the outcome grants: logins and `auth/token/create`. */
export interface TokenGrant {
  readonly displayName: string
  readonly policies: readonly string[]
  readonly ttlSeconds: number
  readonly maxTtlSeconds: number
  readonly explicitMaxTtlSeconds: number
  readonly periodSeconds: number
  readonly numUses: number
  readonly renewable: boolean
  readonly metadata: ReadonlyMap<string, string> | undefined
  /** Storage id of the parent; undefined for an orphan. */
  readonly parentId: string | undefined
  /** A chosen token id, for root and sudo. */
  readonly id?: string
  readonly path: string
  readonly entityId: string
  /** Only for a response-wrapping token. */
  readonly wrapping?: {
    readonly creationPath: string
    readonly ttlSeconds: number
    readonly wrappedAccessor?: string
  }
}

export interface Outcome {
  /** Body in the envelope. Without it and without warnings, wrap or lease the answer is 204. */
  readonly data?: Readonly<Record<string, unknown>> | undefined
  /** Only with data: also shown beside `request_id` for paths whose old clients read it there. */
  readonly warnings?: readonly string[]
  /** A whole body outside the envelope: with a content type text or bytes, else JSON. */
  readonly bare?: {
    readonly body: unknown
    readonly contentType?: string
    /** With a content type: beside the standard ones, or in the place of one of them. */
    readonly headers?: readonly (readonly [name: string, value: string])[]
  }
  readonly status?: number
  /** A refusal that the caller is told as a success: charged like an error on paths with `chargesMisses`. */
  readonly missed?: boolean
  readonly writes?: readonly Write[]
  readonly conditions?: readonly Condition[]
  readonly lease?: NewLease
  /** A begun lease that what it stands for is there for: it is active with the commit of this outcome. */
  readonly activatedLease?: PendingLease
  /** A renewed lease, as its holder is shown it. */
  readonly renewedLease?: {
    readonly id: string
    readonly ttlSeconds: number
    readonly renewable: boolean
  }
  /** Leases that end with this commit, because what they lease is used up by it. */
  readonly endedLeases?: readonly LeaseRef[]
  readonly token?: TokenGrant
  /** A renewed token, as its holder is shown it. */
  readonly auth?: AuthResponse
  /** A stored response to answer with as it was (unwrap): its JSON text. */
  readonly replay?: string
  /** Runs after the answer's audit line, before the answer leaves: what could not be audited otherwise (seal). */
  readonly afterwards?: () => Promise<void>
  /** The rest of what the commit began (unmount): like `afterwards`, but also when the answer could not be audited. */
  readonly followUp?: () => Promise<void>
  /** Keys among `writes` that hold what this request issued: deleted again when its answer can't be audited. */
  readonly issuedKeys?: readonly string[]
  /** Takes back what this request issued and no deletion of keys can: called when its answer can't be audited. */
  readonly undelivered?: () => Promise<void>
}
