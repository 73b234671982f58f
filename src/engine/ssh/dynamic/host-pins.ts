/**
 * Pinned host keys: one for each address and port, kept at first contact or set by an operator (Decision 12,
 * protocols 4.6). They lie in the mount's data, so that a first contact leaves the configuration alone.
 */
import type { Clock } from '../../../clock.ts'
import { badRequest, SshFormatError } from '../../../errors.ts'
import type { Call, Outcome } from '../../../mount/call.ts'
import { declarePath, type Path } from '../../../mount/path.ts'
import { encodeAuthorizedKey, parseAuthorizedKey } from '../../../ssh/key/authorized-keys.ts'
import { fingerprint } from '../../../ssh/key/fingerprint.ts'
import type { PublicKey } from '../../../ssh/key/public-key.ts'
import { decodeRecord, encodeRecord, type StoreView } from '../../../storage/view.ts'
import { parseAddress } from '../address.ts'
import { absent, pageFields, pageOf } from '../page.ts'
import type { FieldOf } from '../role/role-fields.ts'

const PINS = 'host-pins/'
const DEFAULT_PORT = 22

interface PinRecord {
  /** Type and base64, as in an authorized_keys line. */
  readonly key: string
  readonly pinnedAt: number
  readonly by: 'first contact' | 'operator'
}

const pinName = (address: string, port: number): string => `${PINS}${address}/${port}`

/** The key that is pinned for a host, or undefined. */
export async function pinnedKey(
  store: StoreView,
  address: string,
  port: number,
): Promise<PublicKey | undefined> {
  const entry = await store.get(pinName(address, port))
  return entry && parseAuthorizedKey(decodeRecord<PinRecord>(entry.value).key)
}

/** Pins a key where none is pinned, at once; false when another was faster. */
export function pinFirst(
  store: StoreView,
  {
    address,
    port,
    clock,
  }: { readonly address: string; readonly port: number; readonly clock: Clock },
  key: PublicKey,
): Promise<boolean> {
  const record = recordOf(key, clock.now(), 'first contact')
  return store.create(pinName(address, port), encodeRecord(record))
}

function recordOf(key: PublicKey, pinnedAt: number, by: PinRecord['by']): PinRecord {
  return { key: encodeAuthorizedKey(key.blob), pinnedAt, by }
}

const fields: {
  address: FieldOf<'string'>
  port: FieldOf<'string'>
  key: FieldOf<'string'>
} = {
  address: { type: 'string', description: 'IP address of the host.' },
  port: { type: 'string', description: "Port of the host's SSH server; 22 if absent." },
  key: {
    type: 'string',
    description:
      "The host's public key, as in /etc/ssh/ssh_host_ed25519_key.pub: the type and the base64. Required.",
  },
}

type PinCall = Call<typeof fields>

function nameOf({ fields: { address, port } }: PinCall): string {
  const known = parseAddress(address)
  if (!known) throw badRequest(`invalid IP ${JSON.stringify(address)}`)
  const number = port === '' ? DEFAULT_PORT : Number(port)
  if (!/^(?:[1-9][0-9]{0,4})?$/.test(port) || number > 65_535) throw badRequest('invalid port')
  return pinName(known.text, number)
}

function set(call: PinCall): Outcome {
  const name = nameOf(call)
  const { key: text } = call.fields
  if (text.trim() === '') throw badRequest('missing key')
  try {
    const record = recordOf(parseAuthorizedKey(text), call.now, 'operator')
    return { writes: [call.store.put(name, encodeRecord(record))] }
  } catch (error) {
    if (error instanceof SshFormatError) throw badRequest(`invalid key: ${error.message}`)
    throw error
  }
}

function show(value: Uint8Array): Record<string, unknown> {
  const { key, pinnedAt, by } = decodeRecord<PinRecord>(value)
  return {
    fingerprint: fingerprint(parseAuthorizedKey(key).blob),
    key,
    pinned_at: new Date(pinnedAt).toISOString(),
    pinned_by: by,
  }
}

async function list(call: Call<typeof pageFields>): Promise<Outcome> {
  const names: string[] = []
  for (let after = ''; ; ) {
    const page = await call.store.list(PINS, after)
    names.push(...page.map((name) => name.slice(PINS.length)))
    const last = page.at(-1)
    if (last === undefined) break
    after = last
  }
  const keys = pageOf(names, call.fields)
  const entries = await Promise.all(keys.map((name) => call.store.get(PINS + name)))
  const info = keys.map((name, index) => {
    const entry = entries[index]
    return [name, entry && { fingerprint: show(entry.value)['fingerprint'] }] as const
  })
  return { data: { keys, key_info: Object.fromEntries(info) } }
}

export const hostPinPaths: readonly Path[] = [
  declarePath({
    pattern: 'host-pins',
    fields: pageFields,
    operations: { list },
    synopsis: 'The pinned host keys.',
    description: 'Lists address and port of each host whose key is pinned, with the fingerprint.',
  }),
  declarePath({
    pattern: 'host-pins/:address(/:port)',
    fields,
    sudo: ['update', 'delete'],
    operations: {
      read: async (call) => {
        const entry = await call.store.get(nameOf(call))
        if (!entry) throw absent()
        return { data: show(entry.value) }
      },
      update: set,
      delete: (call) => ({ writes: [call.store.remove(nameOf(call))] }),
    },
    synopsis: 'The pinned key of a host.',
    description:
      'Roles with host_key_policy `tofu` pin the key that a host shows at first contact and refuse another one ever after. A host that was given ' +
      'new keys is let in again by writing its new key here, or by deleting the pin: then the next contact is the first. ' +
      'Pins also stand in for host_keys that a role does not have, so that a `strict` role can use hosts pinned here.',
  }),
]
