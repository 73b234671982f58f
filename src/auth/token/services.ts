/** What the token method needs of the core. */
import type { Caller } from '../../mount/call.ts'
import type { Store } from '../../storage/store.ts'
import type { EndedGrants } from '../../token/revoke.ts'
import type { StoredToken } from '../../token/token.ts'

export interface TokenServices {
  readonly store: Store
  hmac(secret: string): string
  /** The caller's own token as it is stored now. */
  tokenOf(caller: Caller): Promise<StoredToken>
  /** Whether a token of this text exists, be it on its way out. */
  exists(text: string): Promise<boolean>
  policyExists(name: string): Promise<boolean>
  revokeToken(tokenId: string, grants: EndedGrants): Promise<void>
  revokeTokenAlone(tokenId: string, grants: EndedGrants): Promise<void>
}
