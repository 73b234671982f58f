/** What this layer keeps beside a connection: on the socket itself, which costs no look-up. */
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Origin } from './request.ts'

const origin = Symbol('origin')
const lastResponse = Symbol('last response')
const givenMethod = Symbol('given method')
const waitingRequests = Symbol('waiting requests')

interface Noted {
  [origin]?: Origin
  [lastResponse]?: ServerResponse
  [givenMethod]?: string
  [waitingRequests]?: number
}

function noted(socket: Socket): Noted {
  return socket as unknown as Noted
}

/** The origin of a connection's requests, made once. */
export function originOf(socket: Socket, make: (socket: Socket) => Origin): Origin {
  const notes = noted(socket)
  notes[origin] ??= make(socket)
  return notes[origin]
}

/** Remembers the latest response of a connection: responses leave in order, so it is the last to be written. */
export function noteResponse(socket: Socket, response: ServerResponse): void {
  noted(socket)[lastResponse] = response
}

/** The latest response of a connection if it is not written yet. */
export function openResponse(socket: Socket): ServerResponse | undefined {
  const response = noted(socket)[lastResponse]
  return response === undefined || response.closed ? undefined : response
}

/** Says which method the next request of a connection really has; its head was rewritten for the parser. */
export function giveMethod(socket: Socket, method: string): void {
  noted(socket)[givenMethod] = method
}

/** Takes the real method of a request: said before, or as parsed. */
export function takeMethod(socket: Socket, parsed: string): string {
  const notes = noted(socket)
  const method = notes[givenMethod]
  if (method === undefined) return parsed
  notes[givenMethod] = undefined as never
  return method
}

/** Counts those requests of a connection that wait for answers before theirs: one more, or one fewer. Gives their number. */
export function countWaiting(socket: Socket, change: 1 | -1): number {
  const notes = noted(socket)
  const count = (notes[waitingRequests] ?? 0) + change
  notes[waitingRequests] = count
  return count
}
