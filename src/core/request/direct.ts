/**
 * Paths that answer whether or not the server is sealed: no token, no policy, no audit line, no look at the
 * configuration (contract 2.1).
 */
import type { Clock } from '../../clock.ts'
import { PosternError } from '../../errors.ts'
import type { Call } from '../../mount/call.ts'
import { coerceFields } from '../../mount/field.ts'
import type { Match, Router } from '../../mount/router.ts'
import { bareResponse } from './answer.ts'
import type { Request } from './request.ts'
import type { Response } from './response.ts'

const SYS = 'sys/'

export function directMatch(router: Router, request: Request): Match | undefined {
  if (!request.path.startsWith(SYS) || request.operation === 'help') return undefined
  const rest = request.path.slice(SYS.length)
  const operation =
    request.operation === 'header' || request.operation === 'options' ? 'read' : request.operation
  const path = rest.endsWith('/') ? rest.slice(0, -1) : rest
  const match = router.match(path, operation)
  return match?.path.whileSealed ? match : undefined
}

/** Sealing what is sealed needs no token: there is nobody to ask about one, and nothing to do. */
export function asksToSeal(request: Request): boolean {
  return request.path === 'sys/seal' && request.operation === 'update'
}

export async function answerDirectly(
  request: Request,
  match: Match,
  clock: Clock,
): Promise<Response> {
  const { operation } = request
  const run =
    operation === 'header' ? match.path.operations.read : match.path.operations[operation as 'read']
  if (!run || request.path.endsWith('/')) {
    throw new PosternError('unsupported_operation', undefined, { messages: [] })
  }
  // Go clients send these bodies with the names of their own structures: `Key` is `key`.
  const data = new Map([...request.data].map(([name, value]) => [name.toLowerCase(), value]))
  const { values, given } = coerceFields(match.path.fields, data)
  const outcome = await run({
    requestId: request.id,
    path: request.path.slice(SYS.length),
    operation,
    fields: values,
    given,
    data,
    remoteAddress: request.remoteAddress,
    now: clock.now(),
  } as unknown as Call)
  if (!outcome.bare) return { kind: 'empty', status: outcome.status ?? 204 }
  return bareResponse(outcome.bare, outcome.status ?? 200)
}
