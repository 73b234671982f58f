/**
 * Methods that Node's parser does not know: `LIST` and `SCAN` of this API (contract, Decisions and traps 1 and 2), and
 * any other, which is answered with 405. The parser stops at the method's first wrong letter. The connection is taken
 * from it, the head put back with a known method, and a new parser goes on; the real method is noted beside the socket.
 */
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { http } from '../node-http.ts'
import { giveMethod, openResponse } from './connection.ts'

/** Longer words are no method. */
const MAX_METHOD_LENGTH = 32
/** How much is taken while earlier responses of the connection are not out yet. */
const MAX_WAITING_BYTES = 64 * 1024

const BLANK = 0x20
/** RFC 9110 5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]*$/

export interface ParseError extends Error {
  readonly code: string
  readonly rawPacket: Buffer
  readonly bytesParsed: number
}

/** Whether a `clientError` is that of an unknown method. */
export function isMethodError(error: Error): error is ParseError {
  const { code, rawPacket } = error as Partial<ParseError>
  return code === 'HPE_INVALID_METHOD' && rawPacket !== undefined
}

/**
 * Goes on with a connection whose parser stopped at an unknown method. Until the new parser has it, `held` contains the
 * socket: further errors of the old one mean nothing then. `refuse` gets what is no HTTP at all.
 */
export function resumeWithMethod(
  server: Server,
  socket: Socket,
  error: ParseError,
  held: Set<Socket>,
  refuse: (socket: Socket) => void,
): void {
  const release = detachParser(socket)
  if (release) resume({ server, socket, release, held, refuse }, startOfRequest(error))
  else refuse(socket)
}

/** What a connection needs to go from one parser to the next. */
export interface Passage {
  readonly server: Server
  readonly socket: Socket
  /** Frees the parser before. */
  readonly release: () => void
  readonly held: Set<Socket>
  readonly refuse: (socket: Socket) => void
}

/** Goes on at `head`, the start of a request, with a new parser as soon as the responses before it are out. */
export function resume({ server, socket, release, held, refuse }: Passage, start: Buffer): void {
  held.add(socket)
  let head = start
  let ended = false
  let resumed = false
  const collect = (piece: Buffer) => {
    head = Buffer.concat([head, piece])
    if (head.length > MAX_WAITING_BYTES) socket.pause()
    goOn()
  }
  const noteEnd = () => {
    ended = true
    goOn()
  }
  const forget = () => held.delete(socket)
  const goOn = () => {
    if (resumed || socket.destroyed) return
    const method = methodOf(head)
    const isRefused = method === undefined || (method === '' && ended)
    if (!isRefused && (method === '' || openResponse(socket))) return
    resumed = true
    socket.off('data', collect).off('end', noteEnd).off('close', forget)
    held.delete(socket)
    if (isRefused) {
      refuse(socket)
      return
    }
    release()
    const isKnown = http.METHODS.includes(method)
    if (!isKnown) giveMethod(socket, method)
    attachParser(server, socket)
    // In two pieces, so that a long pipeline of lists is not copied for each of them.
    socket.emit('data', isKnown ? head.subarray(0, method.length) : GET)
    socket.emit('data', head.subarray(method.length))
    if (ended) socket.emit('end')
  }
  // Adding a `data` listener also makes Node deliver to it what the parser took straight from the handle.
  socket.on('data', collect).on('end', noteEnd).on('close', forget)
  openResponse(socket)?.once('close', goOn)
  // Not now: the old parser is still below this call.
  setImmediate(goOn)
}

const GET = Buffer.from('GET')

/** The method at the start of `head`; empty when not all of it is there, undefined when there is none. */
function methodOf(head: Buffer): string | undefined {
  const end = head.indexOf(BLANK)
  const word = head.toString('latin1', 0, end === -1 ? MAX_METHOD_LENGTH + 1 : end)
  if (word.length > MAX_METHOD_LENGTH || !TOKEN.test(word)) return undefined
  if (end === -1) return ''
  return word === '' ? undefined : word
}

function attachParser(server: Server, socket: Socket): void {
  // The keep-alive timeout of the response before is still set.
  socket.setTimeout(server.timeout)
  server.emit('encrypted' in socket ? 'secureConnection' : 'connection', socket)
  // The old parser may have paused it because of responses that are written by now.
  socket.resume()
}

type Listener = (...values: unknown[]) => void

/**
 * Takes Node's HTTP listeners off the socket. What is returned frees their parser, as they do when a connection closes.
 * Undefined when they are not found as Node 20 to 26 have them.
 */
function detachParser(socket: Socket): (() => void) | undefined {
  const found = ['data', 'end', 'drain', 'error'].map(
    (event) => [event, ownOf(socket, event)] as const,
  )
  // Until the responses before are out, closing must abort them and silence must time out.
  const close = ownOf(socket, 'close')
  const timeout = ownOf(socket, 'timeout')
  if (!close || !timeout || !found[0]?.[1] || !found[1]?.[1]) return undefined
  for (const [event, listener] of found) if (listener) socket.off(event, listener)
  return () => {
    socket.off('timeout', timeout).off('close', close)
    close.call(socket)
  }
}

/** Node's own HTTP listener for an event of the socket. */
function ownOf(socket: Socket, event: string): Listener | undefined {
  const listeners = socket.listeners(event) as Listener[]
  return listeners.find((listener) => /^(?:bound )?socketOn[A-Z]/.test(listener.name))
}

/**
 * Everything from the method's first letter on. `bytesParsed` points at the letter that fits no method; what stands
 * before it in the packet and belongs to the method is told by the methods that the parser knows. Letters that came in
 * an earlier packet are those of `LIST` or `SCAN`: other words are answered alike, however they begin.
 */
function startOfRequest(error: ParseError): Buffer {
  const { rawPacket, bytesParsed } = error
  for (let length = 0; length <= Math.min(bytesParsed, MAX_METHOD_LENGTH); length++) {
    const start = bytesParsed - length
    const word = rawPacket.toString('latin1', start, bytesParsed + 1)
    if (isPrefix(word.slice(0, -1)) && !isPrefix(word)) return rawPacket.subarray(start)
  }
  const seen = rawPacket.toString('latin1', 0, bytesParsed + 1)
  const whole = ['LIS', 'SC'].find((known) => known.endsWith(seen))
  // Never more than the wrong letter: what stands before it may be a request that was served already.
  if (whole === undefined) return rawPacket.subarray(bytesParsed)
  return Buffer.concat([Buffer.from(whole.slice(0, whole.length - seen.length)), rawPacket])
}

function isPrefix(word: string): boolean {
  return http.METHODS.some((method) => method.startsWith(word))
}
