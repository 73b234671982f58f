/**
 * Makes a key pair, installs its public half on the host, and answers with the private one (contract 9): the lease
 * is stored before the host is asked, and counts only when the host has confirmed (protocols 1.5).
 */
import type { Clock } from '../../../clock.ts'
import { badRequest, PosternError, refused } from '../../../errors.ts'
import type { Call, Outcome, PendingLease } from '../../../mount/call.ts'
import { encodeAuthorizedKey } from '../../../ssh/key/authorized-keys.ts'
import { hexFingerprint } from '../../../ssh/key/fingerprint.ts'
import { encodePrivateKey, generateKeyPair } from '../../../ssh/key/private-key.ts'
import type { Log } from '../compat.ts'
import type { Grantee } from '../creds.ts'
import { rememberCredential } from '../login/credential.ts'
import { splitNames } from '../principals.ts'
import { failureOf, installProgram, wasCut } from './host/host-program.ts'
import { isLoginName } from './host/login-name.ts'
import { noteUse } from './key-use.ts'
import { findKey } from './keys.ts'
import { hostKeyLines, type KeyLease, leasedKey, pinWarning, type Reached, reach } from './lease.ts'
import { checkOutgoing } from './outgoing.ts'
import type { RemoteHosts, RemoteResult } from './remote.ts'
import type { DynamicRole } from './role.ts'

export interface KeyIssueOptions {
  readonly remote: RemoteHosts
  readonly allowInstallScripts: boolean
  readonly allowLoopback: boolean
  readonly clock: Clock
  readonly log: Log
}

export type IssueKey = (call: Call, role: DynamicRole, grantee: Grantee) => Promise<Outcome>

export function issueKey(options: KeyIssueOptions): IssueKey {
  const { remote, clock, log } = options
  return async (call, role, grantee) => {
    const { roleName, address, username, life } = grantee
    checkOutgoing(address, role.cidrList, options.allowLoopback)
    checkUser(role, username)
    if (role.installScript !== '' && !options.allowInstallScripts) {
      throw badRequest('the role has an install_script, and allow_install_scripts is not set')
    }
    if (!(await findKey(call.config, role.key))) {
      throw refused(`key ${JSON.stringify(role.key)} not found`)
    }
    const pair = await generateKeyPair(role.keyAlgorithm, role.keyBits)
    const data = leaseOf(role, grantee, encodeAuthorizedKey(pair.publicKey.blob))
    const { mount, config, store } = call
    const reached = await reach({ mount, config, store, clock, log }, data).catch(rethrow)
    const { ttlSeconds, maxTtlSeconds } = life
    const lease = await call.beginLease(
      { ttlSeconds, maxTtlSeconds, renewable: true, data },
      (id) => noteUse(store, role.key, id),
    )
    await install(remote, reached, data, lease)
    const known = await rememberCredential(call, {
      kind: 'key',
      name: hexFingerprint(pair.publicKey.blob),
      leaseId: lease.id,
      role: roleName,
      user: username,
      address: address.text,
      endsAt: call.now + maxTtlSeconds * 1000,
    })
    const { pinned } = reached.identity
    const warnings = [...life.warnings, ...(pinned === undefined ? [] : [pinWarning(data, pinned)])]
    return {
      data: {
        ip: address.text,
        key: encodePrivateKey(pair.keyObject),
        key_type: role.keyType,
        port: role.port,
        username,
      },
      ...(warnings.length > 0 && { warnings }),
      writes: known,
      issuedKeys: known.map(({ key }) => key),
      activatedLease: lease,
    }
  }
}

function checkUser(role: DynamicRole, username: string): void {
  if (!isLoginName(username)) throw badRequest(`${JSON.stringify(username)} is no user name`)
  if (username === 'root' && !mayBeRoot(role)) {
    throw badRequest('root has to be named by the role, in allowed_users or as default_user')
  }
}

function mayBeRoot({ allowedUsers, defaultUser }: DynamicRole): boolean {
  return defaultUser === 'root' || splitNames(allowedUsers).includes('root')
}

function leaseOf(
  role: DynamicRole,
  { roleName, address, username }: Grantee,
  publicKey: string,
): KeyLease {
  return {
    role: roleName,
    address: address.text,
    port: role.port,
    adminUser: role.adminUser,
    key: role.key,
    username,
    mayBeRoot: mayBeRoot(role),
    publicKey,
    keyOptionSpecs: role.keyOptionSpecs,
    installScript: role.installScript,
    authorizedKeys: role.authorizedKeys,
    hostKeys: hostKeyLines(role, address.text, role.port),
    hostKeyPolicy: role.hostKeyPolicy,
    renewRewritesExpiry: role.renewRewritesExpiry,
  }
}

/** Throws when the host did not confirm. Where it can have done nothing the lease goes at once, else it is ended like others. */
async function install(
  remote: RemoteHosts,
  { host }: Reached,
  data: KeyLease,
  lease: PendingLease,
): Promise<void> {
  const { ttlSeconds, maxTtlSeconds } = lease.terms
  const maxExpiresAt = lease.expiresAt + (maxTtlSeconds - ttlSeconds) * 1000
  const key = leasedKey(data, { id: lease.id, expiresAt: lease.expiresAt, maxExpiresAt })
  let mayBeThere = false
  const beforeSend = () => {
    mayBeThere = true
  }
  let result: RemoteResult
  try {
    result = await remote.run({ ...host, beforeSend }, installProgram(data, [key]))
  } catch (error) {
    if (!mayBeThere) await lease.abandon()
    return rethrow(error)
  }
  const failure = failureOf(result)
  if (failure === undefined) return
  // The built-in program installs all or nothing, if only it comes to its end.
  if (data.installScript === '' && !wasCut(result)) await lease.abandon()
  throw failed(failure)
}

function rethrow(error: unknown): never {
  throw error instanceof PosternError && error.code === 'refused' ? failed(error.message) : error
}

function failed(reason: string): PosternError {
  return refused(`failed to add public key to authorized_keys file in target: ${reason}`)
}
