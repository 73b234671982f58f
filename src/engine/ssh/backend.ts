/** The SSH secrets engine: one-time passwords and certificates (contract section 6). */
import type { Backend, Path } from '../../mount/path.ts'
import { declarePath } from '../../mount/path.ts'
import { configCaPath } from './ca/config-ca.ts'
import { issuePath } from './ca/issue.ts'
import { issuerPaths } from './ca/issuer-paths.ts'
import { publicKeyPaths } from './ca/public-key.ts'
import { signPath } from './ca/sign.ts'
import type { IdentityOf } from './ca/terms.ts'
import { compat2015, type Log } from './compat.ts'
import type { RemoteHosts } from './dynamic/remote.ts'
import { lookupPath } from './lookup.ts'
import { credsPath, revokeOtp } from './otp/creds.ts'
import { verifyPath } from './otp/verify.ts'
import { rolePath, rolesPath } from './role-paths.ts'
import { zeroAddressPath } from './zero-address.ts'

export interface SshBackendOptions {
  /** The server's `allow_compat_2015`, true under `-dev`: without it the mount option has no effect. */
  readonly allowCompat2015: boolean
  /** Reaches hosts. */
  readonly remote: RemoteHosts
  readonly log: Log
  /** Values for identity templates by entity id. Absent: no caller has any, and templates allow nothing. */
  readonly identityOf?: IdentityOf
}

/** Kept for clients that call it: host keys of dynamic roles are not pinned yet, so that none is stale. */
const tidyPath: Path = declarePath({
  pattern: 'tidy/dynamic-keys',
  fields: {},
  operations: { delete: () => ({ data: { message: 'Removed 0 of 0 host keys.' } }) },
  synopsis: 'Removes stored keys that nothing uses any more.',
  description: 'This version stores none.',
})

/** The engine for all its mounts: a call brings the mount it is for. */
export function createSshBackend(options: SshBackendOptions): Backend {
  const isCompat2015 = compat2015(options.allowCompat2015)
  const identityOf = options.identityOf ?? (async () => undefined)
  return {
    type: 'ssh',
    description:
      'Lets people and programs log in to hosts over SSH: with one-time passwords that a host verifies once, or with certificates ' +
      'that a CA key of this mount signs.',
    paths: [
      configCaPath,
      zeroAddressPath,
      ...publicKeyPaths,
      ...issuerPaths,
      rolesPath,
      rolePath(isCompat2015, options.log),
      credsPath(isCompat2015),
      lookupPath(isCompat2015),
      verifyPath(isCompat2015),
      signPath(identityOf),
      issuePath(identityOf),
      tidyPath,
    ],
    revoke: revokeOtp,
  }
}
