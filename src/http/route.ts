/**
 * One HTTP request from its head to its last byte (contract 1.1 to 1.4): path, operation, body, the core's answer.
 * Nothing is looked up here but what lies outside `/v1/`.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Request } from '../core/request/request.ts'
import type { Response } from '../core/request/response.ts'
import { badRequest, PosternError } from '../errors.ts'
import { type CanonicalTarget, canonicalPath } from '../mount/canonical.ts'
import { uuid } from '../random.ts'
import { type BodyBudget, checkPatchType, decodeBody, hasBody, readBody } from './body/body.ts'
import { countWaiting, noteResponse, openResponse, originOf, takeMethod } from './connection.ts'
import { type Encoded, encodeResponse, JSON_TYPE, send } from './encode.ts'
import { errorBody, type HttpLog, renderError } from './error-response.ts'
import type { ResolveClient } from './listener/forwarded.ts'
import {
  buildRequest,
  checkMethod,
  checkNamespace,
  type Head,
  type Origin,
  readHead,
} from './request.ts'

/** Requests that a client may send ahead of an answer: each takes fifty times the memory of its bytes. */
const MAX_WAITING = 100

export interface RouteOptions {
  readonly handle: (request: Request) => Promise<Response>
  readonly log: HttpLog
  readonly budget: BodyBudget
  /** True once the server stops: answers then end their connections. */
  readonly isClosing: () => boolean
}

/** What is the same for all requests of a listener. */
export interface ListenerTerms {
  readonly origin: (socket: Socket) => Origin
  readonly resolveClient: ResolveClient | undefined
}

export type AnswerRequest = (
  message: IncomingMessage,
  response: ServerResponse,
  expectsContinue?: boolean,
) => void

/** Makes the function that answers a listener's requests. It throws nothing. */
export function answerRequests(options: RouteOptions, terms: ListenerTerms): AnswerRequest {
  return (message, response, expectsContinue = false) => {
    const { socket } = message
    const before = openResponse(socket)
    noteResponse(socket, response)
    const exchange = new Exchange(options, terms, message, response, expectsContinue)
    const answer = () => {
      exchange.answer().catch((cause: unknown) => {
        options.log({ level: 'error', message: 'an answer could not be sent', cause })
        socket.destroy()
      })
    }
    if (before === undefined) return answer()
    if (countWaiting(socket, 1) > MAX_WAITING) return void socket.destroy()
    // One after the other, as the client wrote them; nothing is done for what comes behind the last answer.
    before.once('close', () => {
      countWaiting(socket, -1)
      if (socket.writable) answer()
    })
  }
}

class Exchange {
  readonly #options: RouteOptions
  readonly #terms: ListenerTerms
  readonly #message: IncomingMessage
  readonly #response: ServerResponse
  readonly #method: string
  readonly #namespace: string | undefined
  /** The client waits for `100 Continue` before it sends its body. */
  #owesContinue: boolean

  constructor(
    options: RouteOptions,
    terms: ListenerTerms,
    message: IncomingMessage,
    response: ServerResponse,
    expectsContinue: boolean,
  ) {
    this.#options = options
    this.#terms = terms
    this.#message = message
    this.#response = response
    this.#method = takeMethod(message.socket, message.method ?? '')
    this.#namespace = message.headers['x-vault-namespace'] as string | undefined
    this.#owesContinue = expectsContinue
  }

  async answer(): Promise<void> {
    const id = uuid()
    try {
      const answer = await this.#ask(id)
      if (answer !== undefined) send(this.#response, answer, this.#headers())
    } catch (error) {
      const { status, body } = renderError(error, id, this.#options.log)
      if (error instanceof PosternError && error.code === 'body_too_large') this.#sendTooLarge(body)
      else send(this.#response, { status, body, contentType: JSON_TYPE }, this.#headers())
    }
  }

  async #ask(id: string): Promise<Encoded | undefined> {
    const message = this.#message
    const method = this.#method
    checkMethod(method)
    if (message.httpVersionMajor !== 1) throw badRequest('the request is not HTTP/1')
    if (message.headers.host === undefined && message.httpVersionMinor === 1) {
      throw badRequest('the Host header is missing')
    }
    const target = canonicalPath(message.url ?? '')
    if (target.kind !== 'path') return this.#answerElsewhere(target)
    checkNamespace(this.#namespace)
    const origin = this.#origin()
    let head = readHead(method, target.path, target.query)
    let bodyText: string | undefined
    if (head.operation === 'update' || head.operation === 'patch') {
      const read = await this.#readBody(head)
      if (read === undefined) return undefined
      head = read.head
      bodyText = read.text
    }
    const request = buildRequest(id, head, origin, message, bodyText)
    request.onGone = (listener) => this.#response.once('close', listener)
    return encodeResponse(await this.#options.handle(request))
  }

  #origin(): Origin {
    const { socket, headers } = this.#message
    const origin = originOf(socket, this.#terms.origin)
    const { resolveClient } = this.#terms
    if (resolveClient === undefined) return origin
    const header = headers['x-forwarded-for'] as string | undefined
    return { ...origin, remoteAddress: resolveClient(origin.remoteAddress, header) }
  }

  async #readBody(head: Head): Promise<{ head: Head; text: string | undefined } | undefined> {
    const contentType = this.#message.headers['content-type']
    if (head.operation === 'patch') checkPatchType(contentType)
    if (!hasBody(this.#message)) return { head, text: undefined }
    const { budget } = this.#options
    if (this.#owesContinue) {
      if (Number(this.#message.headers['content-length']) > budget.maxBodyBytes) {
        throw new PosternError('body_too_large')
      }
      this.#response.writeContinue()
      this.#owesContinue = false
    }
    const body = await readBody(this.#message, budget)
    if (body === undefined) return undefined
    // Told already that it came too late: it must not be carried out after all.
    if (this.#response.headersSent) {
      body.release()
      return undefined
    }
    try {
      const { fields, text } = decodeBody(body.bytes, contentType)
      return { head: { ...head, data: fields }, text }
    } finally {
      body.release()
    }
  }

  #headers(): string[] | undefined {
    // A client that was not told to go on may send its body or not: only a new connection is clear.
    const closes = this.#owesContinue || this.#options.isClosing()
    if (this.#namespace === undefined && !closes) return undefined
    const headers: string[] = []
    if (this.#namespace !== undefined) headers.push('X-Vault-Namespace', this.#namespace)
    if (closes) headers.push('Connection', 'close')
    return headers
  }

  /** The one answer without the standard headers, as the recorded exchanges have it. */
  #sendTooLarge(body: string): void {
    if (this.#response.headersSent || this.#response.destroyed) return
    const length = String(Buffer.byteLength(body))
    const headers = ['Content-Type', JSON_TYPE, 'Connection', 'close', 'Content-Length', length]
    this.#response.writeHead(413, headers)
    this.#response.end(body)
  }

  #answerElsewhere(target: Exclude<CanonicalTarget, { kind: 'path' }>): Encoded | undefined {
    if (target.kind === 'invalid') throw badRequest(target.message)
    if (target.kind === 'redirect') return this.#redirect(target.location)
    if (target.path === '/') return this.#redirect('/ui/')
    if (target.path === '/robots.txt') {
      return { status: 200, body: 'User-agent: *\nDisallow: /\n', contentType: 'text/plain' }
    }
    return { status: 404, body: errorBody([]), contentType: JSON_TYPE }
  }

  /** Without a body: clients follow the header (Decision 14). */
  #redirect(location: string): undefined {
    const answer = { status: 307, body: undefined, contentType: undefined }
    send(this.#response, answer, ['Location', location, ...(this.#headers() ?? [])])
  }
}
