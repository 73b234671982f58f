/**
 * What is stored about the seal: its kind and shares (readable while sealed), and the mark that says whether an
 * operator sealed the server (protocols 1.8). Also the checks of shares and threshold with the texts of Vault's API.
 */
import { badRequest, PosternError } from '../errors.ts'
import { secretBytes } from '../random.ts'
import { SEAL_KEY } from '../storage/path.ts'
import type { Entry, Write } from '../storage/store.ts'

/** Kind and shares; not sealed. */
export const SEAL_CONFIG_KEY = 'meta/seal-config'

/** The root key, sealed by the seal key. */
export const ROOT_KEY = 'meta/root-key'

/** The keyring, sealed by the root key. */
export const KEYRING_KEY = 'cfg/keyring'

/** The root key of the last rekey, sealed under the term of that moment: how other nodes come by it. */
export const ROOT_KEY_BY_TERM = 'cfg/root-key'

export type SealType = 'shamir' | 'static'

export interface SealConfig {
  readonly type: SealType
  readonly shares: number
  readonly threshold: number
  /** Name of the static key, so that a wrong key file is told from a damaged store. */
  readonly keyId?: string
}

export function encodeSealConfig(config: SealConfig): Write {
  return { key: SEAL_CONFIG_KEY, value: Buffer.from(JSON.stringify(config)) }
}

export function parseSealConfig(entry: Entry): SealConfig {
  return JSON.parse(Buffer.from(entry.value).toString()) as SealConfig
}

/** The mark at `meta/seal`. Each seal by an operator draws a new epoch: a node that was idle meanwhile sees that it changed. */
export interface SealMark {
  readonly sealed: boolean
  readonly epoch: string
}

export function encodeSealMark(mark: SealMark): Write {
  return { key: SEAL_KEY, value: Buffer.from(JSON.stringify(mark)) }
}

/** Undefined for an absent mark: callers take that for sealed. */
export function parseSealMark(entry: Entry | undefined): SealMark | undefined {
  if (!entry) return undefined
  return JSON.parse(Buffer.from(entry.value).toString()) as SealMark
}

export function newSealMark(sealed: boolean): SealMark {
  return { sealed, epoch: secretBytes(16).toString('hex') }
}

/**
 * The write that seals every node at its next request and forbids auto-unseal until an operator unseals:
 * for `sys/seal`, and for a restore, which starts sealed (protocols 1.10).
 */
export function operatorSealWrite(): Write {
  return encodeSealMark(newSealMark(true))
}

/** Refuses shares and thresholds that make no sense; `prefix` begins the text. */
export function checkShares(prefix: string, config: SharesRequest): void {
  const { shares, threshold, pgpKeys = [] } = config
  const problem = problemOf(shares, threshold, pgpKeys)
  if (problem) throw badRequest(`${prefix}: ${problem}`)
  if (pgpKeys.length > 0) {
    throw badRequest(`${prefix}: pgp_keys is not supported: key shares are returned unencrypted`)
  }
}

export interface SharesRequest {
  readonly shares: number
  readonly threshold: number
  readonly pgpKeys?: readonly string[]
}

function problemOf(shares: number, threshold: number, pgpKeys: readonly string[]) {
  if (!(shares >= 1)) return 'shares must be at least one'
  if (!(threshold >= 1)) return 'threshold must be at least one'
  if (shares > 1 && threshold === 1) return 'threshold must be greater than one for multiple shares'
  if (shares > 255) return 'shares must be less than 256'
  if (threshold > shares) return 'threshold cannot be larger than shares'
  if (pgpKeys.length > 0 && pgpKeys.length !== shares) {
    return 'count mismatch between number of provided PGP keys and number of shares'
  }
  return undefined
}

/** Refuses to go on with a seal stanza that is not the one the store was initialised with. */
export function checkSameSeal(
  stored: SealConfig,
  configured: Pick<SealConfig, 'type' | 'keyId'>,
): void {
  if (stored.type !== configured.type) {
    throw new PosternError(
      'invalid_config',
      `the store was initialised with seal "${stored.type}", the configuration says "${configured.type}"`,
    )
  }
  if (stored.keyId !== configured.keyId) {
    throw new PosternError(
      'invalid_config',
      `the store is sealed with the static key "${stored.keyId}", the configuration names "${configured.keyId}"`,
    )
  }
}
