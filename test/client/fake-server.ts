/** A server of this test's own that records what a client sends and answers as told. */
import { once } from 'node:events'
import {
  createServer,
  type IncomingHttpHeaders,
  type RequestListener,
  type Server,
} from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, ListenOptions } from 'node:net'

export interface SeenRequest {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface FakeAnswer {
  readonly status?: number
  readonly headers?: Record<string, string>
  /** An object is sent as JSON, also one that is promised. */
  readonly body?: unknown
  /** Never answers. */
  readonly hangs?: boolean
}

export type Answerer = (request: SeenRequest) => FakeAnswer | undefined

export interface FakeServer extends AsyncDisposable {
  readonly address: string
  readonly seen: SeenRequest[]
}

/** Requests without an answer get 404 with an empty list of errors. */
export async function startFakeServer(
  answer: Answerer,
  options: { listen?: ListenOptions; tls?: { key: string; cert: string } } = {},
): Promise<FakeServer> {
  const seen: SeenRequest[] = []
  const listener: RequestListener = async (request, response) => {
    let body = ''
    for await (const piece of request) body += piece
    const { method = '', url = '', headers } = request
    seen.push({ method, url, headers, body })
    const given = answer({ method, url, headers, body }) ?? { status: 404, body: { errors: [] } }
    if (given.hangs) return
    const content = await given.body
    const text = typeof content === 'string' ? content : JSON.stringify(content)
    response.writeHead(given.status ?? 200, {
      'Content-Type': 'application/json',
      ...given.headers,
    })
    response.end(content === undefined ? undefined : text)
  }
  const server: Server = options.tls
    ? createTlsServer(options.tls, listener)
    : createServer(listener)
  server.listen(options.listen ?? { host: '127.0.0.1', port: 0 })
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    address: `${options.tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    seen,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
