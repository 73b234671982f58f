/**
 * The first steps of a request, up to the point where it may act: is the server open, what does the path name, who
 * asks, may they. Each step returns a narrower type, so that nothing is reached unauthorised.
 */
import { asErrorList, PosternError } from '../../errors.ts'
import type { Fields } from '../../mount/field.ts'
import type { Mount } from '../../mount/mount-table.ts'
import { MOUNTS_KEY, MountTable } from '../../mount/mount-table.ts'
import type { Operation } from '../../mount/operation.ts'
import type { Run } from '../../mount/path.ts'
import { judgedPath, type Match } from '../../mount/router.ts'
import type { Decision } from '../../policy/acl.ts'
import { GENERATION_KEY, SEAL_KEY } from '../../storage/path.ts'
import type { Entry } from '../../storage/store.ts'
import type { StoredToken } from '../../token/token.ts'
import { isExpired, isRootToken } from '../../token/token.ts'
import { decodeToken, takeUse, tokenKey } from '../../token/token-store.ts'
import { aclOf } from '../config/acl-cache.ts'
import type { ConfigSnapshot } from '../config/config-cache.ts'
import { rootMatch } from '../help.ts'
import type { Parts, RoutedBackend } from '../parts.ts'
import type { Request } from './request.ts'

export interface OpenedRequest {
  readonly request: Request
  readonly config: ConfigSnapshot
  readonly tokenId: string | undefined
  readonly tokenEntry: Entry | undefined
  /** Milliseconds since the epoch, when the store was read. */
  readonly now: number
}

export interface RoutedRequest extends OpenedRequest {
  readonly mount: Mount | undefined
  readonly backend: RoutedBackend | undefined
  /** Inside the mount. */
  readonly rest: string
  /** The whole path as policies judge it. */
  readonly policyPath: string
  readonly match: Match | undefined
  /** The path is declared to need no token. */
  readonly isOpen: boolean
}

export interface AuthenticatedRequest extends RoutedRequest {
  readonly token: StoredToken | undefined
}

export interface AuthorizedRequest extends AuthenticatedRequest {
  readonly mount: Mount
  readonly backend: RoutedBackend
  readonly match: Match
  readonly operation: Operation
  readonly hasSudo: boolean
  readonly grantingPolicies: readonly string[]
}

/** One read of all that a request has to know of the store: generation, seal, token. */
export async function checkSealed(parts: Parts, request: Request): Promise<OpenedRequest> {
  if (parts.isSealed()) throw new PosternError('sealed')
  const tokenId = request.token === undefined ? undefined : parts.hmac(request.token)
  const keys = [GENERATION_KEY, SEAL_KEY]
  if (tokenId !== undefined) keys.push(tokenKey(tokenId))
  const [generation, seal, tokenEntry] = await parts.store.get(keys)
  parts.observeSeal(seal)
  if (parts.isSealed()) throw new PosternError('sealed')
  return {
    request,
    config: parts.cache.at(generation),
    tokenId,
    tokenEntry,
    now: parts.clock.now(),
  }
}

/** Finds mount and declared path. What is missing is said only after the policies allowed to know it. */
export async function route(parts: Parts, opened: OpenedRequest): Promise<RoutedRequest> {
  const { request, config } = opened
  const table = await config.get(MOUNTS_KEY, MountTable.decode)
  const found = table?.route(request.path)
  const backend =
    found && !found.mount.unmounting ? parts.backends.get(found.mount.type) : undefined
  const mount = backend && found?.mount
  const rest = found?.rest ?? ''
  const isHelp = request.operation === 'help'
  const match =
    isHelp && rest === '' && backend
      ? rootMatch(backend.backend)
      : backend?.router.match(rest, lookFor(request))
  const isOpen = match?.path.auth === 'none' && !isHelp
  const policyPath = match ? judgedPath(match, request.path, rest) : request.path
  return { ...opened, mount, backend, rest, policyPath, match, isOpen }
}

/** HEAD and OPTIONS find the path that a GET would. */
function lookFor({ operation }: Request): Operation {
  return operation === 'header' || operation === 'options' ? 'read' : operation
}

/** Reads the token and takes one of its uses. `usedAlready` is set when the request starts again. */
export async function authenticate(
  parts: Parts,
  routed: RoutedRequest,
  usedAlready: boolean,
): Promise<AuthenticatedRequest> {
  const { request, tokenId, tokenEntry, now, match } = routed
  if (routed.isOpen) return { ...routed, token: undefined }
  const optional = match?.path.auth !== undefined && request.operation !== 'help'
  let token = tokenId !== undefined && tokenEntry ? decodeToken(tokenId, tokenEntry) : undefined
  // A response-wrapping token opens nothing but what sys/wrapping/* takes from it by its text.
  if (token && (isExpired(token, now) || token.wrapping !== undefined)) token = undefined
  if (token && token.numUses !== 0 && !usedAlready) token = await takeUse(parts.store, token)
  if (!token && !optional) throw new PosternError('permission_denied')
  return { ...routed, token }
}

/** Decides by the token's policies and the path's declaration. Denials do not tell what exists. */
export async function checkPolicy(
  authenticated: AuthenticatedRequest,
  operation: Operation,
): Promise<{ decision: Decision | undefined; hasSudo: boolean }> {
  const { request, token, match, config } = authenticated
  if (!token) return { decision: undefined, hasSudo: false }
  if (isRootToken(token)) return { decision: undefined, hasSudo: true }
  if (operation === 'help') return { decision: undefined, hasSudo: false }
  const acl = await aclOf(config, token.policies, authenticated.now)
  const decision = acl.decide({
    operation,
    path: authenticated.policyPath,
    parameters: request.data,
    ...(request.wrapTtlSeconds === undefined ? {} : { wrapTtlSeconds: request.wrapTtlSeconds }),
  })
  const { sudo } = match?.path ?? {}
  const needsSudo = sudo === 'all' || (sudo?.includes(operation) ?? false)
  const isAllowed = decision.allowed && (!needsSudo || decision.hasSudo)
  if (!isAllowed && match?.path.auth !== 'optional') throw denied()
  return { decision, hasSudo: decision.allowed && decision.hasSudo }
}

export function denied(): PosternError {
  return new PosternError('permission_denied', asErrorList('permission denied'))
}

/** What the path lacks, told in the form that its kind of path uses. */
export function requireMatch(authenticated: AuthenticatedRequest, operation: Operation): Match {
  const { match, mount, isOpen, request } = authenticated
  if (!mount) {
    throw new PosternError(
      'no_route',
      `no handler for route ${JSON.stringify(request.path)}. route entry not found.`,
    )
  }
  const text = (plain: string) => (isOpen || !authenticated.token ? plain : asErrorList(plain))
  if (!match) throw new PosternError('unsupported_path', text('unsupported path'))
  if (operation !== 'help' && runOf(match, operation) === undefined) {
    const messages = match.path.plainMethodErrors ? [] : [text('unsupported operation')]
    throw new PosternError('unsupported_operation', undefined, { messages })
  }
  return match
}

/** The function that a declared path runs for an operation; `create` and `update` stand in for each other. */
export function runOf(match: Match, operation: Operation): Run<Fields> | undefined {
  const { operations } = match.path
  if (operation === 'help') return undefined
  if (operation === 'create') return operations.create ?? operations.update
  return operations[operation]
}
