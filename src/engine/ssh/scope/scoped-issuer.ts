/** The issuer for certificates that are for chosen hosts: made once, and what hosts trust (protocols 5.1). */
import type { ConfigView } from '../../../mount/call.ts'
import { encodeAuthorizedKey } from '../../../ssh/key/authorized-keys.ts'
import { generateKeyPair } from '../../../ssh/key/private-key.ts'
import type { Write } from '../../../storage/store.ts'
import { issuerIndex, issuerOf, newIssuer, scopedIssuer, usageOf } from '../ca/issuers.ts'

/** The writes that give the mount a scoped issuer with a new Ed25519 key; none where it has one. */
export async function makeScopedIssuer(config: ConfigView): Promise<readonly Write[]> {
  const index = await issuerIndex(config)
  if (index.scopedId !== undefined) return []
  const key = await generateKeyPair('ed25519', 256)
  const publicKeyText = `${encodeAuthorizedKey(key.publicKey.blob)}\n`
  const terms = { name: '', usage: 'scoped', isDefault: true } as const
  return newIssuer(config, index, { ...terms, key, publicKeyText }).writes
}

/**
 * The public keys of all scoped issuers, as lines of authorized_keys without comments, the one that signs first: what a
 * host trusts, so that it knows the next one before that signs. Refuses where none signs.
 */
export async function scopedKeyLines(config: ConfigView): Promise<readonly string[]> {
  const index = await issuerIndex(config)
  const current = scopedIssuer(index)
  const scoped = index.issuers.filter((entry) => usageOf(entry) === 'scoped')
  const ordered = [current, ...scoped.filter(({ id }) => id !== current.id)]
  const issuers = await Promise.all(ordered.map((entry) => issuerOf(config, entry)))
  return issuers.map(({ publicKey }) => encodeAuthorizedKey(publicKey.blob))
}
