/**
 * Sends one request as recorded (any method, an unnormalised path, header values with blanks) and reads
 * the answer.
 */
import http from 'node:http'
import { type Answer, type Exchange, type Json, parseExact } from './record.ts'

/** The headers that belong to the contract; others are the server's own business. */
const COMPARED_HEADERS = [
  'cache-control',
  'content-type',
  'strict-transport-security',
  'location',
  'x-vault-namespace',
]

export async function exchange(address: string, request: Exchange): Promise<Answer> {
  const { hostname, port } = new URL(address)
  const body = encodeBody(request.request_body)
  const headers: Record<string, string | number> = { ...request.request_headers }
  if (body !== undefined) headers['Content-Length'] = body.length
  return await new Promise((resolve, reject) => {
    const outgoing = http.request(
      { host: hostname, port, method: request.method, path: request.path, headers, agent: false },
      (incoming) => {
        const chunks: Buffer[] = []
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
        incoming.on('error', reject)
        incoming.on('end', () => {
          resolve(toAnswer(incoming, Buffer.concat(chunks)))
          // A body that was refused by its length may still be on its way.
          outgoing.destroy()
        })
      },
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

function encodeBody(body: Json): Buffer | undefined {
  if (body === null || body === undefined) return undefined
  if (typeof body === 'string') return Buffer.from(body)
  if (body._truncated) return Buffer.from(body._head.padEnd(body._bytes, 'a'))
  return Buffer.from(JSON.stringify(body))
}

function toAnswer(incoming: http.IncomingMessage, bytes: Buffer): Answer {
  const headers: Record<string, string> = {}
  for (const name of COMPARED_HEADERS) {
    const value = incoming.headers[name]
    if (typeof value === 'string') headers[name] = value
  }
  return {
    status: incoming.statusCode ?? 0,
    response_headers: headers,
    response_body: decodeBody(headers['content-type'], bytes.toString('utf8')),
  }
}

function decodeBody(contentType: string | undefined, text: string): Json {
  if (text === '') return null
  if (!contentType?.startsWith('application/json')) return text
  try {
    return parseExact(text)
  } catch {
    return text
  }
}
