/** `sys/init`: the first keys of a cluster and its first records, stored in one batch (Vault API, sys/init). */
import { createSecretKey } from 'node:crypto'
import { badRequest, PosternError } from '../errors.ts'
import { secretBytes } from '../random.ts'
import type { Store, Write } from '../storage/store.ts'
import { Barrier } from './barrier.ts'
import { encryptionsWrite } from './encryptions.ts'
import { KEY_BYTES, wipe } from './envelope.ts'
import { Hierarchy } from './hierarchy.ts'
import {
  checkShares,
  encodeSealConfig,
  encodeSealMark,
  KEYRING_KEY,
  newSealMark,
  ROOT_KEY,
  SEAL_CONFIG_KEY,
  type SealConfig,
} from './seal-config.ts'
import { splitKey } from './share/shamir.ts'

/** The fields of `sys/init`; zero and empty count as not given. */
export interface InitRequest {
  readonly shares?: number
  readonly threshold?: number
  readonly pgpKeys?: readonly string[]
  readonly rootTokenPgpKey?: string
  readonly recoveryShares?: number
  readonly recoveryThreshold?: number
  readonly recoveryPgpKeys?: readonly string[]
}

/** What the seal stanza of the server's config says. */
export type SealSettings =
  | { readonly type: 'shamir' }
  /** `loadKey` gives 32 bytes, which are wiped after use. */
  | { readonly type: 'static'; readonly keyId: string; loadKey(): Buffer }

/**
 * The records that a new cluster starts with (mount table, root token). The barrier given is open for `hmac` and
 * `deriveKey`; the writes returned are sealed and stored together with the keys, so that there is no half-made cluster.
 */
export type FirstRecords = (barrier: Barrier) => Promise<readonly Write[]>

/** Checks what can be refused without looking at the store; 400 with the texts that clients know. */
function sealConfigOf(request: InitRequest, settings: SealSettings): SealConfig {
  const recovery = namesGiven({
    recovery_shares: request.recoveryShares,
    recovery_threshold: request.recoveryThreshold,
    recovery_pgp_keys: request.recoveryPgpKeys?.length,
  })
  const secret = namesGiven({
    secret_shares: request.shares,
    secret_threshold: request.threshold,
    pgp_keys: request.pgpKeys?.length,
  })
  const refused = settings.type === 'static' ? [...secret, ...recovery] : recovery
  if (refused.length > 0) {
    const names = refused.join(',')
    throw badRequest(`parameters ${names} not applicable to seal type ${settings.type}`)
  }
  if (settings.type === 'static') {
    refuseRootTokenPgpKey(request)
    return { type: 'static', shares: 1, threshold: 1, keyId: settings.keyId }
  }
  const { shares = 0, threshold = 0, pgpKeys = [] } = request
  checkShares('invalid seal configuration', { shares, threshold, pgpKeys })
  refuseRootTokenPgpKey(request)
  return { type: 'shamir', shares, threshold }
}

/** Stores a new cluster and gives the key shares: none for a static seal. 400 when there is a cluster already. */
export async function initialize(
  store: Store,
  settings: SealSettings,
  request: InitRequest,
  options: { readonly now: number; readonly firstRecords: FirstRecords },
): Promise<{ readonly keys: readonly Buffer[] }> {
  const config = sealConfigOf(request, settings)
  const [existing] = await store.get([SEAL_CONFIG_KEY])
  if (existing) throw alreadyInitialized()
  const sealKeyBytes = settings.type === 'static' ? loadStaticKey(settings) : secretBytes(KEY_BYTES)
  const sealKey = createSecretKey(sealKeyBytes)
  const keys =
    settings.type === 'static' ? [] : await splitKey(sealKeyBytes, config.shares, config.threshold)
  wipe(sealKeyBytes)

  const { keyring, writes } = Hierarchy.create(sealKey, options.now)
  // A barrier of its own: the server's stays sealed until somebody unseals it.
  const barrier = new Barrier(store)
  barrier.open(keyring)
  const records = barrier.sealWrites(await options.firstRecords(barrier))
  const encryptions = encryptionsWrite(keyring.currentTerm, barrier.encryptions)
  barrier.seal()
  const result = await store.commit(
    [
      ...writes,
      encodeSealConfig(config),
      encodeSealMark(newSealMark(false)),
      encryptions,
      ...records.filter(({ key }) => !writes.some((write) => write.key === key)),
    ],
    [SEAL_CONFIG_KEY, ROOT_KEY, KEYRING_KEY].map((key) => ({ key, is: 'absent' })),
  )
  if (!result.committed) throw alreadyInitialized()
  return { keys }
}

/** The static key's bytes, checked, for the caller to wipe. */
export function loadStaticKey(settings: SealSettings & { type: 'static' }): Buffer {
  const bytes = settings.loadKey()
  if (bytes.length === KEY_BYTES) return bytes
  wipe(bytes)
  throw new PosternError('invalid_config', `the static seal key is not ${KEY_BYTES} bytes long`)
}

function namesGiven(fields: Record<string, number | undefined>): string[] {
  return Object.keys(fields).filter((name) => fields[name])
}

function refuseRootTokenPgpKey({ rootTokenPgpKey }: InitRequest): void {
  if (rootTokenPgpKey) {
    throw badRequest('root_token_pgp_key is not supported: the root token is returned unencrypted')
  }
}

function alreadyInitialized(): PosternError {
  return badRequest('Vault is already initialized')
}
