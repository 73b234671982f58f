/** The `auth` part of an answer: what the receiver of a token is shown (contract 1.4). */
import type { TokenRecord } from './token.ts'

export interface AuthResponse {
  readonly client_token: string
  readonly accessor: string
  readonly policies: readonly string[]
  readonly token_policies: readonly string[]
  readonly identity_policies?: readonly string[]
  readonly metadata: Readonly<Record<string, string>> | null
  readonly lease_duration: number
  readonly renewable: boolean
  readonly entity_id: string
  readonly token_type: 'service' | 'batch'
  readonly orphan: boolean
  readonly mfa_requirement: null
  readonly num_uses: number
}

/** What a token's receiver is shown. `text` is '' where the token was named by its accessor. */
export function authResponse(record: TokenRecord, text: string, ttlSeconds: number): AuthResponse {
  return {
    client_token: text,
    accessor: record.accessor,
    policies: record.policies,
    token_policies: record.policies,
    metadata: record.metadata ?? null,
    lease_duration: ttlSeconds,
    renewable: record.renewable,
    entity_id: record.entityId,
    token_type: 'service',
    orphan: record.parentId === undefined,
    mfa_requirement: null,
    num_uses: Math.max(0, record.numUses),
  }
}
