/** The two digests of a public key blob: OpenSSH's fingerprint, and the hex form of Vault's key ids. */
import { hash } from 'node:crypto'

/** `SHA256:` and unpadded base64, as `ssh-keygen -l` prints it. */
export function fingerprint(blob: Uint8Array): string {
  const digest = hash('sha256', blob, 'base64')
  return `SHA256:${digest.replace(/=+$/, '')}`
}

/** SHA-256 in lower-case hex. */
export function hexFingerprint(blob: Uint8Array): string {
  return hash('sha256', blob, 'hex')
}
