/** What the server signs when it says that a one-time password is good (protocols 5.5). */
import { hash } from 'node:crypto'
import { SshWriter } from '../writer.ts'

export const VERIFY_NAMESPACE = 'verify@postern'
export const VERIFY_NONCE_BYTES = 32

export interface VerifyAnswer {
  readonly clusterId: string
  /** Without slashes at its ends: `ssh`. */
  readonly mountPath: string
  /** As it was sent: base64url of 32 bytes. */
  readonly nonce: string
  /** As it was received. */
  readonly otp: string | Uint8Array
  readonly username: string
  /** Canonical. */
  readonly ip: string
  readonly roleName: string
  /** Empty where the host did not name itself. */
  readonly hostId: string
  readonly unixSeconds: number
}

/** The bytes that the signature for `verify@postern` is over. */
export function verifyMessageBytes(answer: VerifyAnswer): Buffer {
  return new SshWriter()
    .string('postern-verify-v1')
    .string(answer.clusterId)
    .string(answer.mountPath)
    .string(answer.nonce)
    .string(hash('sha256', answer.otp, 'buffer'))
    .string(answer.username)
    .string(answer.ip)
    .string(answer.roleName)
    .string(answer.hostId)
    .uint64(BigInt(answer.unixSeconds))
    .bytes()
}
