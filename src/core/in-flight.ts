/** The requests under way, as sys/in-flight-req shows them (contract 2.1). */
import { createHash } from 'node:crypto'
import { rfc3339 } from '../clock.ts'
import type { StoredToken } from '../token/token.ts'
import { readToken } from '../token/token-store.ts'
import type { Parts } from './parts.ts'
import type { Request } from './request/request.ts'

/** By the ids of the requests; `startedAt` is in milliseconds since the epoch. */
export type InFlight = ReadonlyMap<
  string,
  { readonly request: Request; readonly startedAt: number }
>

const METHODS: Partial<Record<Request['operation'], string>> = {
  update: 'PUT',
  delete: 'DELETE',
  patch: 'PATCH',
  header: 'HEAD',
  options: 'OPTIONS',
}

export async function inFlightView(
  parts: Pick<Parts, 'store' | 'hmac'>,
  requests: InFlight,
): Promise<Record<string, unknown>> {
  const view: Record<string, unknown> = Object.create(null)
  for (const [id, { request, startedAt }] of requests) {
    view[id] = {
      start_time: rfc3339(startedAt),
      client_remote_address: `${request.remoteAddress}:${request.remotePort}`,
      request_path: `/v1/${request.path}`,
      request_method: METHODS[request.operation] ?? 'GET',
      client_id: await clientOf(parts, request),
    }
  }
  return view
}

async function clientOf(
  parts: Pick<Parts, 'store' | 'hmac'>,
  { token: text }: Request,
): Promise<string> {
  if (text === undefined) return ''
  const token = await readToken(parts.store, parts.hmac(text))
  return token ? clientId(token) : ''
}

/** The entity, else what all tokens of the same policies share: as Vault counts clients. */
function clientId({ entityId, policies }: StoredToken): string {
  if (entityId !== '') return entityId
  const names = [...policies].sort().join('\x7f')
  return createHash('sha256').update(`${names}\0root`).digest('base64')
}
