/** Answers of `verify` that are signed by the mount's identity key, so that a false server can say no "yes" (protocols 5.5). */
import { badRequest } from '../../../errors.ts'
import type { Call } from '../../../mount/call.ts'
import {
  VERIFY_NAMESPACE,
  VERIFY_NONCE_BYTES,
  verifyMessageBytes,
} from '../../../ssh/host/verify-message.ts'
import { signMessage } from '../../../ssh/sshsig.ts'
import { identityOf } from '../host/identity.ts'
import { isSent } from '../sent.ts'
import type { OtpRecord } from './record.ts'

/** Gives what a 200 says besides the grant. `hostId` is empty where none signed the request. */
export type SignVerify = (
  record: OtpRecord,
  otp: string,
  hostId: string,
) => Promise<{ readonly time: number; readonly signature: string }>

/**
 * How this request's answer is to be signed; undefined where no nonce was sent. Throws, before a password is spent, for
 * a nonce of another form and where the mount has no key to sign with.
 */
export async function verifySigner(
  call: Call,
  clusterId: () => string,
): Promise<SignVerify | undefined> {
  if (!isSent(call, 'nonce')) return undefined
  const nonce = call.data.get('nonce')
  if (!isNonce(nonce)) {
    throw badRequest(`nonce has to be ${VERIFY_NONCE_BYTES} bytes in base64url`)
  }
  const key = await identityOf(call.config)
  const unixSeconds = Math.floor(call.now / 1000)
  return async ({ username, ip, roleName }, otp, hostId) => {
    const message = verifyMessageBytes({
      clusterId: clusterId(),
      mountPath: call.mount.path.replace(/\/$/, ''),
      nonce,
      otp,
      username,
      ip,
      roleName,
      hostId,
      unixSeconds,
    })
    return { time: unixSeconds, signature: await signMessage(key, VERIFY_NAMESPACE, message) }
  }
}

function isNonce(value: unknown): value is string {
  if (typeof value !== 'string') return false
  const bytes = Buffer.from(value, 'base64url')
  // Node's decoder passes over what it does not know: only the one spelling of these bytes will do.
  return bytes.length === VERIFY_NONCE_BYTES && bytes.toString('base64url') === value
}
