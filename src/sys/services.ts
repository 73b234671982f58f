/** What the sys backend needs of the core: the only way in which it reaches tokens, leases, audit and seal. */

import type { Call, Outcome, TokenGrant } from '../mount/call.ts'
import type { MountTable } from '../mount/mount-table.ts'
import type { Acl } from '../policy/acl.ts'
import type { Barrier } from '../seal/barrier.ts'
import type { GenerateRoot } from '../seal/generate-root.ts'
import type { Rekey } from '../seal/rekey.ts'
import type { Seal } from '../seal/seal.ts'
import type { Store, Write } from '../storage/store.ts'
import type { StoredToken } from '../token/token.ts'

export interface SysServices {
  readonly store: Store
  readonly seal: Seal
  readonly rekey: Rekey
  readonly generateRoot: GenerateRoot
  readonly server: ServerFacts
  readonly leases: LeaseServices
  readonly audit: AuditServices
  readonly systemTtl: { readonly defaultSeconds: number; readonly maxSeconds: number }
  hmac(secret: string): string
  /** What init stores beside the keys: mounts, policies, the root token. Gives the token's text. */
  firstRecords(barrier: Barrier): { readonly writes: readonly Write[]; readonly rootToken: string }
  /** Whether a type of mount exists, and of which class. */
  mountTypes(mountClass: 'secret' | 'auth'): readonly string[]
  /** Refuses what a backend can't be mounted with: throws badRequest. */
  checkMountOptions(type: string, options: ReadonlyMap<string, string>): void
  mountTable(call: Call): Promise<MountTable>
  /** Ends every lease of a mount that is marked as unmounting, then removes its storage. */
  emptyMount(uuid: string, path: string): Promise<void>
  /** Ends the leases that a mount has left where it lay before it was moved. */
  endMoved(uuid: string): Promise<void>
  /** A path as policies judge it. */
  policyPath(call: Call, path: string): Promise<string>
  /** The compiled policies of a token, or of the caller. */
  aclOf(call: Call, token: Pick<StoredToken, 'policies'>): Promise<Acl>
  isRoot(token: Pick<StoredToken, 'policies'>): boolean
  /** A live token by its text. */
  tokenByText(text: string, now: number): Promise<StoredToken | undefined>
  tokenByAccessor(accessor: string, now: number): Promise<StoredToken | undefined>
  /** Revokes a token and all below it. */
  revokeToken(tokenId: string): Promise<void>
  wrapping: WrappingServices
  openApi(call: Call): Promise<Record<string, unknown>>
  metrics: {
    text(): Promise<string>
    json(): Promise<Record<string, unknown>>
    contentType: string
  }
  inFlight(): Promise<Record<string, unknown>>
}

export interface ServerFacts {
  /** As clients parse it: a Vault version. */
  readonly version: string
  readonly storageType: string
  readonly clusterName: string
  readonly apiAddress: string
  readonly hostname: string
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  readonly isDev: boolean
  readonly allowsCompat2015: boolean
}

export interface LeaseServices {
  revoke(id: string): Promise<void>
  revokePrefix(prefix: string, force: boolean): Promise<void>
  /** The same, but what has to be ended outside the store is made due for good and not waited for. */
  revokeSoon(id: string): Promise<void>
  revokePrefixSoon(prefix: string): Promise<void>
  /**
   * Renews a lease whose end needs work outside the store. False when it is at its end, or somebody works at it; rejects
   * when the engine refuses.
   */
  renewOutside(id: string, expiresAt: number, now: number): Promise<boolean>
  /** Runs it after the answer; failures go to the log. */
  inBackground(work: () => Promise<void>): void
}

export interface AuditDeviceEntry {
  /** With its final slash. */
  readonly path: string
  readonly type: string
  readonly description: string
  readonly options: Readonly<Record<string, string>>
  readonly local: boolean
}

export interface AuditServices {
  list(call: Call): Promise<readonly AuditDeviceEntry[]>
  /** Opens and tries the device; the outcome stores it. */
  enable(call: Call, entry: AuditDeviceEntry): Promise<Outcome>
  disable(call: Call, path: string): Promise<Outcome>
  /** `hmac-sha256:…` of a text as the device writes it; undefined for an unknown device. */
  hash(path: string, input: string): string | undefined
  requestHeaders(call: Call): Promise<ReadonlyMap<string, { readonly hmac: boolean }>>
  putRequestHeader(call: Call, name: string, hmac: boolean | undefined): Promise<Outcome>
}

export interface WrappingServices {
  /** The content of a wrapping token that has not been unwrapped. */
  read(text: string, now: number): Promise<WrappedContent | undefined>
  /** The writes that spend it; the condition fails for all but one. */
  spend(content: WrappedContent): Pick<Outcome, 'writes' | 'conditions'>
  /** Stores the same content under a new token. */
  rewrap(
    content: WrappedContent,
    now: number,
  ): Pick<Outcome, 'writes' | 'conditions' | 'issuedKeys' | 'replay'>
}

export interface WrappedContent {
  readonly token: StoredToken
  readonly wrapping: NonNullable<TokenGrant['wrapping']>
  /** The JSON text of the response. */
  readonly text: string
}
