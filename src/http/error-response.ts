/** Errors as the API shows them (contract 1.4): one of the two places where errors are caught. */
import { PosternError } from '../errors.ts'

export interface ErrorResponse {
  readonly status: number
  readonly body: string
}

/** A line for the server log. `cause` is what was thrown: never for the client. */
export interface HttpLogEntry {
  readonly level: 'error' | 'warn' | 'info'
  readonly message: string
  readonly requestId?: string
  readonly cause?: unknown
}

export type HttpLog = (entry: HttpLogEntry) => void

/** `{"errors":[…]}` with a newline. */
export function errorBody(messages: readonly string[]): string {
  return `${JSON.stringify({ errors: messages })}\n`
}

/** Renders what a request failed with. Anything but a PosternError is our fault: told as `internal error`, and logged. */
export function renderError(error: unknown, requestId: string, log: HttpLog): ErrorResponse {
  if (!(error instanceof PosternError)) {
    log({ level: 'error', message: 'a request failed unexpectedly', requestId, cause: error })
    return { status: 500, body: errorBody(['internal error']) }
  }
  if (error.cause !== undefined) {
    log({ level: 'error', message: error.message, requestId, cause: error.cause })
  }
  return { status: error.status, body: errorBody(error.messages) }
}
