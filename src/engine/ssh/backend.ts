/** The SSH secrets engine: one-time passwords, certificates, and keys on hosts (contract sections 6 and 9). */
import type { Clock } from '../../clock.ts'
import type { Outcome } from '../../mount/call.ts'
import type { Backend, LeasedData } from '../../mount/path.ts'
import { parseAuthorizedKey } from '../../ssh/key/authorized-keys.ts'
import { hexFingerprint } from '../../ssh/key/fingerprint.ts'
import type { TokenTree } from '../../token/token-tree.ts'
import { configCaPath } from './ca/config-ca.ts'
import { issuePath } from './ca/issue.ts'
import { issuerPaths } from './ca/issuer-paths.ts'
import { publicKeyPaths } from './ca/public-key.ts'
import { signPath } from './ca/sign.ts'
import type { IdentityOf } from './ca/terms.ts'
import { compat2015, type Log } from './compat.ts'
import { credsPath } from './creds.ts'
import { configLeasePath } from './dynamic/config-lease.ts'
import { issueKey } from './dynamic/creds.ts'
import { externalKeys } from './dynamic/end.ts'
import { hostPinPaths } from './dynamic/host-pins.ts'
import { forgetUse } from './dynamic/key-use.ts'
import { keyPath } from './dynamic/keys.ts'
import { isKeyLease } from './dynamic/lease.ts'
import type { RemoteHosts } from './dynamic/remote.ts'
import { tidyPath } from './dynamic/tidy.ts'
import { bundlePaths, raiseBundleFloor } from './host/bundle.ts'
import { configHostsPath } from './host/config-hosts.ts'
import { enrolPaths } from './host/enroll.ts'
import { hostPaths } from './host/host-paths.ts'
import { identityPaths } from './host/identity.ts'
import { joinTokenPaths, removeJoinTokens } from './host/join-token.ts'
import { HostRequests } from './host/signed-request.ts'
import { certificatePaths } from './inventory/cert-paths.ts'
import { configCertificatesPath } from './inventory/config.ts'
import { certificateGrants, raiseKrlVersion } from './inventory/housekeeping.ts'
import { krlPaths } from './inventory/krl/paths.ts'
import { revokePath } from './inventory/revoke-path.ts'
import { tidyCertificates, tidyCertificatesPath } from './inventory/tidy.ts'
import { endCredential } from './login/credential.ts'
import { loginPaths } from './login/login-paths.ts'
import { reportPath } from './login/report.ts'
import { tidyLogins } from './login/tidy.ts'
import { lookupPath } from './lookup.ts'
import { revokeOtp } from './otp/creds.ts'
import { verifyPath } from './otp/verify.ts'
import { rolePath, rolesPath } from './role/role-paths.ts'
import { zeroAddressPath } from './zero-address.ts'

export interface SshBackendOptions {
  /** The server's `allow_compat_2015`, true under `-dev`: without it the mount option has no effect. */
  readonly allowCompat2015: boolean
  /** The server's `allow_install_scripts`, true under `-dev`. */
  readonly allowInstallScripts: boolean
  /** Reaches hosts. */
  readonly remote: RemoteHosts
  /** Under `-dev`, hosts for dynamic keys may be on this machine. */
  readonly allowLoopback: boolean
  readonly clock: Clock
  readonly tokens: TokenTree
  /** Aborted when the server closes: nobody is kept waiting then. */
  readonly closing: AbortSignal
  /** Known once the server is unsealed. */
  readonly clusterId: () => string
  readonly log: Log
  /** Values for identity templates by entity id. Absent: no caller has any, and templates allow nothing. */
  readonly identityOf?: IdentityOf
}

/** What goes from the store with a lease: a password, or the record that the lease needs an admin key. */
async function revoke(lease: LeasedData, now: number): Promise<Outcome> {
  const { id, data, store } = lease
  if (!isKeyLease(data)) return revokeOtp(lease)
  const name = hexFingerprint(parseAuthorizedKey(data.publicKey).blob)
  return { writes: [forgetUse(store, data.key, id), ...(await endCredential(store, name, now))] }
}

/** The engine for all its mounts: a call brings the mount it is for. */
export function createSshBackend(options: SshBackendOptions): Backend {
  const isCompat2015 = compat2015(options.allowCompat2015)
  const identityOf = options.identityOf ?? (async () => undefined)
  const { allowInstallScripts, log, clusterId, clock } = options
  const hostRequests = new HostRequests(clusterId, clock.now())
  return {
    type: 'ssh',
    description:
      'Lets people and programs log in to hosts over SSH: with one-time passwords that a host verifies once, with certificates ' +
      'that a CA key of this mount signs, or with keys that are installed on a host for a while.',
    paths: [
      configCaPath,
      zeroAddressPath,
      ...publicKeyPaths,
      ...issuerPaths,
      rolesPath,
      rolePath({ isCompat2015, allowInstallScripts, log }),
      credsPath(isCompat2015, issueKey(options)),
      keyPath,
      ...hostPinPaths,
      configLeasePath,
      lookupPath(isCompat2015),
      verifyPath({ isCompat2015, clusterId, hostRequests }),
      signPath(identityOf),
      issuePath(identityOf),
      tidyPath,
      configHostsPath,
      ...hostPaths,
      ...joinTokenPaths,
      ...enrolPaths(hostRequests, clusterId),
      ...bundlePaths(hostRequests, clusterId),
      ...identityPaths(clusterId),
      ...certificatePaths,
      configCertificatesPath,
      revokePath(options.tokens),
      ...krlPaths(options.closing, clusterId),
      tidyCertificatesPath,
      reportPath(hostRequests),
      ...loginPaths,
    ],
    revoke: (lease) => revoke(lease, clock.now()),
    external: externalKeys(options),
    grants: certificateGrants,
    periodic: async (views) => {
      await tidyCertificates(views)
      await tidyLogins(views)
      await removeJoinTokens(views.store, views.now)
    },
    restored: async (views) => {
      await raiseKrlVersion(views)
      await raiseBundleFloor(views)
      // The backup knows nothing of the uses that were taken since.
      await removeJoinTokens(views.store, Infinity)
    },
  }
}
