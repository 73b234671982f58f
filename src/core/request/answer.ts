/** From outcome to response: the envelope, or a body outside it; wrapped where the caller asked for it. */

import { rfc3339 } from '../../clock.ts'
import type { Outcome, TokenGrant } from '../../mount/call.ts'
import { parseExactJson } from '../../mount/exact-json.ts'
import type { Condition, Write } from '../../storage/store.ts'
import { encodeRecord } from '../../storage/view.ts'
import { authResponse } from '../../token/auth-response.ts'
import { wrappedKey } from '../../token/token-store.ts'
import type { Parts } from '../parts.ts'
import type { ValidatedRequest } from './call.ts'
import type { Issued } from './issue.ts'
import { newToken, tokenWrites } from './issue.ts'
import type { Envelope, Response, WrapInfo } from './response.ts'

/** A response that waits for the commit of its writes. */
export interface Answered extends Issued {
  readonly response: Response
}

export function answerOf(request: ValidatedRequest, issued: Issued): Answered {
  return { ...issued, response: responseOf(request, issued) }
}

function responseOf(request: ValidatedRequest, { outcome, token }: Issued): Response {
  if (outcome.replay !== undefined) return replayed(outcome.replay)
  if (outcome.bare) return bareResponse(outcome.bare, outcome.status ?? 200)
  const lease = leaseShown(outcome)
  const hasBody = Boolean(outcome.data ?? lease ?? token ?? outcome.auth)
  const own = outcome.warnings ?? []
  if (!hasBody && own.length === 0) return { kind: 'empty', status: outcome.status ?? 204 }
  const warnings = [...own, ...request.fieldWarnings]
  const envelope: Envelope = {
    request_id: request.request.id,
    lease_id: lease?.id ?? '',
    renewable: lease?.renewable ?? false,
    lease_duration: lease?.ttlSeconds ?? 0,
    data: outcome.data ?? null,
    wrap_info: null,
    warnings: warnings.length > 0 ? warnings : null,
    auth: token
      ? authResponse(token.record, token.text, token.record.creationTtlSeconds)
      : (outcome.auth ?? null),
  }
  const topLevelCopy = request.match.path.topLevelCopy ?? false
  return { kind: 'envelope', status: outcome.status ?? 200, envelope, topLevelCopy }
}

/** A stored response as it was: only the numbers of its data have to keep their digits. */
function replayed(text: string): Response {
  const response = JSON.parse(text) as Response
  if (response.kind !== 'envelope') return response
  const exact = parseExactJson(text) as typeof response
  return { ...response, envelope: { ...response.envelope, data: exact.envelope.data } }
}

function leaseShown({ lease, activatedLease, renewedLease }: Outcome): Outcome['renewedLease'] {
  const given = lease ?? activatedLease
  if (!given) return renewedLease
  const { renewable, ttlSeconds } = given.terms
  return { id: given.id, renewable, ttlSeconds }
}

/** A body outside the envelope: bytes or text where a content type is given, JSON else. */
export function bareResponse(bare: NonNullable<Outcome['bare']>, status: number): Response {
  const { body, contentType, headers } = bare
  const more = headers && { headers }
  if (contentType !== undefined && typeof body === 'string') {
    return { kind: 'text', status, text: body, contentType, ...more }
  }
  if (contentType !== undefined && body instanceof Uint8Array) {
    return { kind: 'bytes', status, bytes: body, contentType, ...more }
  }
  return { kind: 'bare', status, body }
}

/** Puts the response under a single-use token, when the request asked for it and there is one to wrap. */
export function wrapResponse(
  parts: Parts,
  request: ValidatedRequest,
  answered: Answered,
): Answered {
  const ttlSeconds = request.request.wrapTtlSeconds ?? 0
  if (ttlSeconds === 0 || answered.response.kind === 'empty') return answered
  if (answered.outcome.replay !== undefined) return answered
  const content = JSON.stringify(answered.response)
  const creationPath = request.request.path
  const wrappedAccessor = answered.token?.record.accessor
  const wrapped = wrapContent(parts, request.now, content, {
    creationPath,
    ttlSeconds,
    ...(wrappedAccessor === undefined ? {} : { wrappedAccessor }),
  })
  return {
    ...answered,
    writes: [...answered.writes, ...wrapped.writes],
    conditions: [...answered.conditions, ...wrapped.conditions],
    issuedKeys: [...answered.issuedKeys, ...wrapped.writes.map(({ key }) => key)],
    response: wrappedResponse(wrapped.info),
  }
}

/** Stores a response's JSON text under a new wrapping token. */
export function wrapContent(
  parts: Pick<Parts, 'hmac'>,
  now: number,
  content: string,
  wrapping: NonNullable<TokenGrant['wrapping']>,
): { info: WrapInfo; writes: Write[]; conditions: Condition[] } {
  const token = newToken(
    parts,
    {
      ...wrappingGrant,
      path: wrapping.creationPath,
      ttlSeconds: wrapping.ttlSeconds,
      maxTtlSeconds: wrapping.ttlSeconds,
      wrapping,
    },
    now,
  )
  const { writes, conditions } = tokenWrites(token)
  const info: WrapInfo = {
    token: token.text,
    accessor: token.record.accessor,
    ttl: wrapping.ttlSeconds,
    creation_time: rfc3339(now),
    creation_path: wrapping.creationPath,
    ...(wrapping.wrappedAccessor === undefined
      ? {}
      : { wrapped_accessor: wrapping.wrappedAccessor }),
  }
  return {
    info,
    writes: [...writes, { key: wrappedKey(token.id), value: encodeRecord(content) }],
    conditions,
  }
}

const wrappingGrant: Omit<TokenGrant, 'path' | 'ttlSeconds' | 'maxTtlSeconds'> = {
  displayName: '',
  policies: ['response-wrapping'],
  explicitMaxTtlSeconds: 0,
  periodSeconds: 0,
  numUses: 0,
  renewable: false,
  metadata: undefined,
  parentId: undefined,
  entityId: '',
}

export function wrappedResponse(info: WrapInfo): Response {
  const envelope: Envelope = {
    request_id: '',
    lease_id: '',
    renewable: false,
    lease_duration: 0,
    data: null,
    wrap_info: info,
    warnings: null,
    auth: null,
  }
  return { kind: 'envelope', status: 200, envelope, topLevelCopy: false }
}
