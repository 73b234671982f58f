/**
 * Every error that a caller can see: one class, and one closed list of codes. `docs/errors.md` is
 * generated from the list; a code is never used again for something else.
 */

export const errorCodes = {
  invalid_request: { status: 400, text: 'the request is not valid' },
  invalid_field: { status: 400, text: 'a field of the request has the wrong type' },
  invalid_json: { status: 400, text: 'failed to decode JSON input' },
  invalid_path: { status: 400, text: 'the path is not valid' },
  permission_denied: { status: 403, text: 'permission denied' },
  not_found: { status: 404, text: 'nothing is stored at this path' },
  unsupported_path: { status: 404, text: 'unsupported path' },
  no_route: { status: 404, text: 'no secrets engine is mounted at this path' },
  unsupported_operation: { status: 405, text: 'unsupported operation' },
  body_too_large: { status: 413, text: 'http: request body too large' },
  unsupported_media_type: { status: 415, text: 'the content type is not supported' },
  too_many_requests: { status: 429, text: 'too many failed attempts; try again later' },
  internal: { status: 500, text: 'internal error' },
  audit_failed: { status: 500, text: 'internal error' },
  store_failed: { status: 500, text: 'internal error' },
  refused: { status: 500, text: 'the operation was refused by the backend' },
  not_initialized: { status: 400, text: 'Vault is not initialized' },
  sealed: { status: 503, text: 'Vault is sealed' },
  unavailable: { status: 503, text: 'the server is busy or shutting down' },
  invalid_config: { status: 500, text: 'the configuration is not valid' },
} as const

export type ErrorCode = keyof typeof errorCodes

interface PosternErrorOptions {
  /** What the API shows in `errors`; the code's own text when absent. An empty list for absence. */
  readonly messages?: readonly string[]
  /** For the server log only. */
  readonly cause?: unknown
  /** Only where a client is told another status than the code's own. */
  readonly status?: number
  /** What was begun on another machine may still be under way there. */
  readonly mayGoOn?: boolean
}

/** An error with a stable code, a status and texts that may be shown to the caller: no secret in any. */
export class PosternError extends Error {
  override readonly name = 'PosternError'
  readonly code: ErrorCode
  readonly status: number
  readonly messages: readonly string[]
  readonly mayGoOn: boolean

  constructor(code: ErrorCode, message?: string, options: PosternErrorOptions = {}) {
    const text = message ?? errorCodes[code].text
    super(text, options.cause === undefined ? {} : { cause: options.cause })
    this.code = code
    this.status = options.status ?? errorCodes[code].status
    this.messages = options.messages ?? [text]
    this.mayGoOn = options.mayGoOn ?? false
  }
}

/** Bytes or text that do not follow their format; `offset` counts bytes from the start of the input. */
export class SshFormatError extends Error {
  override readonly name = 'SshFormatError'
  readonly offset: number | undefined

  constructor(message: string, offset?: number) {
    super(offset === undefined ? message : `${message} at offset ${offset}`)
    this.offset = offset
  }
}

/** The list form in which this API reports most errors of backends: clients match on substrings of it. */
export function asErrorList(text: string): string {
  return `1 error occurred:\n\t* ${text}\n\n`
}

/** A 400 with this text. */
export function badRequest(message: string): PosternError {
  return new PosternError('invalid_request', message)
}

/** An error that a backend did not expect: 500 in the list form. */
export function refused(message: string, cause?: unknown): PosternError {
  return new PosternError('refused', asErrorList(message), { cause })
}
