/** The server's answers as values: the envelope of the Vault API (contract 1.4). */
import { isObject, type Json, type JsonObject, parseJson } from './json.ts'

/** An answer as it came. */
export interface Reply {
  readonly status: number
  readonly contentType: string
  readonly text: string
  /** The same before it was read as text. */
  readonly bytes?: Uint8Array
  readonly etag?: string | undefined
  /** The server's clock, as HTTP writes it. */
  readonly date?: string | undefined
}

/** The envelope that most paths answer with; absent members have their zero values. */
export interface Envelope {
  readonly requestId: string
  readonly leaseId: string
  readonly leaseDuration: number
  readonly isRenewable: boolean
  readonly data: JsonObject | undefined
  readonly warnings: readonly string[]
  readonly auth: JsonObject | undefined
  readonly wrapInfo: JsonObject | undefined
}

/** The JSON object of an answer; undefined for an empty body or one of another form. */
export function jsonOf(reply: Pick<Reply, 'text'>): JsonObject | undefined {
  const value = parseJson(reply.text)
  return isObject(value) ? value : undefined
}

/** The envelope of an answer; undefined where the body is empty or has another form. */
export function envelopeOf(reply: Pick<Reply, 'text'>): Envelope | undefined {
  const body = jsonOf(reply)
  if (body === undefined) return undefined
  const object = (value: Json | undefined) => (isObject(value) ? value : undefined)
  const text = (value: Json | undefined) => (typeof value === 'string' ? value : '')
  return {
    requestId: text(body['request_id']),
    leaseId: text(body['lease_id']),
    leaseDuration: typeof body['lease_duration'] === 'number' ? body['lease_duration'] : 0,
    isRenewable: body['renewable'] === true,
    data: object(body['data']),
    warnings: texts(body['warnings']),
    auth: object(body['auth']),
    wrapInfo: object(body['wrap_info']),
  }
}

/** The texts of a list; of anything else none. */
export function texts(value: Json | undefined): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}
