/** Something between a host and its server: passes everything on, until a test lets it answer from memory, or not at all. */
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Remembered {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly body: Buffer
}

export interface Meddler extends AsyncDisposable {
  readonly address: string
  /** Last answers with content, by path below /v1/ without the query. */
  readonly seen: ReadonlyMap<string, Remembered>
  /** By path: what is answered instead of what the server says. */
  readonly lies: Map<string, Remembered>
}

export async function startMeddler(listenAddress: string, server: string): Promise<Meddler> {
  const seen = new Map<string, Remembered>()
  const lies = new Map<string, Remembered>()
  const listener = http.createServer((request, response) => {
    const path = (request.url ?? '').replace(/\?.*/, '').replace('/v1/', '')
    const lie = lies.get(path)
    if (lie) {
      response.writeHead(lie.status, lie.headers).end(lie.body)
      return
    }
    const { method, headers } = request
    const onward = http.request(`${server}${request.url}`, { method, headers }, (answer) => {
      const pieces: Buffer[] = []
      answer.on('data', (piece) => pieces.push(piece))
      answer.on('end', () => {
        const { statusCode: status = 0 } = answer
        // Of what is sent in the end.
        const { 'content-length': _, ...told } = answer.headers
        const body = Buffer.concat(pieces)
        if (status === 200) seen.set(path, { status, headers: told, body })
        response.writeHead(status, told).end(body)
      })
    })
    onward.on('error', () => response.destroy())
    response.on('close', () => onward.destroy())
    request.pipe(onward)
  })
  listener.listen(0, listenAddress)
  await once(listener, 'listening')
  return {
    address: `http://${listenAddress}:${(listener.address() as AddressInfo).port}`,
    seen,
    lies,
    [Symbol.asyncDispose]: async () => {
      listener.closeAllConnections()
      listener.close()
      await once(listener, 'close')
    },
  }
}
