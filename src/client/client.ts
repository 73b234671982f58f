/**
 * HTTP client for the Vault API over TCP, TLS or a unix socket (contract 1, 8.1): the headers that official
 * clients send, one redirect at most, one deadline for the whole request.
 */
import type { Agent, ClientRequest, IncomingMessage } from 'node:http'
import { http } from '../node-http.ts'
import type { Secret } from '../redact.ts'
import { type Address, isLoopback, parseAddress } from './address.ts'
import { ApiError, TransportError } from './api-error.ts'
import type { JsonObject } from './json.ts'
import type { Reply } from './reply.ts'
import type { ClientTls } from './tls.ts'

export interface ClientOptions {
  readonly address: string
  readonly token?: Secret | undefined
  readonly namespace?: string | undefined
  readonly tls?: ClientTls | undefined
  /** For a request with its redirect and retries; 60,000 when absent. */
  readonly timeoutMilliseconds?: number | undefined
  readonly followsRedirects?: boolean | undefined
  /** How often a request without a usable answer is sent again; 0 when absent. */
  readonly maxRetries?: number | undefined
  /** Proxy variables (`HTTPS_PROXY`, …); never used for addresses of this machine. */
  readonly proxy?: Readonly<Record<string, string | undefined>> | undefined
  readonly userAgent?: string | undefined
  readonly maxReplyBytes?: number | undefined
  /** Called before a request is sent, and stops it by throwing. */
  readonly onRequest?: ((request: RequestPreview) => void) | undefined
}

/** A request that is about to be sent. */
export interface RequestPreview {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
  readonly socketPath: string | undefined
}

export interface RequestOptions {
  readonly body?: JsonObject | undefined
  readonly query?: ReadonlyMap<string, readonly string[]> | undefined
  /** Instead of the client's own. */
  readonly token?: Secret | undefined
  /** Asks for a wrapped response: a duration text. */
  readonly wrapTtl?: string | undefined
  /** Besides those of every request: what a host signs with. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Instead of the client's own. */
  readonly timeoutMilliseconds?: number | undefined
}

interface Target {
  readonly address: Address
  /** Path and query. */
  readonly path: string
}

interface Answer extends Reply {
  readonly location: string | undefined
  readonly retryAfter: string | undefined
}

const REDIRECTS = new Set([301, 302, 307])
const RETRIED = new Set([412, 429])
const MAX_RETRY_SECONDS = 10

export class Client {
  readonly #options: ClientOptions
  readonly #address: Address
  readonly #agents = new Map<string, Agent>()

  /** Throws a TypeError when the address can't be read. */
  constructor(options: ClientOptions) {
    this.#options = options
    this.#address = parseAddress(options.address)
  }

  /** The server's address: shown to people, and for whoever is to reach the same server later. */
  get base(): string {
    const { base, socketPath } = this.#address
    return socketPath === undefined ? base : `unix://${socketPath}`
  }

  /**
   * Sends one request to a path below `/v1/`. Throws ApiError for a status from 400 on, TransportError
   * when there is no usable answer, TypeError for TLS settings that can't be read.
   */
  async send(method: string, path: string, options: RequestOptions = {}): Promise<Reply> {
    const target = { address: this.#address, path: targetPath(this.#address, path, options.query) }
    this.#preview(method, target, options)
    const signal = AbortSignal.timeout(
      options.timeoutMilliseconds ?? this.#options.timeoutMilliseconds ?? 60_000,
    )
    const limit = this.#options.maxRetries ?? 0
    for (let attempt = 0; ; attempt++) {
      const mayRetry = attempt < limit && !signal.aborted
      let retryAfter: string | undefined
      try {
        const reply = await this.#sendFollowing(method, target, options, signal)
        if (reply.status < 400) return reply
        if (!mayRetry || !isRetried(reply.status)) {
          throw new ApiError({ method, url: shownUrl(target) }, reply.status, reply.text)
        }
        retryAfter = reply.retryAfter
      } catch (error) {
        if (!(error instanceof TransportError) || !mayRetry) throw error
      }
      const { setTimeout: delay } = await import('node:timers/promises')
      // Cut short by the deadline: the next attempt then says so.
      await delay(retryMilliseconds(attempt, retryAfter), undefined, { signal }).catch(() => {})
    }
  }

  /** Closes kept connections. */
  close(): void {
    for (const agent of this.#agents.values()) agent.destroy()
    this.#agents.clear()
  }

  #preview(method: string, target: Target, options: RequestOptions): void {
    const body = bodyText(options)
    this.#options.onRequest?.({
      method,
      url: shownUrl(target),
      headers: this.#headers(options, body),
      body,
      socketPath: target.address.socketPath,
    })
  }

  async #sendFollowing(
    method: string,
    target: Target,
    options: RequestOptions,
    signal: AbortSignal,
  ): Promise<Answer> {
    const answer = await this.#sendOnce(method, target, options, signal)
    const { location } = answer
    if (!REDIRECTS.has(answer.status)) return answer
    const next = location === undefined ? undefined : redirectTarget(target, location)
    if (this.#options.followsRedirects === false || next === undefined) {
      throw new TransportError(
        { method, url: shownUrl(target) },
        new Error(`redirect not followed: ${answer.status} to ${location ?? 'nowhere'}`),
      )
    }
    const second = await this.#sendOnce(method, next, options, signal)
    if (!REDIRECTS.has(second.status)) return second
    throw new TransportError({ method, url: shownUrl(next) }, new Error('redirected twice'))
  }

  async #sendOnce(
    method: string,
    target: Target,
    options: RequestOptions,
    signal: AbortSignal,
  ): Promise<Answer> {
    const { address } = target
    const body = bodyText(options)
    const common = {
      method,
      path: target.path,
      headers: this.#headers(options, body),
      agent: await this.#agent(address),
      signal,
    }
    const endpoint =
      address.socketPath === undefined
        ? { host: address.host, port: address.port }
        : { socketPath: address.socketPath }
    try {
      const request = address.isTls
        ? (await import('node:https')).request({ ...common, ...endpoint })
        : http.request({ ...common, ...endpoint })
      const response = await responseOf(request, body)
      return await readAnswer(response, this.#options.maxReplyBytes ?? 64 * 1024 * 1024)
    } catch (error) {
      const cause = signal.aborted ? new Error('timed out waiting for the answer') : error
      throw new TransportError({ method, url: shownUrl(target) }, cause)
    }
  }

  #headers(options: RequestOptions, body: string | undefined): Record<string, string> {
    const headers: Record<string, string> = {
      'X-Vault-Request': 'true',
      'User-Agent': this.#options.userAgent ?? 'postern',
      ...options.headers,
    }
    const token = (options.token ?? this.#options.token)?.reveal()
    if (token) headers['X-Vault-Token'] = token
    if (this.#options.namespace) headers['X-Vault-Namespace'] = this.#options.namespace
    if (options.wrapTtl) headers['X-Vault-Wrap-TTL'] = options.wrapTtl
    if (body !== undefined) {
      headers['Content-Type'] = 'application/json'
      headers['Content-Length'] = String(Buffer.byteLength(body))
    }
    return headers
  }

  async #agent(address: Address): Promise<Agent> {
    const known = this.#agents.get(address.base)
    if (known) return known
    const proxyEnv = isLoopback(address) ? undefined : this.#options.proxy
    const settings = { keepAlive: true, ...(proxyEnv ? { proxyEnv } : {}) }
    const agent = address.isTls ? await this.#tlsAgent(settings) : new http.Agent(settings)
    this.#agents.set(address.base, agent)
    return agent
  }

  async #tlsAgent(settings: { keepAlive: boolean }): Promise<Agent> {
    // Loaded here, because most start-ups talk plain HTTP or to a socket.
    const [https, tls] = await Promise.all([import('node:https'), import('./tls.ts')])
    return new https.Agent({ ...settings, ...tls.connectionOptions(this.#options.tls ?? {}) })
  }
}

function bodyText({ body }: RequestOptions): string | undefined {
  return body === undefined ? undefined : JSON.stringify(body)
}

function targetPath(
  address: Address,
  path: string,
  query: ReadonlyMap<string, readonly string[]> | undefined,
): string {
  // encodeURI leaves these two, which would end the path.
  const encoded = encodeURI(path.replace(/^\/+/, '')).replace(/[?#]/g, encodeURIComponent)
  const pairs = [...(query ?? [])].flatMap(([key, values]) =>
    values.map((value): [string, string] => [key, value]),
  )
  const search = pairs.length === 0 ? '' : `?${new URLSearchParams(pairs)}`
  return `${address.prefix}/v1/${encoded}${search}`
}

function shownUrl({ address, path }: Target): string {
  return address.base.slice(0, address.base.length - address.prefix.length) + path
}

/** Where a redirect leads; undefined where it must not be followed: from TLS to plain HTTP, or to no address. */
function redirectTarget(from: Target, location: string): Target | undefined {
  if (location.startsWith('/') && !location.startsWith('//')) return { ...from, path: location }
  const url = URL.parse(location, shownUrl(from))
  if (!url || (from.address.isTls && url.protocol !== 'https:')) return undefined
  try {
    return { address: parseAddress(url.origin), path: url.pathname + url.search }
  } catch {
    return undefined
  }
}

function isRetried(status: number): boolean {
  return RETRIED.has(status) || (status >= 500 && status !== 501)
}

function retryMilliseconds(attempt: number, retryAfter: string | undefined): number {
  const asked = /^[0-9]{1,4}$/.test(retryAfter ?? '') ? Number(retryAfter) : 2 ** attempt
  return Math.min(asked, MAX_RETRY_SECONDS) * 1000
}

function responseOf(request: ClientRequest, body: string | undefined): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.on('response', resolve)
    request.on('error', reject)
    request.end(body)
  })
}

async function readAnswer(response: IncomingMessage, maxBytes: number): Promise<Answer> {
  const body = await readBody(response, maxBytes)
  if (!response.complete) throw new Error('the answer was cut short')
  return {
    status: response.statusCode ?? 0,
    contentType: response.headers['content-type'] ?? '',
    text: body.toString('utf8'),
    bytes: body,
    etag: response.headers.etag,
    date: response.headers.date,
    location: response.headers.location,
    retryAfter: response.headers['retry-after'],
  }
}

function readBody(response: IncomingMessage, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = []
    let bytes = 0
    response.on('data', (piece: Buffer) => {
      pieces.push(piece)
      bytes += piece.length
      if (bytes <= maxBytes) return
      reject(new Error(`the answer is larger than ${maxBytes} bytes`))
      response.destroy()
    })
    response.on('end', () => resolve(Buffer.concat(pieces)))
    response.on('error', reject)
    response.on('close', () => reject(new Error('the answer was cut short')))
  })
}
