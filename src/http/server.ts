/** The HTTP server: listeners, time limits, errors of connections, and an orderly end (contract 1.1). */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Request } from '../core/request/request.ts'
import type { Response } from '../core/request/response.ts'
import { BodyBudget } from './body/body.ts'
import { openResponse } from './connection.ts'
import { JSON_TYPE, send } from './encode.ts'
import { errorBody, type HttpLog } from './error-response.ts'
import { isMethodError, resumeWithMethod } from './list-method.ts'
import { resolveForwarded } from './listener/forwarded.ts'
import { defaultLimits, type HttpLimits } from './listener/limits.ts'
import {
  createListener,
  type Listener,
  type ListenerAddress,
  listen,
  originMaker,
  prepareReload,
} from './listener/listener.ts'
import { refuseConnection, statusOf } from './refusal.ts'
import { answerRequests } from './route.ts'
import { declineUpgrade } from './upgrade.ts'

export interface HttpServerOptions {
  readonly listeners: readonly Listener[]
  /** Answers a request. Throws a PosternError for what the caller may see. */
  readonly handle: (request: Request) => Promise<Response>
  readonly log: HttpLog
  readonly limits?: Partial<HttpLimits>
}

export interface HttpServer {
  /** In the order of the listeners. */
  readonly addresses: readonly ListenerAddress[]
  /** Accepts nothing more, lets requests in flight finish for `graceMilliseconds`, then cuts what is left. */
  close(graceMilliseconds: number): Promise<void>
  /** Reads certificates and keys anew, on all listeners or none. Throws when one cannot be read. */
  reloadTls(): void
}

/** Starts all listeners; rejects, with none left open, when one cannot start. */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const server = new ListeningServer(options)
  await server.start()
  return server
}

interface Running {
  readonly listener: Listener
  readonly server: Server
}

class ListeningServer implements HttpServer {
  readonly addresses: ListenerAddress[] = []
  readonly #options: HttpServerOptions
  readonly #limits: HttpLimits
  readonly #running: Running[] = []
  readonly #sockets = new Set<Socket>()
  /** TLS connections before the end of their handshake, by both their ends. */
  readonly #shaking = new Map<string, Socket>()
  /** Connections between two parsers. */
  readonly #held = new Set<Socket>()
  /** Connections that are refused: their parser may fail again and again. */
  readonly #refused = new WeakSet<Socket>()
  #closing = false

  constructor(options: HttpServerOptions) {
    this.#options = options
    this.#limits = { ...defaultLimits, ...options.limits }
  }

  async start(): Promise<void> {
    const { maxBodyBytes, maxHeldBodyBytes } = this.#limits
    const budget = new BodyBudget(maxBodyBytes, maxHeldBodyBytes)
    try {
      for (const listener of this.#options.listeners) {
        const server = createListener(listener, this.#limits)
        this.#wire(server, listener, budget)
        this.#running.push({ listener, server })
        this.addresses.push(await listen(server, listener))
        server.on('error', (cause) => {
          this.#options.log({ level: 'error', message: 'a listener failed', cause })
        })
      }
    } catch (error) {
      await this.close(0)
      throw error
    }
  }

  reloadTls(): void {
    // First all are read, so that a bad one leaves every listener as it was.
    const reloads = this.#running.map(({ server, listener }) => prepareReload(server, listener))
    for (const reload of reloads) reload()
  }

  async close(graceMilliseconds: number): Promise<void> {
    this.#closing = true
    const closed = this.#running.map(({ server }) => closeServer(server))
    // Node counts those that have sent nothing yet as busy.
    for (const socket of this.#sockets) if (socket.bytesRead === 0) socket.destroy()
    for (const socket of this.#shaking.values()) socket.destroy()
    const timer = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy()
    }, graceMilliseconds)
    await Promise.all(closed)
    clearTimeout(timer)
  }

  #wire(server: Server, listener: Listener, budget: BodyBudget): void {
    const { handle, log } = this.#options
    const { forwarded } = listener
    const answer = answerRequests(
      { handle, log, budget, isClosing: () => this.#closing },
      {
        origin: originMaker(listener),
        resolveClient: forwarded === undefined ? undefined : resolveForwarded(forwarded),
      },
    )
    server.on('connection', (socket: Socket) => this.#track(socket))
    if (listener.kind === 'tcp' && listener.tls) this.#trackHandshakes(server)
    server.on('request', (message, response) => answer(message, response))
    server.on('checkContinue', (message, response) => answer(message, response, true))
    server.on('checkExpectation', (message, response) => answer(message, response))
    server.on('clientError', (error, socket) => this.#failed(server, error, socket as Socket))
    server.on('connect', (_: IncomingMessage, socket: Duplex) =>
      this.#refuse(socket as Socket, 405),
    )
    server.on('upgrade', (request, socket, rest) => {
      const refuse = () => this.#refuse(socket as Socket, 400)
      declineUpgrade({ server, held: this.#held, refuse }, request, rest)
    })
    server.on('timeout', onTimeout)
  }

  #track(socket: Socket): void {
    if (this.#sockets.has(socket)) return
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
  }

  #trackHandshakes(server: Server): void {
    server.on('connection', (socket: Socket) => {
      const ends = endsOf(socket)
      this.#shaking.set(ends, socket)
      socket.once('close', () => this.#shaking.delete(ends))
    })
    server.on('secureConnection', (socket: Socket) => this.#shaking.delete(endsOf(socket)))
  }

  #failed(server: Server, error: Error, socket: Socket): void {
    if (this.#refused.has(socket)) return
    const isTimeout = statusOf(error) === 408
    if (this.#held.has(socket)) {
      // It waits for responses before it; only a client that sends half a method is late itself.
      if (isTimeout && !openResponse(socket)) socket.destroy()
      return
    }
    if (isMethodError(error)) {
      const refuse = () => this.#refuse(socket, 400)
      resumeWithMethod(server, socket, error, this.#held, refuse)
      return
    }
    this.#refuse(socket, statusOf(error))
  }

  #refuse(socket: Socket, status: number): void {
    this.#refused.add(socket)
    refuseConnection(socket, status)
  }
}

/** The same for a TLS socket and the one below it. */
function endsOf({ localPort, remoteAddress, remotePort }: Socket): string {
  return `${localPort} ${remoteAddress} ${remotePort}`
}

/** A connection on which nothing moved: its request is answered, an idle one is closed. */
function onTimeout(socket: Socket): void {
  const response: ServerResponse | undefined = openResponse(socket)
  if (response === undefined || response.headersSent) {
    socket.destroy()
    return
  }
  const status = response.req.complete ? 503 : 408
  const body = errorBody(status === 503 ? ['the request took too long'] : [])
  send(response, { status, body, contentType: JSON_TYPE }, ['Connection', 'close'])
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    if (!server.listening) return resolve()
    server.close(() => resolve())
  })
}
