/** Requests that this host signs with one of its own keys (protocols 5.4). */
import { globSync, readFileSync } from 'node:fs'
import { secretBytes } from '../../random.ts'
import {
  HOST_NAMESPACE,
  hostHeaders,
  hostRequestMessage,
  NONCE_BYTES,
} from '../../ssh/host/host-request.ts'
import { encodeAuthorizedKey } from '../../ssh/key/authorized-keys.ts'
import { type PrivateKey, parsePrivateKey } from '../../ssh/key/private-key.ts'
import { signBlob } from '../../ssh/sshsig.ts'

const PATTERN = '/etc/ssh/ssh_host_*_key'
/** Ed25519 first: it signs fastest. */
const ORDER = ['ed25519', 'ecdsa', 'rsa']

export interface HostKey extends PrivateKey {
  readonly file: string
  /** As in authorized_keys, without comment. */
  readonly publicLine: string
}

export interface RequestToSign {
  readonly method: 'GET' | 'POST'
  /** As sent, without the query: `/v1/ssh/host/bundle`. */
  readonly path: string
  /** Empty where there is none. */
  readonly body: string
}

/** This host's keys, the one that signs first. Throws where there is none that can be read. */
export function readHostKeys(pattern: string = PATTERN): [HostKey, ...HostKey[]] {
  const keys = globSync(pattern)
    .sort()
    .flatMap((file) => readKey(file) ?? [])
    .sort((one, other) => rank(one) - rank(other))
  const [first, ...rest] = keys
  if (!first) throw new Error(`there is no host key that can be used: ${pattern}`)
  return [first, ...rest]
}

/** Undefined for a file that is no key, as sshd passes it over, and for a kind that stands for no host: DSA, or short RSA. */
function readKey(file: string): HostKey | undefined {
  const key = readPrivateKey(file)
  if (!key) return undefined
  const { kind, bits, blob } = key.publicKey
  if (!ORDER.includes(kind) || (kind === 'rsa' && bits < 2048)) return undefined
  return { ...key, file, publicLine: encodeAuthorizedKey(blob) }
}

function readPrivateKey(file: string): PrivateKey | undefined {
  try {
    return parsePrivateKey(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}

function rank({ publicKey: { kind } }: HostKey): number {
  return ORDER.indexOf(kind)
}

/** Of a host that is enrolled; both are empty for one that is about to be. */
export interface Signer {
  readonly key: HostKey
  readonly clusterId: string
  readonly hostId: string
}

/** The headers that prove who sends the request, and that it is of now. */
export async function signRequest(
  { key, clusterId, hostId }: Signer,
  request: RequestToSign,
  now: number = Date.now(),
): Promise<Record<string, string>> {
  const nonce = secretBytes(NONCE_BYTES)
  const unixSeconds = Math.floor(now / 1000)
  const message = hostRequestMessage({ ...request, clusterId, hostId, unixSeconds, nonce })
  const signature = await signBlob(key, HOST_NAMESPACE, message)
  return {
    ...(hostId !== '' && { [hostHeaders.host]: hostId }),
    [hostHeaders.time]: String(unixSeconds),
    [hostHeaders.nonce]: nonce.toString('base64url'),
    [hostHeaders.signature]: signature.toString('base64'),
  }
}
