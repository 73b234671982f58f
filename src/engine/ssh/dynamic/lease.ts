/**
 * What a lease remembers of the key that it installed: all that removing it needs, whatever becomes of the role
 * (contract 9, protocols 1.5 and 4.5). Also the way back to its host.
 */
import type { Clock } from '../../../clock.ts'
import { PosternError } from '../../../errors.ts'
import type { ConfigView, MountPoint } from '../../../mount/call.ts'
import { encodeAuthorizedKey } from '../../../ssh/key/authorized-keys.ts'
import {
  type KnownHost,
  knownHostName,
  knownKeysOf,
  parseKnownHosts,
} from '../../../ssh/key/known-hosts.ts'
import type { StoreView } from '../../../storage/view.ts'
import type { Log } from '../compat.ts'
import { findRole } from '../role/role.ts'
import type { LeasedKey } from './host/authorized-line.ts'
import { type HostIdentity, type HostKeyPolicy, hostIdentity } from './host-identity.ts'
import { findKey } from './keys.ts'
import type { RemoteHost } from './remote.ts'
import type { DynamicRole } from './role.ts'

/** JSON, sealed with the lease. */
export interface KeyLease {
  readonly role: string
  /** In canonical form. */
  readonly address: string
  readonly port: number
  readonly adminUser: string
  /** Name of the admin key. */
  readonly key: string
  readonly username: string
  readonly mayBeRoot: boolean
  /** Type and base64. */
  readonly publicKey: string
  readonly keyOptionSpecs: string
  /** Empty: the built-in one. */
  readonly installScript: string
  readonly authorizedKeys: 'user' | 'system'
  /** The lines about this host. */
  readonly hostKeys: string
  readonly hostKeyPolicy: HostKeyPolicy
  readonly renewRewritesExpiry: boolean
}

/** Whether a lease of the mount is one on a key, and not one on a password. */
export function isKeyLease(data: unknown): data is KeyLease {
  return typeof (data as Partial<KeyLease>).publicKey === 'string'
}

/** The part of a role's host_keys that is about one host, as lines that name no host any more. */
export function hostKeyLines(role: DynamicRole, address: string, port: number): string {
  return knownKeysOf(role.knownHosts, address, port)
    .map(
      ({ key, isRevoked }) => `${isRevoked ? '@revoked ' : ''}* ${encodeAuthorizedKey(key.blob)}`,
    )
    .join('\n')
}

/** The key as its line on the host shows it: the line ends with the lease, or when the lease can not be renewed any more. */
export function leasedKey(
  { publicKey, keyOptionSpecs, renewRewritesExpiry }: KeyLease,
  lease: { readonly id: string; readonly expiresAt: number; readonly maxExpiresAt: number },
): LeasedKey {
  const expiresAt = renewRewritesExpiry ? lease.expiresAt : lease.maxExpiresAt
  return { publicKey, keyOptionSpecs, leaseId: lease.id, expiresAt }
}

interface Surroundings {
  readonly mount: Pick<MountPoint, 'path'>
  readonly config: ConfigView
  readonly store: StoreView
  readonly clock: Clock
  readonly log: Log
}

export interface Reached {
  readonly host: RemoteHost
  readonly identity: HostIdentity
}

/** How the lease's host is reached now. Throws when the admin key is gone, or a host key has to be known and is not. */
export async function reach(
  { mount, config, store, clock, log }: Surroundings,
  lease: KeyLease,
): Promise<Reached> {
  const key = await findKey(config, lease.key)
  if (!key) throw new PosternError('refused', `key ${JSON.stringify(lease.key)} not found`)
  const { address, port } = lease
  const known = await knownHostsOf(config, lease)
  const identity = await hostIdentity(store, { address, port, clock, ...known })
  const host: RemoteHost = {
    address,
    port,
    user: lease.adminUser,
    privateKey: key.privateKey,
    keyId: key.fingerprint,
    hostKeyAlgorithms: identity.hostKeyAlgorithms,
    checkHostKey: async (blob) => {
      const { pinned: before } = identity
      await identity.checkHostKey(blob)
      const { pinned } = identity
      // Said at once: what comes after may fail, and the next contact is not the first any more.
      if (pinned !== before) log.warn({ mount: mount.path }, pinWarning(lease, pinned))
    },
  }
  return { host, identity }
}

/** For whoever can compare the fingerprint of a host key that was pinned. */
export function pinWarning({ address, port }: KeyLease, fingerprint = ''): string {
  return `the host key of ${knownHostName(address, port)} was not known and is pinned now: ${fingerprint}. Compare it with the host's own.`
}

/** The role's host_keys as they are now, where it still says something of the host: hosts get new keys. */
async function knownHostsOf(
  config: ConfigView,
  lease: KeyLease,
): Promise<{ readonly knownHosts: readonly KnownHost[]; readonly policy: HostKeyPolicy }> {
  const role = await findRole(config, lease.role)
  if (role?.keyType === 'dynamic') {
    const knownHosts = knownKeysOf(role.knownHosts, lease.address, lease.port)
    if (knownHosts.length > 0) return { knownHosts: role.knownHosts, policy: role.hostKeyPolicy }
  }
  return { knownHosts: parseKnownHosts(lease.hostKeys), policy: lease.hostKeyPolicy }
}
