/** Key types as requests name them, for new CA keys and for issued key pairs (contract 6.2 and 6.8). */
import { generateKeyPair, type PrivateKey } from '../../../ssh/key/private-key.ts'

export interface KeyChoice {
  readonly kind: 'rsa' | 'ecdsa' | 'ed25519'
  readonly bits: number
}

const DEFAULT_RSA_BITS = 4096
const MIN_RSA_BITS = 2048
/** Larger ones would keep a thread busy for minutes. */
const MAX_RSA_BITS = 8192

const namedTypes = new Map<string, KeyChoice>([
  ['ecdsa-sha2-nistp256', { kind: 'ecdsa', bits: 256 }],
  ['ecdsa-sha2-nistp384', { kind: 'ecdsa', bits: 384 }],
  ['ecdsa-sha2-nistp521', { kind: 'ecdsa', bits: 521 }],
  ['ed25519', { kind: 'ed25519', bits: 256 }],
  ['ssh-ed25519', { kind: 'ed25519', bits: 256 }],
])

/** What to generate; 0 bits: the default of the type. Throws a RangeError whose text the caller is shown. */
export function chooseKey(type: string, bits: number): KeyChoice {
  const named = namedTypes.get(type)
  if (named) return named
  if (type === 'rsa' || type === 'ssh-rsa') return chooseRsaKey(bits)
  if (type !== 'ec') throw new RangeError(`unknown ssh key pair algorithm: ${type}`)
  if (bits === 0) return { kind: 'ecdsa', bits: 256 }
  if (bits === 256 || bits === 384 || bits === 521) return { kind: 'ecdsa', bits }
  throw new RangeError(`unknown ECDSA key pair algorithm and bits: ${type} / ${bits}`)
}

function chooseRsaKey(bits: number): KeyChoice {
  if (bits === 0) return { kind: 'rsa', bits: DEFAULT_RSA_BITS }
  if (bits < MIN_RSA_BITS) {
    throw new RangeError(`refusing to generate weak rsa key: ${bits} bits < ${MIN_RSA_BITS} bits`)
  }
  if (bits > MAX_RSA_BITS) {
    throw new RangeError(`refusing to generate slow rsa key: ${bits} bits > ${MAX_RSA_BITS} bits`)
  }
  return { kind: 'rsa', bits }
}

/** Generates the key pair on the thread pool. */
export function generate({ kind, bits }: KeyChoice): Promise<PrivateKey> {
  return generateKeyPair(kind, bits)
}
