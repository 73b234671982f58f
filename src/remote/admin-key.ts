/** The admin's private key as `ssh2` takes it. */
import type { ParsedKey } from 'ssh2'
import type { Secret } from '../redact.ts'

/** What `import('ssh2')` gives by default. */
export type Ssh2 = typeof import('ssh2').default

/**
 * A key that refuses to sign with SHA-1: `ssh2` asks it to where a server names no signature algorithms
 * (RFC 8332 section 3.3). Throws errors that must not be shown: their text may quote the key.
 */
export function parseAdminKey(ssh2: Ssh2, privateKey: Secret): ParsedKey {
  const key = ssh2.utils.parseKey(privateKey.reveal())
  if (key instanceof Error) throw key
  const sign = key.sign.bind(key)
  key.sign = (data, hash) =>
    key.type === 'ssh-rsa' && hash !== 'sha256' && hash !== 'sha512'
      ? new Error('the host knows no RSA signatures with SHA-2')
      : sign(data, hash)
  return key
}
