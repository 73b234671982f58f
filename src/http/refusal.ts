/** Answers to what never became a request (contract 1.1): written by hand, and the connection ends. */
import type { Socket } from 'node:net'
import { http } from '../node-http.ts'
import { openResponse } from './connection.ts'
import { HSTS, JSON_TYPE, send } from './encode.ts'
import { errorBody } from './error-response.ts'

/** How long a client may take to read the answer and to close. */
const LINGER_MILLISECONDS = 2000

/** The status for an error of the parser. */
export function statusOf(error: NodeJS.ErrnoException): number {
  if (error.code === 'HPE_HEADER_OVERFLOW') return 431
  if (error.code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') return 413
  return error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400
}

/** Answers after the responses before it, throws away what still comes, and closes. */
export function refuseConnection(socket: Socket, status: number): void {
  const open = openResponse(socket)
  // What failed is the body of this very request.
  if (open && !open.req.complete) {
    const answer = { status, body: errorBody([]), contentType: JSON_TYPE }
    send(open, answer, ['Connection', 'close'])
    return
  }
  if (open) {
    open.once('close', () => end(socket, status))
    return
  }
  end(socket, status)
}

function end(socket: Socket, status: number): void {
  if (socket.destroyed) return
  // Unread bytes would turn the close into a reset, and the client might never see the answer.
  const timer = setTimeout(() => socket.destroy(), LINGER_MILLISECONDS)
  socket.once('close', () => clearTimeout(timer))
  socket.resume()
  if (!socket.writable) return
  socket.end(rawAnswer(status))
}

function rawAnswer(status: number): string {
  const body = errorBody([])
  const head = [
    `HTTP/1.1 ${status} ${http.STATUS_CODES[status] ?? ''}`,
    'Cache-Control: no-store',
    `Content-Type: ${JSON_TYPE}`,
    `Strict-Transport-Security: ${HSTS}`,
    'Connection: close',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ]
  return `${head.join('\r\n')}\r\n\r\n${body}`
}
