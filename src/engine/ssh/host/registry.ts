/**
 * The hosts of a mount (protocols 5.2 and 5.4): one record each, found by id, name, key or address through indexes that change with
 * it in one commit. They are data, not configuration: ten thousand of them cost nothing until one is asked for.
 */
import { badRequest } from '../../../errors.ts'
import { parseAuthorizedKey } from '../../../ssh/key/authorized-keys.ts'
import { hexFingerprint } from '../../../ssh/key/fingerprint.ts'
import { isHostId } from '../../../ssh/scoped-name.ts'
import type { Condition, Entry, Write } from '../../../storage/store.ts'
import { decodeRecord, encodeRecord, type StoreView } from '../../../storage/view.ts'
import { parseAddress } from '../address.ts'

export const HOSTS = 'hosts/'
export const GROUP_INDEX = 'host-groups/'
export const TAG_INDEX = 'host-tags/'
const NAME_INDEX = 'host-names/'
const KEY_INDEX = 'host-keys/'
const ADDRESS_INDEX = 'host-addresses/'
/** An address that so many hosts share names none of them. */
const MAX_AT_ADDRESS = 5

export type HostState = 'active' | 'pending' | 'disabled'

export interface HostRecord {
  readonly id: string
  /** In small letters, each of one host alone. */
  readonly names: readonly string[]
  /** In canonical form. Several hosts may have the same. */
  readonly addresses: readonly string[]
  readonly groups: readonly string[]
  readonly tags: readonly (readonly [key: string, value: string])[]
  /** Users that may be logged in to. Empty: any. */
  readonly accounts: readonly string[]
  /** As in authorized_keys, without comment; each of one host alone. */
  readonly hostKeys: readonly string[]
  /** Names that its host certificates are for: an operator's, or a join token's. */
  readonly certificateNames: readonly string[]
  /** Only an `active` one is given anything. */
  readonly state: HostState
  /** Milliseconds since the epoch. */
  readonly createdAt: number
  /** Id of the join token that it came by; absent for one that an operator wrote. */
  readonly joinToken?: string
}

/** A record with what says that it has not changed since. */
export interface StoredHost {
  readonly host: HostRecord
  readonly condition: Condition
}

export async function findHost(store: StoreView, id: string): Promise<HostRecord | undefined> {
  return (await readHost(store, id))?.host
}

export async function readHost(store: StoreView, id: string): Promise<StoredHost | undefined> {
  if (!isHostId(id)) return undefined
  const entry = await store.get(HOSTS + id)
  return entry && stored(entry)
}

function stored({ key, value, version }: Entry): StoredHost {
  return { host: decodeRecord<HostRecord>(value), condition: { key, is: version } }
}

/**
 * The host with this id or name, else with this address; undefined where there is none. Refuses an address that
 * several have, and names them.
 */
export async function resolveHost(store: StoreView, text: string): Promise<HostRecord | undefined> {
  return (await resolveStored(store, text))?.host
}

/** The same, with what says that the host has not changed since. */
export async function resolveStored(
  store: StoreView,
  text: string,
): Promise<StoredHost | undefined> {
  const name = hostName(text)
  if (name !== undefined) {
    // An id is a name of its host: one read finds the record by it.
    const [own, named] = await store.getAll([HOSTS + name, NAME_INDEX + name])
    if (own) return stored(own)
    if (named) return readHost(store, decodeRecord<string>(named.value))
  }
  const address = parseAddress(text)?.text
  if (address === undefined) return undefined
  const folder = `${ADDRESS_INDEX}${address}/`
  const found = await store.list(folder, '', MAX_AT_ADDRESS)
  const ids = found.map((key) => key.slice(folder.length))
  if (ids.length > 1) {
    throw badRequest(`${address} is the address of several hosts: ${ids.join(', ')}; give an id`)
  }
  return ids[0] === undefined ? undefined : readHost(store, ids[0])
}

/** The id of the host that has one of these keys, or is called by one of these names; its id is one. */
export async function hostWith(
  store: StoreView,
  { hostKeys, names }: Pick<HostRecord, 'hostKeys' | 'names'>,
): Promise<string | undefined> {
  const keys = [...hostKeys.map(keyIndex), ...names.map((name) => NAME_INDEX + name)]
  const entry = (await store.getAll(keys)).find((one) => one !== undefined)
  return entry && decodeRecord<string>(entry.value)
}

/** Throws a 400 where a name or a key is another host's. */
export async function checkTaken(store: StoreView, host: HostRecord): Promise<void> {
  for (const part of [
    { hostKeys: host.hostKeys, names: [] },
    { hostKeys: [], names: [host.id, ...host.names] },
  ]) {
    const owner = await hostWith(store, part)
    if (owner !== undefined && owner !== host.id) {
      throw badRequest(`a ${part.names.length > 0 ? 'name' : 'key'} is that of the host ${owner}`)
    }
  }
}

/** A DNS name in the one form that is compared, or undefined: small letters, no final dot. */
export function hostName(text: string): string | undefined {
  const name = text.toLowerCase().replace(/\.$/, '')
  const isName = /^[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?)*$/
  return name.length <= 253 && isName.test(name) ? name : undefined
}

export interface HostChange {
  readonly writes: readonly Write[]
  readonly conditions: readonly Condition[]
}

/** Stores a host, new or in the place of the one that was read: indexes and record in one commit. */
export function putHost(store: StoreView, host: HostRecord, before?: StoredHost): HostChange {
  const old = before ? indexesOf(before.host) : NO_INDEXES
  const now = indexesOf(host)
  const isNew = (name: string, known: readonly string[]) => !known.includes(name)
  const own = now.own.filter((name) => isNew(name, old.own))
  const id = encodeRecord(host.id)
  return {
    writes: [
      store.put(HOSTS + host.id, encodeRecord(host)),
      ...own.map((name) => store.put(name, id)),
      ...now.shared.filter((name) => isNew(name, old.shared)).map((name) => store.put(name, EMPTY)),
      ...old.own.filter((name) => isNew(name, now.own)).map((name) => store.remove(name)),
      ...old.shared.filter((name) => isNew(name, now.shared)).map((name) => store.remove(name)),
    ],
    // Of two hosts that want one id, name or key at once, one is told that it is taken.
    conditions: [
      before?.condition ?? store.when(HOSTS + host.id, 'absent'),
      ...own.map((name) => store.when(name, 'absent')),
    ],
  }
}

export function removeHost(store: StoreView, { host, condition }: StoredHost): HostChange {
  const { own, shared } = indexesOf(host)
  const names = [HOSTS, STATES, REQUESTS].map((folder) => folder + host.id)
  const writes = [...names, ...own, ...shared].map((name) => store.remove(name))
  return { writes, conditions: [condition] }
}

/** What is written beside a host's record as it reports: it must not make the record's version move. */
export const STATES = 'host-states/'
/** Enrolments that wait for an operator, under the id of the host that is there already. */
export const REQUESTS = 'host-requests/'

const EMPTY = new Uint8Array(0)
const NO_INDEXES: Indexes = { own: [], shared: [] }

interface Indexes {
  /** For what one host alone may have. */
  readonly own: readonly string[]
  readonly shared: readonly string[]
}

function indexesOf({ id, names, hostKeys, addresses, groups, tags }: HostRecord): Indexes {
  return {
    // The id is a name too: nobody else may be called so.
    own: [...new Set([id, ...names])]
      .map((name) => NAME_INDEX + name)
      .concat(hostKeys.map(keyIndex)),
    shared: [
      ...addresses.map((address) => `${ADDRESS_INDEX}${address}/${id}`),
      ...groups.map((group) => `${GROUP_INDEX}${group}/${id}`),
      ...tags.map(([key, value]) => `${TAG_INDEX}${key}.${value}/${id}`),
    ],
  }
}

function keyIndex(line: string): string {
  return KEY_INDEX + hexFingerprint(parseAuthorizedKey(line).blob)
}
