/** What is known of a request when a line about it is written: plain values, hashed only by the device (contract 10.3). */

export interface AuditedRequest {
  readonly id: string
  readonly operation: string
  /** Without `/v1/`. Parts that a path declares secret stand in `secretParts`. */
  readonly path: string
  readonly data: ReadonlyMap<string, unknown>
  /** Names of `data` that the path declares: others may be secrets in the wrong place (protocols 2.4). */
  readonly declared: ReadonlySet<string>
  /** Parts of `path` to be hashed in it. */
  readonly secretParts: readonly string[]
  readonly token: string | undefined
  readonly remoteAddress: string
  readonly remotePort: number
  readonly wrapTtlSeconds: number | undefined
  readonly headers: ReadonlyMap<string, string>
  readonly clientCertificateSerial: string | undefined
  /** The enrolled host that a request says it comes from: proven where it succeeds. */
  readonly hostId?: string | undefined
  readonly mount: AuditedMount | undefined
}

export interface AuditedMount {
  readonly path: string
  readonly type: string
  readonly accessor: string
  readonly class: 'secret' | 'auth'
  /** Top-level names of data that are written plain. */
  readonly plainRequestKeys: readonly string[]
  readonly plainResponseKeys: readonly string[]
}

/** The holder of a token. */
export interface AuditedCaller {
  /** The token's record: what a device has made of a token it keeps as long as this is the same object. */
  readonly record?: object
  readonly accessor: string
  readonly displayName: string
  readonly policies: readonly string[]
  readonly metadata: Readonly<Record<string, string>> | undefined
  readonly entityId: string
  readonly numUses: number
  readonly remainingUses: number
  readonly tokenTtlSeconds: number
  /** Milliseconds since the epoch. */
  readonly tokenIssuedAt: number
  readonly tokenType: 'service' | 'batch'
}

export interface AuditedResponse {
  readonly auth?: {
    readonly clientToken: string
    readonly accessor: string
    readonly displayName: string
    readonly policies: readonly string[]
    readonly tokenTtlSeconds: number
    readonly tokenType: 'service' | 'batch'
    readonly metadata: Readonly<Record<string, string>> | undefined
    readonly numUses: number
    readonly entityId: string
  }
  readonly leaseId?: string
  readonly data?: Readonly<Record<string, unknown>> | undefined
  /** A body outside the envelope. */
  readonly raw?: { readonly contentType: string; readonly body: string; readonly status: number }
  readonly warnings?: readonly string[]
  readonly wrapInfo?: {
    readonly ttl: number
    readonly token: string
    readonly accessor: string
    readonly creationTime: string
    readonly creationPath: string
    readonly wrappedAccessor: string | undefined
  }
}

export interface AuditRecord {
  readonly request: AuditedRequest
  readonly caller: AuditedCaller | undefined
  /** Undefined before policies were looked at. */
  readonly policyResults?: {
    readonly allowed: boolean
    readonly grantingPolicies: readonly string[]
  }
  /** The text of a denial or failure that is shown in clear. */
  readonly error?: string
  /** On response lines. An error of the API stands in its data as `error`. */
  readonly response?: AuditedResponse
}
