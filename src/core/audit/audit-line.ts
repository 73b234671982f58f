/** What the audit log is told at each stage of a request. */

import { holdsCredential, isShapedAsPassword } from '../../audit/hidden.ts'
import type {
  AuditedCaller,
  AuditedMount,
  AuditedResponse,
  AuditRecord,
} from '../../audit/record.ts'
import type { PosternError } from '../../errors.ts'
import type { Mount } from '../../mount/mount-table.ts'
import type { Operation } from '../../mount/operation.ts'
import type { Match } from '../../mount/router.ts'
import { hostHeaders } from '../../ssh/host/host-request.ts'
import { isHostId } from '../../ssh/scoped-name.ts'
import type { StoredToken } from '../../token/token.ts'
import { secondsLeft } from '../../token/token.ts'
import type { OpenedRequest } from '../request/authorize.ts'
import type { IssuedToken } from '../request/issue.ts'
import type { Request } from '../request/request.ts'
import type { Response } from '../request/response.ts'

/** How far a request has come: the members are absent where it failed earlier. */
export interface Reached extends Partial<Omit<OpenedRequest, 'request'>> {
  readonly request: Request
  readonly mount?: Mount | undefined
  readonly match?: Match | undefined
  readonly token?: StoredToken | undefined
  readonly operation?: Operation
  readonly policyResults?: NonNullable<AuditRecord['policyResults']>
}

export function auditRecord(reached: Reached): AuditRecord {
  const { request, mount, match, token } = reached
  return {
    request: {
      id: request.id,
      operation:
        reached.operation ??
        (request.operation === 'header' || request.operation === 'options'
          ? 'read'
          : request.operation),
      path: request.path,
      data: request.data,
      declared: declaredNames(match),
      secretParts: secretParts(reached),
      token: request.token,
      remoteAddress: request.remoteAddress,
      remotePort: request.remotePort,
      wrapTtlSeconds: request.wrapTtlSeconds,
      headers: request.headers,
      clientCertificateSerial: request.clientCertificateSerial,
      hostId: claimedHost(reached),
      mount: mount && auditedMount(mount),
    },
    caller: token && auditedCaller(token, reached.now ?? 0),
    ...(reached.policyResults ? { policyResults: reached.policyResults } : {}),
  }
}

/** Only where hosts ask, and only what could be an id: anybody may send the header. */
function claimedHost({ request, match }: Reached): string | undefined {
  if (match?.path.auth !== 'none') return undefined
  const id = request.headers.get(hostHeaders.host)
  return id !== undefined && isHostId(id) ? id : undefined
}

const NOTHING: ReadonlySet<string> = new Set()
const NO_PARTS: readonly string[] = []
const declaredByPath = new WeakMap<object, ReadonlySet<string>>()

function declaredNames(match: Match | undefined): ReadonlySet<string> {
  if (!match) return NOTHING
  let names = declaredByPath.get(match.path)
  if (!names) {
    names = new Set(Object.keys(match.path.fields))
    declaredByPath.set(match.path, names)
  }
  return names
}

/**
 * Parts of the path that its declaration calls secret, or that are shaped like a password sent in the wrong place: where
 * roles really have such names, `audit_non_hmac_request_keys` shows them.
 */
function secretParts({ request, mount, match }: Reached): readonly string[] {
  if (!match) {
    const rest = request.path.slice(mount?.path.length ?? 0)
    return holdsCredential(rest) ? rest.split('/').filter(isShapedAsPassword) : NO_PARTS
  }
  if (match.names.size === 0) return NO_PARTS
  const shown = mount?.config.auditNonHmacRequestKeys
  return [...match.names]
    .filter(([name, text]) => {
      const secret = match.path.fields[name]?.secret
      return secret ?? (isShapedAsPassword(text) && !shown?.includes(name))
    })
    .map(([, text]) => text)
}

const auditedMounts = new WeakMap<Mount, AuditedMount>()

function auditedMount(mount: Mount): AuditedMount {
  let audited = auditedMounts.get(mount)
  if (!audited) {
    audited = makeAuditedMount(mount)
    auditedMounts.set(mount, audited)
  }
  return audited
}

function makeAuditedMount(mount: Mount): AuditedMount {
  return {
    path: mount.path,
    type: mount.type,
    accessor: mount.accessor,
    class: mount.class,
    plainRequestKeys: mount.config.auditNonHmacRequestKeys ?? [],
    plainResponseKeys: mount.config.auditNonHmacResponseKeys ?? [],
  }
}

function auditedCaller(token: StoredToken, now: number): AuditedCaller {
  return {
    record: token,
    accessor: token.accessor,
    displayName: token.displayName,
    policies: token.policies,
    metadata: token.metadata,
    entityId: token.entityId,
    numUses: token.numUses,
    remainingUses: Math.max(0, token.numUses),
    tokenTtlSeconds: secondsLeft(token, now),
    tokenIssuedAt: token.issuedAt,
    tokenType: 'service',
  }
}

/** The response part of a line about a success. */
export function auditedResponse(
  response: Response,
  token: IssuedToken | undefined,
): AuditedResponse {
  if (response.kind === 'empty') return {}
  if (response.kind === 'text') {
    return {
      raw: { contentType: response.contentType, body: response.text, status: response.status },
    }
  }
  if (response.kind === 'bytes') {
    const body = Buffer.from(response.bytes).toString('base64')
    return { raw: { contentType: response.contentType, body, status: response.status } }
  }
  if (response.kind === 'bare') {
    return {
      raw: {
        contentType: 'application/json',
        body: JSON.stringify(response.body),
        status: response.status,
      },
    }
  }
  const { envelope } = response
  const { wrap_info: wrap, auth } = envelope
  return {
    ...(envelope.data ? { data: envelope.data } : {}),
    ...(envelope.lease_id === '' ? {} : { leaseId: envelope.lease_id }),
    ...(envelope.warnings ? { warnings: envelope.warnings } : {}),
    ...(auth
      ? {
          auth: {
            clientToken: auth.client_token,
            accessor: auth.accessor,
            displayName: token?.record.displayName ?? '',
            policies: auth.policies,
            tokenTtlSeconds: auth.lease_duration,
            tokenType: auth.token_type,
            metadata: auth.metadata ?? undefined,
            numUses: auth.num_uses,
            entityId: auth.entity_id,
          },
        }
      : {}),
    ...(wrap
      ? {
          wrapInfo: {
            ttl: wrap.ttl,
            token: wrap.token,
            accessor: wrap.accessor,
            creationTime: wrap.creation_time,
            creationPath: wrap.creation_path,
            wrappedAccessor: wrap.wrapped_accessor,
          },
        }
      : {}),
  }
}

/** A line about a failure: denials show their text in clear, errors of the API stand hashed in the data. */
export function failureLine(record: AuditRecord, error: PosternError): AuditRecord {
  const text = error.messages[0] ?? ''
  const inClear = error.status !== 400 && text !== ''
  return {
    ...record,
    ...(inClear ? { error: text } : {}),
    response: text === '' ? {} : { data: { error: text } },
  }
}
