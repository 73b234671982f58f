/**
 * What a host knows of its server by heart, and the check of a signed answer of `verify` against it (protocols 5.5). Of
 * the answer itself only role, address and time are taken, and those are signed.
 */
import { type JsonObject, textAt } from '../../client/json.ts'
import { VERIFY_NAMESPACE, verifyMessageBytes } from '../../ssh/host/verify-message.ts'
import { isSameKey, type PublicKey } from '../../ssh/key/public-key.ts'
import { verifyMessage } from '../../ssh/sshsig.ts'
import type { HostConfig } from '../config.ts'

const MAX_SKEW_SECONDS = 120

export interface ServerTrust {
  readonly clusterId: string
  /** Without slashes at its ends. */
  readonly mountPath: string
  /** Identity keys: one of these has to sign. */
  readonly keys: readonly PublicKey[]
  /** Of this host; empty where it is not enrolled. */
  readonly hostId: string
}

/** What the host was told when it was enrolled, and since. */
export interface Enrolment {
  readonly hostId: string
  readonly clusterId: string
  readonly mountPath: string
  readonly serverKeys: readonly PublicKey[]
}

/**
 * By what this host knows its server: the config's keys where it names some, else those of its enrolment. Undefined
 * where there is neither. Throws a TypeError where the two contradict each other, or where something is missing.
 */
export function serverTrust(
  { serverKeys, clusterId, mountPoint }: HostConfig,
  enrolment: Enrolment | undefined,
): ServerTrust | undefined {
  if (enrolment && enrolment.mountPath !== mountPoint) {
    throw new TypeError(
      `the host is enrolled at ${enrolment.mountPath}, and ssh_mount_point is ${mountPoint}`,
    )
  }
  if (enrolment && clusterId !== undefined && clusterId !== enrolment.clusterId) {
    throw new TypeError('cluster_id is not the cluster that the host is enrolled at')
  }
  const cluster = clusterId ?? enrolment?.clusterId
  const keys = serverKeys.length > 0 ? serverKeys : enrolment?.serverKeys
  if (!keys && clusterId !== undefined) throw new TypeError('cluster_id needs server_key')
  if (!keys) return undefined
  if (keys.length === 0) throw new TypeError('the host knows no key of the server')
  if (!cluster) throw new TypeError('server_key needs cluster_id')
  return { clusterId: cluster, mountPath: mountPoint, keys, hostId: enrolment?.hostId ?? '' }
}

/** What was asked, from memory. */
export interface Asked {
  readonly nonce: string
  readonly otp: string
  readonly user: string
}

/** Throws an error that says what is wrong with the answer. `now` is in milliseconds since the epoch. */
export function checkSignedAnswer(
  trust: ServerTrust,
  { nonce, otp, user }: Asked,
  data: JsonObject,
  now: number,
): void {
  const signature = textAt(data, 'signature')
  if (signature === undefined) throw new TypeError("the server's answer is not signed")
  const { time } = data
  if (typeof time !== 'number' || !Number.isSafeInteger(time) || time < 0) {
    throw new TypeError("the server's answer says no time")
  }
  const message = verifyMessageBytes({
    clusterId: trust.clusterId,
    mountPath: trust.mountPath,
    nonce,
    otp,
    username: user,
    ip: textAt(data, 'ip') ?? '',
    roleName: textAt(data, 'role_name') ?? '',
    hostId: trust.hostId,
    unixSeconds: time,
  })
  const signer = verifyMessage(signature, { namespace: VERIFY_NAMESPACE, message })
  if (!signer) throw new TypeError('the signature is of another answer than this one')
  if (!trust.keys.some((key) => isSameKey(key, signer))) {
    throw new TypeError("the answer is signed by another key than the server's")
  }
  if (Math.abs(now / 1000 - time) > MAX_SKEW_SECONDS) {
    throw new TypeError(`the answer is of ${time}, too far from this host's clock`)
  }
}
