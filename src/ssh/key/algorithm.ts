/**
 * The key types and signature algorithms that Postern knows, in one table (RFC 4253, 5656, 8332, 8709;
 * OpenSSH PROTOCOL.certkeys and PROTOCOL.u2f). Names from outside are looked up in maps only.
 */

type KeyKind = 'rsa' | 'dsa' | 'ecdsa' | 'ed25519' | 'sk-ecdsa' | 'sk-ed25519'

/** A curve of RFC 5656: its SSH name, OpenSSL's and JWK's names, and the bytes of one coordinate. */
export interface Curve {
  readonly name: string
  readonly opensslName: string
  readonly jwkName: string
  readonly bits: number
  readonly coordinateBytes: number
}

export interface KeyAlgorithm {
  /** As in public key blobs and authorized_keys lines. */
  readonly name: string
  readonly kind: KeyKind
  readonly certificateName: string
  /** For ECDSA kinds only. */
  readonly curve?: Curve
  /** Names of the signatures that such a key makes, the default first; none for ssh-dss. */
  readonly signatures: readonly string[]
}

export interface SignatureAlgorithm {
  readonly name: string
  /** OpenSSL's name; undefined for Ed25519, which hashes by itself. */
  readonly hash: string | undefined
  /** True where signing is so cheap that a thread costs more than it frees. */
  readonly isCheap: boolean
}

const nistp256: Curve = {
  name: 'nistp256',
  opensslName: 'prime256v1',
  jwkName: 'P-256',
  bits: 256,
  coordinateBytes: 32,
}
const nistp384: Curve = {
  name: 'nistp384',
  opensslName: 'secp384r1',
  jwkName: 'P-384',
  bits: 384,
  coordinateBytes: 48,
}
const nistp521: Curve = {
  name: 'nistp521',
  opensslName: 'secp521r1',
  jwkName: 'P-521',
  bits: 521,
  coordinateBytes: 66,
}

export const curves: readonly Curve[] = [nistp256, nistp384, nistp521]

const keyAlgorithms: readonly KeyAlgorithm[] = [
  {
    name: 'ssh-rsa',
    kind: 'rsa',
    certificateName: 'ssh-rsa-cert-v01@openssh.com',
    signatures: ['rsa-sha2-256', 'rsa-sha2-512', 'ssh-rsa'],
  },
  {
    name: 'ssh-dss',
    kind: 'dsa',
    certificateName: 'ssh-dss-cert-v01@openssh.com',
    signatures: [],
  },
  ...curves.map(ecdsaAlgorithm),
  {
    name: 'ssh-ed25519',
    kind: 'ed25519',
    certificateName: 'ssh-ed25519-cert-v01@openssh.com',
    signatures: ['ssh-ed25519'],
  },
  {
    name: 'sk-ecdsa-sha2-nistp256@openssh.com',
    kind: 'sk-ecdsa',
    certificateName: 'sk-ecdsa-sha2-nistp256-cert-v01@openssh.com',
    curve: nistp256,
    signatures: ['sk-ecdsa-sha2-nistp256@openssh.com'],
  },
  {
    name: 'sk-ssh-ed25519@openssh.com',
    kind: 'sk-ed25519',
    certificateName: 'sk-ssh-ed25519-cert-v01@openssh.com',
    signatures: ['sk-ssh-ed25519@openssh.com'],
  },
]

const signatureAlgorithms: readonly SignatureAlgorithm[] = [
  { name: 'ssh-rsa', hash: 'sha1', isCheap: false },
  { name: 'rsa-sha2-256', hash: 'sha256', isCheap: false },
  { name: 'rsa-sha2-512', hash: 'sha512', isCheap: false },
  { name: 'ecdsa-sha2-nistp256', hash: 'sha256', isCheap: true },
  { name: 'ecdsa-sha2-nistp384', hash: 'sha384', isCheap: false },
  { name: 'ecdsa-sha2-nistp521', hash: 'sha512', isCheap: false },
  { name: 'ssh-ed25519', hash: undefined, isCheap: true },
  { name: 'sk-ecdsa-sha2-nistp256@openssh.com', hash: 'sha256', isCheap: false },
  { name: 'sk-ssh-ed25519@openssh.com', hash: undefined, isCheap: false },
]

const byName = new Map(keyAlgorithms.map((row) => [row.name, row]))
const byCertificateName = new Map(keyAlgorithms.map((row) => [row.certificateName, row]))
const signatureByName = new Map(signatureAlgorithms.map((row) => [row.name, row]))

/** The key type of a plain public key; undefined for an unknown name and for a certificate's. */
export function keyAlgorithm(name: string): KeyAlgorithm | undefined {
  return byName.get(name)
}

/** The key type that a certificate of this name certifies. */
export function certifiedKeyAlgorithm(certificateName: string): KeyAlgorithm | undefined {
  return byCertificateName.get(certificateName)
}

export function signatureAlgorithm(name: string): SignatureAlgorithm | undefined {
  return signatureByName.get(name)
}

function ecdsaAlgorithm(curve: Curve): KeyAlgorithm {
  const name = `ecdsa-sha2-${curve.name}`
  return {
    name,
    kind: 'ecdsa',
    certificateName: `${name}-cert-v01@openssh.com`,
    curve,
    signatures: [name],
  }
}
