/** What the core answers: the HTTP server turns it into bytes. */
import type { AuthResponse } from '../../token/auth-response.ts'

export interface WrapInfo {
  readonly token: string
  readonly accessor: string
  readonly ttl: number
  readonly creation_time: string
  readonly creation_path: string
  readonly wrapped_accessor?: string
}

/** The envelope of contract 1.4, in its wire names: the order of members is the order on the wire. */
export interface Envelope {
  readonly request_id: string
  readonly lease_id: string
  readonly renewable: boolean
  readonly lease_duration: number
  readonly data: Readonly<Record<string, unknown>> | null
  readonly wrap_info: WrapInfo | null
  readonly warnings: readonly string[] | null
  readonly auth: AuthResponse | null
}

/** Beside the standard headers, or in the place of the one of the same name. */
export type ResponseHeaders = readonly (readonly [name: string, value: string])[]

export type Response =
  | {
      readonly kind: 'envelope'
      readonly status: number
      readonly envelope: Envelope
      readonly topLevelCopy: boolean
    }
  /** A body outside the envelope: `text` as it is, else JSON. */
  | {
      readonly kind: 'bare'
      readonly status: number
      readonly body: unknown
      readonly contentType?: string
    }
  | {
      readonly kind: 'text'
      readonly status: number
      readonly text: string
      readonly contentType: string
      readonly headers?: ResponseHeaders
    }
  | {
      readonly kind: 'bytes'
      readonly status: number
      readonly bytes: Uint8Array
      readonly contentType: string
      readonly headers?: ResponseHeaders
    }
  | { readonly kind: 'empty'; readonly status: number }
