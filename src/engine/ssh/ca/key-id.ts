/** Key IDs: what sshd logs at a login with the certificate (contract 6.8, Decision 8). */

export interface KeyIdValues {
  readonly tokenDisplayName: string
  readonly roleName: string
  /** SHA-256 of the key's blob, in hex. */
  readonly publicKeyHash: string
}

/** Fills the format; where it is empty: `postern-<display name>-<hash>`, or `postern-<hash>` for a token without name. */
export function formatKeyId(format: string, values: KeyIdValues): string {
  const { tokenDisplayName, roleName, publicKeyHash } = values
  if (format === '') {
    return tokenDisplayName === ''
      ? `postern-${publicKeyHash}`
      : `postern-${tokenDisplayName}-${publicKeyHash}`
  }
  const known = new Map([
    ['token_display_name', tokenDisplayName],
    ['role_name', roleName],
    ['public_key_hash', publicKeyHash],
  ])
  // One pass, so that a display name which looks like a variable stays what it is.
  return format.replace(
    /\{\{([a-z_]{1,32})\}\}/g,
    (variable, name: string) => known.get(name) ?? variable,
  )
}
