/** Turns an authorised request into the call that an operation gets: coerced fields, views, lease terms. */
import { badRequest, PosternError } from '../../errors.ts'
import type { Call, Caller, LeaseTerms, MountPoint, NewLease } from '../../mount/call.ts'
import { coerceFields } from '../../mount/field.ts'
import type { Mount } from '../../mount/mount-table.ts'
import type { Operation } from '../../mount/operation.ts'
import { sortableId, uuid } from '../../random.ts'
import { Secret } from '../../redact.ts'
import { StoreView } from '../../storage/view.ts'
import type { StoredToken } from '../../token/token.ts'
import { isExpired, isRootToken } from '../../token/token.ts'
import { readToken } from '../../token/token-store.ts'
import { aclOf } from '../config/acl-cache.ts'
import { beginLease } from '../lease/begun-leases.ts'
import type { Parts, SystemTtl } from '../parts.ts'
import type { AuthenticatedRequest, AuthorizedRequest } from './authorize.ts'

/** How old the reading of a token may be when something is signed for it. */
const TOKEN_FRESH_MS = 1000
const LEASE_CHARACTERS = 24

export interface ValidatedRequest extends AuthorizedRequest {
  readonly call: Call
  /** About ignored and replaced fields: shown when there is a body. */
  readonly fieldWarnings: readonly string[]
}

/** Configuration of a mount lies under its uuid, so that moving it moves nothing. */
export const configPrefix = (mount: Mount): string => `cfg/mount/${mount.uuid}/`
export const dataPrefix = (mount: Mount): string => `data/${mount.uuid}/`

/** What surrounds a call that acts before its commit. */
interface Acting {
  /** Resolves when the request's audit line is written. */
  readonly requestLine: Promise<void>
  /** Called when it has begun a lease. */
  readonly onBegun: () => void
}

/** Coerces the declared fields and builds the call. Throws `invalid_field`. */
export function validateFields(
  parts: Parts,
  authorized: AuthorizedRequest,
  acting: Acting,
): ValidatedRequest {
  const { request, match } = authorized
  const { path, names } = match
  let data: ReadonlyMap<string, unknown> = request.data
  if (names.size > 0) data = new Map([...request.data, ...names])
  const { values, given } = coerceFields(path.fields, data)
  const warnings: string[] = []
  if (request.data.size > 0 && !path.anyData) warnings.push(...fieldWarnings(authorized))
  const call = buildCall(parts, authorized, authorized.operation, values, given, acting)
  return { ...authorized, call, fieldWarnings: warnings }
}

function fieldWarnings({ request, match }: AuthorizedRequest): string[] {
  const sent = [...request.data.keys()].sort()
  const ignored = sent.filter((name) => !Object.hasOwn(match.path.fields, name))
  const replaced = sent.filter((name) => match.names.has(name))
  const warnings: string[] = []
  if (ignored.length > 0) {
    warnings.push(`Endpoint ignored these unrecognized parameters: [${ignored.join(' ')}]`)
  }
  if (replaced.length > 0) {
    warnings.push(
      `Endpoint replaced the value of these parameters with the values captured from the endpoint's path: [${replaced.join(' ')}]`,
    )
  }
  return warnings
}

/** Asks the path whether the thing exists: it decides between `create` and `update`. */
export async function operationOf(parts: Parts, request: AuthenticatedRequest): Promise<Operation> {
  const { operation } = request.request
  if (operation === 'header') throw new PosternError('unsupported_operation')
  if (operation === 'options') throw badRequest('cannot handle internal-only request operation')
  const { match, mount } = request
  if (operation !== 'update' || !match?.path.exists || !mount) return operation
  const data = new Map([...request.request.data, ...match.names])
  const { values, given } = coerceFields(match.path.fields, data)
  const call = buildCall(parts, { ...request, mount, hasSudo: false }, operation, values, given)
  return (await match.path.exists(call)) ? 'update' : 'create'
}

function buildCall(
  parts: Parts,
  source: AuthenticatedRequest & { readonly mount: Mount; readonly hasSudo: boolean },
  operation: Operation,
  fields: Call['fields'],
  given: ReadonlySet<string>,
  acting?: Acting,
): Call {
  const { request, token, mount, config, now } = source
  return {
    requestId: request.id,
    operation,
    path: source.rest,
    fields,
    given,
    data: request.data,
    bodyText: request.bodyText,
    headers: request.headers,
    remoteAddress: request.remoteAddress,
    wrapTtlSeconds: request.wrapTtlSeconds,
    sentToken: request.token === undefined ? undefined : new Secret(request.token),
    unauthenticatedMetrics: request.unauthenticatedMetrics ?? false,
    caller: token && callerOf(token, request.token ?? '', source.hasSudo),
    mount: mountPointOf(mount, parts.systemTtl),
    config: config.view(configPrefix(mount)),
    store: new StoreView(parts.store, dataPrefix(mount)),
    now,
    newLease: (terms) => newLease(terms, request.path, mount, token, now),
    beginLease: async (terms, writes) => {
      // It acts before the commit, so that its line has to be there.
      await acting?.requestLine
      const lease = newLease(terms, request.path, mount, token, now)
      const pending = await beginLease(parts, source, lease, writes)
      acting?.onBegun()
      return pending
    },
    hmac: (secret) => parts.hmac(secret),
    allowsSudo: (wanted, path) => allowsSudo(source, wanted, mount.path + path),
    onGone: (listener) => request.onGone?.(listener),
    stillAllowed: () => stillAllowed(parts, token, now),
  }
}

async function allowsSudo(
  { token, config, now }: AuthenticatedRequest,
  operation: Operation,
  path: string,
): Promise<boolean> {
  if (!token) return false
  const acl = await aclOf(config, token.policies, now)
  const decision = acl.decide({ operation, path })
  return decision.allowed && decision.hasSudo
}

function callerOf(token: StoredToken, text: string, hasSudo: boolean): Caller {
  return {
    tokenId: token.id,
    token: new Secret(text),
    accessor: token.accessor,
    displayName: token.displayName,
    policies: token.policies,
    isRoot: isRootToken(token),
    hasSudo,
    entityId: token.entityId,
  }
}

/** A mount's record is the same object for all requests of a generation. */
const mountPoints = new WeakMap<Mount, MountPoint>()

export function mountPointOf(mount: Mount, system: SystemTtl): MountPoint {
  let point = mountPoints.get(mount)
  if (!point) {
    point = makeMountPoint(mount, system)
    mountPoints.set(mount, point)
  }
  return point
}

function makeMountPoint(mount: Mount, system: SystemTtl): MountPoint {
  const { defaultLeaseTtl, maxLeaseTtl } = mount.config
  return {
    path: mount.path,
    type: mount.type,
    uuid: mount.uuid,
    accessor: mount.accessor,
    options: new Map(Object.entries(mount.options ?? {})),
    tunedDefaultTtlSeconds: defaultLeaseTtl || undefined,
    tunedMaxTtlSeconds: maxLeaseTtl || undefined,
    defaultTtlSeconds: defaultLeaseTtl || system.defaultSeconds,
    maxTtlSeconds: maxLeaseTtl || system.maxSeconds,
  }
}

function newLease(
  terms: LeaseTerms,
  requestPath: string,
  mount: Mount,
  token: StoredToken | undefined,
  now: number,
): NewLease {
  if (!token)
    throw new PosternError('internal', 'internal error', {
      cause: new Error('a lease needs a token'),
    })
  const is2015 = mount.options?.['compat'] === '2015'
  const id = `${requestPath}/${is2015 ? uuid() : sortableId(LEASE_CHARACTERS, now)}`
  return { id, expiresAt: now + terms.ttlSeconds * 1000, tokenId: token.id, terms }
}

/** Throws when the token was revoked since it was read, if that is long ago (protocols 1.4). */
async function stillAllowed(
  parts: Parts,
  token: StoredToken | undefined,
  readAt: number,
): Promise<void> {
  if (!token || parts.clock.now() - readAt <= TOKEN_FRESH_MS) return
  const fresh = await readToken(parts.store, token.id)
  if (!fresh || isExpired(fresh, parts.clock.now())) throw new PosternError('permission_denied')
}
