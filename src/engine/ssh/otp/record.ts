/** A one-time password as it is stored: under its keyed hash, so that a stolen disk holds none (pitfalls, vault#956). */
import type { LeaseRef } from '../../../mount/call.ts'

export interface OtpRecord {
  readonly roleName: string
  readonly username: string
  /** In canonical form. */
  readonly ip: string
  /** Ends with the password. */
  readonly lease: LeaseRef
  /** The enrolled host that alone may verify it. The time tells it apart from a later one with its id. */
  readonly host?: { readonly id: string; readonly createdAt: number }
}

/** What a lease remembers of its password. */
export interface OtpLease {
  /** Name of the record in the mount's data. */
  readonly otp: string
}

/** Name of the record of the password with this keyed hash. */
export function otpName(hmac: string): string {
  return `otp/${hmac}`
}
