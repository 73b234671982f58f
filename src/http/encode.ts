/** The core's answers as bytes (contract 1.1 and 1.4): standard headers, envelope, top-level copy. */
import type { ServerResponse } from 'node:http'
import type { Envelope, Response, ResponseHeaders } from '../core/request/response.ts'

export const JSON_TYPE = 'application/json'
export const HSTS = 'max-age=31536000; includeSubDomains'

const CACHE_CONTROL = ['Cache-Control', 'no-store'] as const
const STRICT_TRANSPORT = ['Strict-Transport-Security', HSTS] as const
const STANDARD_HEADERS = [...CACHE_CONTROL, ...STRICT_TRANSPORT] as const

export interface Encoded {
  readonly status: number
  /** Undefined where the answer has none at all. */
  readonly body: string | Uint8Array | undefined
  /** Undefined only for redirects, which have no body. */
  readonly contentType: string | undefined
  readonly headers?: ResponseHeaders
}

/** Turns an answer into status, body and content type. */
export function encodeResponse(response: Response): Encoded {
  const { status } = response
  switch (response.kind) {
    case 'envelope': {
      const body = response.topLevelCopy
        ? copyToTop(response.envelope)
        : JSON.stringify(response.envelope)
      return { status, body: `${body}\n`, contentType: JSON_TYPE }
    }
    case 'bare': {
      const { body } = response
      const text = typeof body === 'string' ? body : `${JSON.stringify(body)}\n`
      return { status, body: text, contentType: response.contentType ?? JSON_TYPE }
    }
    case 'text':
    case 'bytes': {
      const { contentType, headers } = response
      const body = response.kind === 'text' ? response.text : response.bytes
      return { status, body, contentType, ...(headers && { headers }) }
    }
    case 'empty':
      return { status, body: undefined, contentType: JSON_TYPE }
  }
}

/** The members of `data` before those of the envelope, which win: of a name given twice the last counts. */
function copyToTop(envelope: Envelope): string {
  const whole = JSON.stringify(envelope)
  if (envelope.data === null) return whole
  const data = JSON.stringify(envelope.data)
  return data === '{}' ? whole : `${data.slice(0, -1)},${whole.slice(1)}`
}

/** Writes head and body at once. Does nothing when the request was answered before, by a timeout. */
export function send(res: ServerResponse, answer: Encoded, more?: readonly string[]): void {
  if (res.headersSent || res.destroyed) return
  if (answer.status < 200) throw new RangeError(`${answer.status} is no final status`)
  const headers: string[] = answer.headers ? ownHeaders(answer.headers) : [...STANDARD_HEADERS]
  if (answer.contentType !== undefined) headers.push('Content-Type', answer.contentType)
  if (more !== undefined) headers.push(...more)
  const { status, body } = answer
  if (status === 204 || status === 304) {
    res.writeHead(status, headers)
    res.end()
    return
  }
  headers.push('Content-Length', body === undefined ? '0' : String(Buffer.byteLength(body)))
  res.writeHead(status, headers)
  res.end(body)
}

/** The standard headers but those of the answer's own name, then its own. */
function ownHeaders(own: ResponseHeaders): string[] {
  const headers: string[] = []
  for (const [name, value] of [CACHE_CONTROL, STRICT_TRANSPORT]) {
    if (!own.some(([other]) => other === name)) headers.push(name, value)
  }
  return [...headers, ...own.flat()]
}
