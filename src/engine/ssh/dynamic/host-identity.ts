/**
 * Is it the host it should be: its key against the role's host_keys, or the pin, or pinned now (Decision 12).
 * Nothing is sent before the answer is yes.
 */
import type { Clock } from '../../../clock.ts'
import { PosternError } from '../../../errors.ts'
import { fingerprint } from '../../../ssh/key/fingerprint.ts'
import { type KnownHost, knownHostName, knownKeysOf } from '../../../ssh/key/known-hosts.ts'
import { type PublicKey, parsePublicKey } from '../../../ssh/key/public-key.ts'
import type { StoreView } from '../../../storage/view.ts'
import { pinFirst, pinnedKey } from './host-pins.ts'

export type HostKeyPolicy = 'strict' | 'tofu'

export interface HostIdentity {
  /** Key types to ask the host for; empty where none is known. */
  readonly hostKeyAlgorithms: readonly string[]
  /** Rejects with a PosternError for any other key than the host's own. */
  checkHostKey(blob: Uint8Array): Promise<void>
  /** The fingerprint of the key that was pinned by this contact. */
  readonly pinned: string | undefined
}

interface ExpectedHost {
  readonly address: string
  readonly port: number
  readonly knownHosts: readonly KnownHost[]
  readonly policy: HostKeyPolicy
  readonly clock: Clock
}

/** What a host is known by. Throws when the policy wants it known before the first contact, and it is not. */
export async function hostIdentity(store: StoreView, host: ExpectedHost): Promise<HostIdentity> {
  const { address, port, policy } = host
  const name = knownHostName(address, port)
  const about = knownKeysOf(host.knownHosts, address, port)
  const revoked = about.filter(({ isRevoked }) => isRevoked).map(({ key }) => key)
  const known = about.filter(({ isRevoked }) => !isRevoked).map(({ key }) => key)
  const pin = known.length === 0 ? await pinnedKey(store, address, port) : undefined
  if (known.length === 0 && !pin && policy === 'strict') {
    throw refuse(`no host key of ${name} is known: neither in host_keys nor in host-pins`)
  }
  let pinned: string | undefined
  const check = async (blob: Uint8Array): Promise<void> => {
    const shown = parsePublicKey(blob)
    if (isAmong(revoked, shown)) throw refuse(`the host key of ${name} is revoked in host_keys`)
    if (known.length > 0) return expect(shown, known, name, 'host_keys')
    // Read anew: the connection may be an old one, and the pin another one by now.
    const now = await pinnedKey(store, address, port)
    if (now) return expect(shown, [now], name, 'host-pins')
    if (policy === 'strict') throw refuse(`no host key of ${name} is known any more`)
    if (await pinFirst(store, host, shown)) {
      pinned = fingerprint(blob)
      return
    }
    const first = await pinnedKey(store, address, port)
    expect(shown, first ? [first] : [], name, 'host-pins')
  }
  return {
    hostKeyAlgorithms: [...new Set([...known, ...(pin ? [pin] : [])].map(typeOf))],
    checkHostKey: check,
    get pinned() {
      return pinned
    },
  }
}

const typeOf = (key: PublicKey): string => key.algorithm.name

function isAmong(keys: readonly PublicKey[], key: PublicKey): boolean {
  return keys.some(({ blob }) => blob.equals(key.blob))
}

function expect(
  shown: PublicKey,
  expected: readonly PublicKey[],
  name: string,
  source: 'host_keys' | 'host-pins',
): void {
  if (isAmong(expected, shown)) return
  const due = expected.map(({ blob }) => fingerprint(blob)).join(' or ')
  throw refuse(
    `the host key of ${name} has changed: it is ${fingerprint(shown.blob)}, and not ${due} as ${source} says`,
  )
}

function refuse(reason: string): PosternError {
  return new PosternError('refused', reason)
}
