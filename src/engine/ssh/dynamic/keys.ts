/** `keys/:name`: private keys that can log in to hosts as an admin user (contract 9). Written and deleted, never read. */
import { badRequest, SshFormatError } from '../../../errors.ts'
import type { Call, ConfigView, Outcome } from '../../../mount/call.ts'
import { declarePath, type Path } from '../../../mount/path.ts'
import { Secret } from '../../../redact.ts'
import { fingerprint } from '../../../ssh/key/fingerprint.ts'
import { encodePrivateKey, parsePrivateKey } from '../../../ssh/key/private-key.ts'
import { decodeRecord, encodeRecord } from '../../../storage/view.ts'
import type { FieldOf } from '../role/role-fields.ts'
import { leasesWith, unusedSince } from './key-use.ts'

export const KEYS = 'keys/'

interface KeyRecord {
  /** In the one form that every SSH client reads, whatever was written. */
  readonly pem: string
  readonly fingerprint: string
}

export interface AdminKey {
  readonly privateKey: Secret
  /** Of its public half. */
  readonly fingerprint: string
}

/** The key of this name, or undefined. */
export function findKey(config: ConfigView, name: string): Promise<AdminKey | undefined> {
  return config.get(KEYS + name, (value) => {
    const record = decodeRecord<KeyRecord>(value)
    return { privateKey: new Secret(record.pem), fingerprint: record.fingerprint }
  })
}

const fields: { name: FieldOf<'string'>; key: FieldOf<'string'>; force: FieldOf<'bool'> } = {
  name: { type: 'string', description: 'Name of the key.' },
  key: {
    type: 'string',
    description: 'Private key: PEM without a passphrase (OpenSSH, PKCS1, SEC1, PKCS8). Required.',
  },
  force: {
    type: 'bool',
    description:
      'For a deletion: also while leases need the key. Their lines then stay on the hosts until they expire there.',
  },
}

function keyOf(pem: string): KeyRecord {
  if (pem.trim() === '') throw badRequest('missing key')
  try {
    const { keyObject, publicKey } = parsePrivateKey(pem)
    return { pem: encodePrivateKey(keyObject), fingerprint: fingerprint(publicKey.blob) }
  } catch (error) {
    if (error instanceof SshFormatError) throw badRequest(`invalid key: ${error.message}`)
    throw error
  }
}

async function remove(call: Call<typeof fields>): Promise<Outcome> {
  const { name, force } = call.fields
  const writes = [call.config.remove(KEYS + name)]
  if (force) return { writes }
  const { write, condition } = await unusedSince(call.store, name)
  const count = await leasesWith(call.store, name)
  if (count > 0) {
    throw badRequest(
      `key ${JSON.stringify(name)} is needed to end ${count === 1 ? '1 lease' : `${count} leases`}: revoke them first, or delete it with force=true`,
    )
  }
  return { writes: [...writes, write], conditions: [condition] }
}

export const keyPath: Path = declarePath({
  pattern: 'keys/:name',
  names: { name: 'issuer' },
  fields,
  sudo: 'all',
  operations: {
    update: (call) => ({
      writes: [call.config.put(KEYS + call.fields.name, encodeRecord(keyOf(call.fields.key)))],
    }),
    delete: remove,
  },
  synopsis: 'A private key that logs in to hosts as an admin user.',
  description:
    'Roles of key_type `dynamic` name such a key. It is stored sealed and can not be read back. Writing another key under the name ' +
    'is how it is rotated: live leases then end with the new one. A key that live leases need is not deleted, unless force is given.',
})
