/** A service token as it is stored, and the texts of tokens and accessors (contract 3.1, Decision 16). */
import { base62 } from '../random.ts'

export interface TokenRecord {
  readonly accessor: string
  readonly policies: readonly string[]
  /** Where it was made: `auth/token/create`. */
  readonly path: string
  readonly displayName: string
  readonly metadata?: Readonly<Record<string, string>>
  /** Milliseconds since the epoch. */
  readonly issuedAt: number
  readonly creationTtlSeconds: number
  /** Milliseconds since the epoch; 0 = never. */
  readonly expiresAt: number
  readonly lastRenewedAt?: number
  /** Longest life by the mount's rules, renewals included; 0 for tokens that never expire. */
  readonly maxTtlSeconds: number
  readonly explicitMaxTtlSeconds: number
  readonly periodSeconds: number
  /** Uses left; 0 = unlimited, -1 = used up. */
  readonly numUses: number
  readonly renewable: boolean
  /** Storage id of the parent; absent for an orphan. */
  readonly parentId?: string
  readonly entityId: string
  /** Only a response-wrapping token has it. */
  readonly wrapping?: Wrapping
}

export interface Wrapping {
  readonly creationPath: string
  readonly ttlSeconds: number
  readonly wrappedAccessor?: string
}

/** A stored token with its storage id and the version that conditions compare. */
export interface StoredToken extends TokenRecord {
  /** HMAC of the token's text, in hex. */
  readonly id: string
  readonly version: number
}

export const USED_UP = -1

const TOKEN_CHARACTERS = 24

/** The text of a new service token: `s.` and 24 characters, 142 bits. */
export function newTokenText(): string {
  return `s.${base62(TOKEN_CHARACTERS)}`
}

export function newAccessor(): string {
  return base62(TOKEN_CHARACTERS)
}

/** The id of the lease that a token stands under: `auth/token/create/h<storage id>`. */
export function tokenLeaseId(path: string, tokenId: string): string {
  return `${path.replace(/\/+$/, '')}/h${tokenId}`
}

export function isExpired(token: TokenRecord, now: number): boolean {
  return token.expiresAt !== 0 && token.expiresAt <= now
}

export function isRootToken(token: TokenRecord): boolean {
  return token.policies.includes('root')
}

/** Whole seconds that are left, rounded down; 0 for a token that never expires. */
export function secondsLeft(token: TokenRecord, now: number): number {
  return token.expiresAt === 0 ? 0 : Math.max(0, Math.floor((token.expiresAt - now) / 1000))
}
