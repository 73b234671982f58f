/** A server on loopback with a core made of one function, and a client that sends bytes as it is told. */
import { connect, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { connect as connectTls } from 'node:tls'
import type { Request } from '../../src/core/request/request.ts'
import type { Response } from '../../src/core/request/response.ts'
import type { HttpLogEntry } from '../../src/http/error-response.ts'
import type { HttpLimits } from '../../src/http/listener/limits.ts'
import type { Listener, TcpListener } from '../../src/http/listener/listener.ts'
import { type HttpServer, startHttpServer } from '../../src/http/server.ts'
import { firstCertificate } from './tls-material.ts'

export type Handle = (request: Request) => Promise<Response>

/** Answers with what it was asked. */
export async function echo(request: Request): Promise<Response> {
  const { operation, path, data, token } = request
  return {
    kind: 'bare',
    status: 200,
    body: { operation, path, data: Object.fromEntries(data), ...(token ? { token } : undefined) },
  }
}

export interface Started {
  readonly server: HttpServer
  readonly port: number
  readonly log: HttpLogEntry[]
  /** A connection to the first listener. */
  open(): Client
}

export interface StartOptions {
  readonly handle?: Handle
  readonly limits?: Partial<HttpLimits>
  readonly listener?: Partial<TcpListener>
  readonly more?: readonly Listener[]
}

/** Starts a server that is closed when the test ends. */
export async function start(t: TestContext, options: StartOptions = {}): Promise<Started> {
  const listener: TcpListener = { kind: 'tcp', host: '127.0.0.1', port: 0, ...options.listener }
  const log: HttpLogEntry[] = []
  const server = await startHttpServer({
    listeners: [listener, ...(options.more ?? [])],
    handle: options.handle ?? echo,
    log: (entry) => log.push(entry),
    ...(options.limits ? { limits: options.limits } : undefined),
  })
  t.after(() => server.close(0))
  const [address] = server.addresses
  const port = address?.kind === 'tcp' ? address.port : 0
  const open = () =>
    new Client(
      listener.tls
        ? connectTls({ port, host: '127.0.0.1', ca: firstCertificate.certificate })
        : connect(port, '127.0.0.1'),
    )
  return { server, port, log, open }
}

export interface Answer {
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
}

/** One connection: `send` bytes, `answer` in order. */
export class Client {
  readonly socket: Socket
  #received = ''
  #ended = false
  #wake: () => void = () => {}

  constructor(socket: Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => {
      this.#received += text
      this.#wake()
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#ended = true
      this.#wake()
    })
  }

  /** Each piece leaves by itself and has time to arrive alone. */
  async send(...pieces: (string | Buffer)[]): Promise<void> {
    for (const piece of pieces) {
      await new Promise<void>((resolve) => this.socket.write(piece, () => resolve()))
      for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve))
    }
  }

  /** The next answer; undefined when the server closed instead. */
  async answer(withBody = true): Promise<Answer | undefined> {
    for (;;) {
      const answer = this.#take(withBody)
      if (answer) return answer
      if (this.#ended) return undefined
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  async json(): Promise<unknown> {
    const answer = await this.answer()
    return answer === undefined ? undefined : JSON.parse(answer.body)
  }

  /** Waits for the end; gives what came unread. */
  async end(): Promise<string> {
    while (!this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    return this.#received
  }

  close(): void {
    this.socket.destroy()
  }

  #take(withBody: boolean): Answer | undefined {
    const split = this.#received.indexOf('\r\n\r\n')
    if (split === -1) return undefined
    const [first = '', ...lines] = this.#received.slice(0, split).split('\r\n')
    const headers = new Map(
      lines.map((line): [string, string] => {
        const colon = line.indexOf(':')
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
      }),
    )
    const length = withBody ? Number(headers.get('content-length') ?? 0) : 0
    const end = split + 4 + length
    if (this.#received.length < end) return undefined
    const body = Buffer.from(this.#received.slice(split + 4, end), 'latin1').toString('utf8')
    this.#received = this.#received.slice(end)
    return { status: Number(first.split(' ')[1]), headers, body }
  }
}

/** A request's text: `Host` and the length of the body are added. */
export function head(requestLine: string, headers: readonly string[] = [], body = ''): string {
  const length = body === '' ? [] : [`Content-Length: ${Buffer.byteLength(body)}`]
  const lines = [`${requestLine} HTTP/1.1`, 'Host: test', ...headers, ...length]
  return `${lines.join('\r\n')}\r\n\r\n${body}`
}

/** Sends one request on a connection of its own. */
export async function ask(
  started: Started,
  requestLine: string,
  headers: readonly string[] = [],
  body = '',
): Promise<Answer> {
  const client = started.open()
  await client.send(head(requestLine, headers, body))
  const answer = await client.answer(!requestLine.startsWith('HEAD '))
  client.close()
  if (!answer) throw new Error('the server closed without an answer')
  return answer
}
