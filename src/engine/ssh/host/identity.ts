/**
 * The mount's identity key: what signs bundles, KRL statements and verify answers for its hosts (protocols 5.5, 5.6). Ed25519, never a CA
 * key. A rotation announces the next key first, so that hosts know it before it signs.
 */
import { createPrivateKey } from 'node:crypto'
import { badRequest } from '../../../errors.ts'
import type { Call, ConfigView, Outcome } from '../../../mount/call.ts'
import { declarePath, type Path } from '../../../mount/path.ts'
import { issuerName } from '../../../ssh/host/statement.ts'
import { encodeAuthorizedKey, parseAuthorizedKey } from '../../../ssh/key/authorized-keys.ts'
import { fingerprint } from '../../../ssh/key/fingerprint.ts'
import { generateKeyPair } from '../../../ssh/key/private-key.ts'
import { type SigningKey, signingKey } from '../../../ssh/signature.ts'
import type { Write } from '../../../storage/store.ts'
import { decodeRecord, encodeRecord } from '../../../storage/view.ts'

const IDENTITY = 'config/identity'

interface KeyRecord {
  /** As in authorized_keys, without comment. */
  readonly publicKeyText: string
  /** PKCS8 in base64. */
  readonly privateKey: string
}

interface IdentityRecord {
  readonly current: KeyRecord
  /** Announced, and not signing yet. */
  readonly next?: KeyRecord
}

interface IdentityKey extends SigningKey {
  readonly publicKeyText: string
}

export interface Identity extends IdentityKey {
  readonly next: IdentityKey | undefined
  readonly nextPublicKeyText: string | undefined
}

/** The identity key. Refuses where the mount has none: it has no hosts then. */
export async function identityOf(config: ConfigView): Promise<Identity> {
  const identity = await findIdentity(config)
  if (identity) return identity
  throw badRequest('the mount has no identity key: write host_scope=true to config/hosts')
}

async function findIdentity(config: ConfigView): Promise<Identity | undefined> {
  return config.get(IDENTITY, decodeIdentity)
}

function decodeIdentity(value: Uint8Array): Identity {
  const { current, next } = decodeRecord<IdentityRecord>(value)
  return {
    ...decodeKey(current),
    next: next && decodeKey(next),
    nextPublicKeyText: next?.publicKeyText,
  }
}

function decodeKey({ publicKeyText, privateKey }: KeyRecord): IdentityKey {
  const key = Buffer.from(privateKey, 'base64')
  const keyObject = createPrivateKey({ key, format: 'der', type: 'pkcs8' })
  return {
    ...signingKey({ publicKey: parseAuthorizedKey(publicKeyText), keyObject }),
    publicKeyText,
  }
}

/** The writes that give the mount an identity key; none where it has one. */
export async function makeIdentity(config: ConfigView): Promise<readonly Write[]> {
  if (await findIdentity(config)) return []
  return [config.put(IDENTITY, encodeRecord({ current: await newKey() } satisfies IdentityRecord))]
}

async function newKey(): Promise<KeyRecord> {
  const { publicKey, keyObject } = await generateKeyPair('ed25519', 256)
  return recordOf({ keyObject, publicKeyText: encodeAuthorizedKey(publicKey.blob) })
}

function recordOf({ keyObject, publicKeyText }: Pick<IdentityKey, 'keyObject' | 'publicKeyText'>) {
  const privateKey = keyObject.export({ type: 'pkcs8', format: 'der' }).toString('base64')
  return { publicKeyText, privateKey }
}

function show(call: Call, identity: Identity, clusterId: string): Outcome {
  const { publicKeyText, publicKey, nextPublicKeyText } = identity
  return {
    data: {
      cluster_id: clusterId,
      fingerprint: fingerprint(publicKey.blob),
      issuer: issuerName(clusterId, call.mount.path),
      mount: call.mount.path.slice(0, -1),
      ...(nextPublicKeyText !== undefined && { next_public_key: nextPublicKeyText }),
      public_key: publicKeyText,
    },
  }
}

/** First announces a next key; then, when hosts had time to learn it, lets it sign. */
async function rotate(call: Call, finish: boolean): Promise<Outcome> {
  const identity = await identityOf(call.config)
  const { next } = identity
  if (finish && !next) {
    throw badRequest(
      'no next key is announced: rotate without finish first, and let hosts fetch it',
    )
  }
  if (!finish && next) {
    throw badRequest('a next key is announced already: rotate with finish=true lets it sign')
  }
  const rotated: IdentityRecord =
    next && finish
      ? { current: recordOf(next) }
      : { current: recordOf(identity), next: await newKey() }
  return {
    data: {
      public_key: rotated.current.publicKeyText,
      ...(rotated.next && { next_public_key: rotated.next.publicKeyText }),
    },
    writes: [call.config.put(IDENTITY, encodeRecord(rotated))],
  }
}

export function identityPaths(clusterId: () => string): readonly Path[] {
  return [
    declarePath({
      pattern: 'identity',
      fields: {},
      auth: 'none',
      operations: {
        read: async (call) => show(call, await identityOf(call.config), clusterId()),
      },
      synopsis: 'The key that signs what hosts are told.',
      description:
        'For hosts, which pin the public key when they are enrolled: it signs their bundles, the KRL statements and the answers of verify. Needs no token; compare the ' +
        'fingerprint with one that came another way.',
    }),
    declarePath({
      pattern: 'config/identity/rotate',
      fields: {
        finish: {
          type: 'bool',
          description:
            'Lets the announced key sign; hosts that never learned it have to be enrolled anew.',
        },
      },
      sudo: 'all',
      operations: { update: (call) => rotate(call, call.fields.finish) },
      synopsis: 'Changes the key that signs what hosts are told, in two steps.',
      description:
        'The first write announces the next key in every bundle. When each host has fetched one (hosts show which), a write with finish=true makes it the key that signs.',
    }),
  ]
}
