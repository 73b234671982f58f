/** Key IDs: what sshd logs at a login with the certificate (contract 6.8, Decision 8). */

export interface KeyIdValues {
  readonly tokenDisplayName: string
  readonly roleName: string
  /** SHA-256 of the key's blob, in hex. */
  readonly publicKeyHash: string
}

const DEFAULT_FORMAT = 'postern-{{token_display_name}}-{{public_key_hash}}'
const NAMELESS_FORMAT = 'postern-{{public_key_hash}}'

/** Fills the format, or the default one where it is empty. */
export function formatKeyId(format: string, values: KeyIdValues): string {
  const known = new Map([
    ['token_display_name', values.tokenDisplayName],
    ['role_name', values.roleName],
    ['public_key_hash', values.publicKeyHash],
  ])
  const byDefault = values.tokenDisplayName === '' ? NAMELESS_FORMAT : DEFAULT_FORMAT
  // One pass, so that a display name which looks like a variable stays what it is.
  return (format === '' ? byDefault : format).replace(
    /\{\{([a-z_]{1,32})\}\}/g,
    (variable, name: string) => known.get(name) ?? variable,
  )
}
