/** The line of authorized_keys that a lease puts on a host (sshd(8), AUTHORIZED_KEYS FILE FORMAT; protocols 4.3). */

const PUBLIC_KEY = /^[a-z0-9@.-]+ [A-Za-z0-9+/]+={0,2}$/
const MAX_COMMENT_LENGTH = 200

export interface LeasedKey {
  /** Type and base64. */
  readonly publicKey: string
  /** As `parseKeyOptions` takes them; may be empty. */
  readonly keyOptionSpecs: string
  readonly leaseId: string
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
}

/** Seconds since the epoch: the last one that is wholly before the lease's end, since sshd lets in during the one that it is told. */
export function expirySeconds({ expiresAt }: LeasedKey): number {
  return Math.ceil(expiresAt / 1000) - 1
}

/**
 * Without a line end. The time comes first: a second one in the options can only shorten it, and a part of the options can
 * not hide it. It is in UTC, which only OpenSSH 9.1 and newer read.
 */
export function authorizedLine(key: LeasedKey): string {
  if (!PUBLIC_KEY.test(key.publicKey)) throw new TypeError('not a type and base64')
  const [date = ''] = new Date(expirySeconds(key) * 1000).toISOString().split('.')
  const options = key.keyOptionSpecs === '' ? '' : `,${key.keyOptionSpecs}`
  return `expiry-time="${date.replace(/[-T:]/g, '')}Z"${options} ${key.publicKey} ${comment(key)}`
}

/** One word without a comma, which parts what the host adds. */
function comment({ leaseId }: LeasedKey): string {
  return `postern:${leaseId.replace(/[^A-Za-z0-9._/@:+-]/g, '_').slice(-MAX_COMMENT_LENGTH)}`
}
