/** What the core is asked (contract 1.2 and 1.3): operation, headers and fields of one HTTP request. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { Request } from '../core/request/request.ts'
import { parseDuration } from '../duration.ts'
import { badRequest, PosternError } from '../errors.ts'
import { type Pairs, parsePairs, queryFields } from './body/form.ts'
import { RequestHeaders } from './headers.ts'

const NOTHING: ReadonlyMap<string, unknown> = new Map()

type RequestOperation = Request['operation']

/** Parts of a request that hold before its body is read. */
export interface Head {
  readonly operation: RequestOperation
  /** With its final slash where the operation lists. */
  readonly path: string
  readonly data: ReadonlyMap<string, unknown>
}

/** Where a request came from, as its listener sees it. */
export interface Origin {
  readonly remoteAddress: string
  readonly remotePort: number
  readonly clientCertificateSerial?: string
  readonly unauthenticatedMetrics?: boolean
}

const OPERATIONS: ReadonlyMap<string, RequestOperation> = new Map<string, RequestOperation>([
  ['GET', 'read'],
  ['HEAD', 'header'],
  ['LIST', 'list'],
  ['SCAN', 'scan'],
  ['POST', 'update'],
  ['PUT', 'update'],
  ['PATCH', 'patch'],
  ['DELETE', 'delete'],
  ['OPTIONS', 'options'],
])

/** The operation that a method stands for. Throws a 405 for a method that the API does not know. */
export function checkMethod(method: string): RequestOperation {
  const operation = OPERATIONS.get(method)
  if (operation === undefined) throw new PosternError('unsupported_operation', '', { messages: [] })
  return operation
}

/** Maps method, path and query to operation, path and data. Throws what `checkMethod` throws, and a 400. */
export function readHead(method: string, path: string, query: string): Head {
  const operation = checkMethod(method)
  if (operation === 'update' || operation === 'patch') {
    if (path.endsWith('/')) throw badRequest("cannot write to a path ending in '/'")
    return { operation, path, data: NOTHING }
  }
  if (query === '' && operation !== 'list' && operation !== 'scan') {
    return { operation, path, data: NOTHING }
  }
  const pairs = parsePairs(query)
  const asked = method === 'GET' ? operationOfQuery(pairs) : operation
  for (const name of ['list', 'scan', 'help']) pairs.delete(name)
  const lists = asked === 'list' || asked === 'scan'
  const slash = lists && path !== '' && !path.endsWith('/') ? '/' : ''
  return { operation: asked, path: path + slash, data: queryFields(pairs) }
}

function operationOfQuery(pairs: Pairs): RequestOperation {
  if ((pairs.get('help')?.[0] ?? '') !== '') return 'help'
  const list = goBoolean(pairs.get('list')?.[0])
  const scan = goBoolean(pairs.get('scan')?.[0])
  if (list && scan) throw badRequest('list and scan cannot be asked for together')
  return list ? 'list' : scan ? 'scan' : 'read'
}

const TRUE = new Set(['1', 't', 'T', 'true', 'TRUE', 'True'])
const FALSE = new Set(['0', 'f', 'F', 'false', 'FALSE', 'False', ''])

function goBoolean(text: string | undefined): boolean {
  if (text === undefined || FALSE.has(text)) return false
  if (TRUE.has(text)) return true
  throw new PosternError('invalid_request', '', { messages: [] })
}

/** Refuses every namespace but the root: there are no others. */
export function checkNamespace(namespace: string | undefined): void {
  if (namespace === undefined || /^(?:root)?\/?$/.test(namespace)) return
  throw new PosternError('not_found', 'namespace not found')
}

/** The client token. `Bearer` is spelled exactly so: another word is no token. */
function tokenOf(headers: IncomingHttpHeaders): string | undefined {
  const own = headers['x-vault-token']
  if (typeof own === 'string' && own !== '') return own
  const authorization = headers.authorization
  if (!authorization?.startsWith('Bearer ')) return undefined
  const token = authorization.slice('Bearer '.length).trim()
  return token === '' ? undefined : token
}

/** Whole seconds, rounded up: half a second must not come to mean unwrapped. Undefined for zero. */
function wrapTtlOf(headers: IncomingHttpHeaders): number | undefined {
  const text = headers['x-vault-wrap-ttl']
  if (typeof text !== 'string' || text === '') return undefined
  const prefix = 'error parsing X-Vault-Wrap-TTL header: '
  let seconds: number
  try {
    seconds = parseDuration(text)
  } catch (error) {
    if (error instanceof RangeError) throw badRequest(prefix + error.message)
    throw error
  }
  if (seconds < 0) throw badRequest(`${prefix}requested wrap ttl cannot be negative`)
  return seconds === 0 ? undefined : Math.ceil(seconds)
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** A request as the core sees it. Throws a 400 for a wrap TTL that is none. */
export function buildRequest(
  id: string,
  head: Head,
  origin: Origin,
  message: IncomingMessage,
  bodyText?: string,
): Mutable<Request> {
  // Built without spreads, which cost several microseconds a request.
  const request: Mutable<Request> = {
    id,
    operation: head.operation,
    path: head.path,
    data: head.data,
    headers: new RequestHeaders(message.headers),
    remoteAddress: origin.remoteAddress,
    remotePort: origin.remotePort,
  }
  const token = tokenOf(message.headers)
  if (token !== undefined) request.token = token
  const wrapTtlSeconds = wrapTtlOf(message.headers)
  if (wrapTtlSeconds !== undefined) request.wrapTtlSeconds = wrapTtlSeconds
  if (bodyText !== undefined) request.bodyText = bodyText
  const { clientCertificateSerial, unauthenticatedMetrics } = origin
  if (clientCertificateSerial !== undefined)
    request.clientCertificateSerial = clientCertificateSerial
  if (unauthenticatedMetrics !== undefined) request.unauthenticatedMetrics = unauthenticatedMetrics
  return request
}
