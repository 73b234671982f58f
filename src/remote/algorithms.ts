/**
 * What is offered in the key exchange (RFC 4253 section 7.1): nothing with SHA-1 or CBC, and only curves, because
 * finite fields of a size that the host chooses stop the event loop for a third of a second. ChaCha20 is left out: AES-GCM is safe from CVE-2023-48795
 * also where a server knows no strict key exchange. `ssh2` asks for the strict one by itself.
 */
import type { ConnectOptions } from 'ssh2'

const HOST_KEYS: readonly string[] = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
]

/** Offers for a host with keys of these types; an empty list stands for any. */
export function offeredAlgorithms(keyTypes: readonly string[]): ConnectOptions['algorithms'] {
  return {
    kex: [
      'curve25519-sha256',
      'curve25519-sha256@libssh.org',
      'ecdh-sha2-nistp256',
      'ecdh-sha2-nistp384',
      'ecdh-sha2-nistp521',
    ],
    serverHostKey: keyTypes.length === 0 ? HOST_KEYS : signatureNames(keyTypes),
    cipher: ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com', 'aes128-ctr', 'aes256-ctr'],
    hmac: [
      'hmac-sha2-256-etm@openssh.com',
      'hmac-sha2-512-etm@openssh.com',
      'hmac-sha2-256',
      'hmac-sha2-512',
    ],
    compress: ['none'],
  }
}

/** Empty when the host has keys of unknown types only. An RSA key signs with SHA-2 (RFC 8332). */
export function signatureNames(keyTypes: readonly string[]): string[] {
  const wanted = new Set(
    keyTypes.flatMap((type) => (type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256'] : [type])),
  )
  return HOST_KEYS.filter((name) => wanted.has(name))
}
