/** `allowed_user_key_lengths`: the types and sizes of keys that a role signs or issues (contract 6.8, checks 3 and 3''). */
import { badRequest } from '../../../errors.ts'
import type { PublicKey } from '../../../ssh/key/public-key.ts'

type Lengths = ReadonlyMap<string, readonly number[]>

const MISFIT = 'public_key failed to meet the key requirements'

/** Refuses a key that the list does not allow; an empty list allows all. */
export function checkKeyLength(allowed: Lengths, key: PublicKey): void {
  if (allowed.size === 0) return
  const { sized, whole } = entryNames(key)
  if (whole.some((name) => allowed.has(name))) return
  const sizes = sized.flatMap((name) => allowed.get(name) ?? [])
  if (sizes.includes(key.bits)) return
  const isKnown = sized.some((name) => allowed.has(name))
  throw badRequest(
    isKnown
      ? `${MISFIT}: key is of an invalid size: ${key.bits}`
      : `${MISFIT}: key of type ${key.kind} is not allowed`,
  )
}

/** Names under which a list may have the key: with its size, or with any since the name says it all. */
function entryNames(key: PublicKey): { sized: readonly string[]; whole: readonly string[] } {
  const { name } = key.algorithm
  switch (key.kind) {
    case 'rsa':
    case 'dsa':
      return { sized: [key.kind, name], whole: [] }
    case 'ecdsa':
      return { sized: ['ec', 'ecdsa'], whole: [name] }
    case 'ed25519':
      return { sized: [], whole: [key.kind, name] }
    case 'sk-ecdsa':
    case 'sk-ed25519':
      return { sized: [], whole: [name] }
  }
}

/** Entries by the key types of issue requests. As the API always had it, no entry is for `ec` or a curve's name. */
const issuedEntries = new Map([
  ['rsa', ['rsa', 'ssh-rsa']],
  ['ed25519', ['ed25519', 'ssh-ed25519']],
])

/** The same for a key pair to be issued, by what the request says: 0 bits are 0, not the default. */
export function checkIssuedLength(allowed: Lengths, type: string, bits: number): void {
  if (allowed.size === 0) return
  const entries = issuedEntries.get(type) ?? []
  if (!entries.some((name) => allowed.has(name))) {
    throw badRequest('provided key_type value not in allowed_user_key_types')
  }
  if (!entries.some((name) => allowed.get(name)?.includes(bits))) {
    throw badRequest("provided key_bits value not in list of role's allowed_user_key_types")
  }
}
