/**
 * Tokens in the store. A token lies under the HMAC of its text, so that no copy of the store yields one that
 * works. Its keys: `tok/<id>` (the record), `acc/<accessor>` (the id), `kin/<parent>/<child>` (the tree), and
 * those of its lease. A token that is being revoked has left `tok/` for `revoking/` (protocols 1.4): a commit
 * that needs its token makes the key's presence a condition.
 */
import type { Condition, Entry, Store, Write } from '../storage/store.ts'
import { decodeRecord, encodeRecord } from '../storage/view.ts'
import type { StoredToken, TokenRecord } from './token.ts'
import { isExpired, USED_UP } from './token.ts'

export const TOKEN_PREFIX = 'tok/'
export const ACCESSOR_PREFIX = 'acc/'
export const REVOKING_PREFIX = 'revoking/'
/** The sealed answer that a wrapping token stands for. */
const WRAPPED_PREFIX = 'wrap/'

export const tokenKey = (id: string): string => TOKEN_PREFIX + id
export const accessorKey = (accessor: string): string => ACCESSOR_PREFIX + accessor
export const revokingKey = (id: string): string => REVOKING_PREFIX + id
export const kinPrefix = (parentId: string): string => `kin/${parentId}/`
export const kinKey = (parentId: string, childId: string): string => kinPrefix(parentId) + childId
export const wrappedKey = (id: string): string => WRAPPED_PREFIX + id

const EMPTY = new Uint8Array(0)

/** By entry: the barrier gives the same one as long as the stored token is the same. */
const decoded = new WeakMap<Entry, StoredToken>()

export function decodeToken(id: string, entry: Entry): StoredToken {
  let token = decoded.get(entry)
  if (!token) {
    token = { ...decodeRecord<TokenRecord>(entry.value), id, version: entry.version }
    decoded.set(entry, token)
  }
  return token
}

/** The token at a storage id, expired ones included. */
export async function readToken(store: Store, id: string): Promise<StoredToken | undefined> {
  const [entry] = await store.get([tokenKey(id)])
  return entry && decodeToken(id, entry)
}

/** The token that an accessor names; undefined for an unknown or expired one. */
export async function readByAccessor(
  store: Store,
  accessor: string,
  now: number,
): Promise<StoredToken | undefined> {
  if (!/^[A-Za-z0-9]{1,64}$/.test(accessor)) return undefined
  const [entry] = await store.get([accessorKey(accessor)])
  if (!entry) return undefined
  const token = await readToken(store, decodeRecord<{ id: string }>(entry.value).id)
  return token && !isExpired(token, now) ? token : undefined
}

/** The writes that make a token, without its lease; the id must not be there yet. */
export function tokenCreation(
  id: string,
  record: TokenRecord,
): { writes: Write[]; conditions: Condition[] } {
  const writes: Write[] = [
    { key: tokenKey(id), value: encodeRecord(record) },
    { key: accessorKey(record.accessor), value: encodeRecord({ id }) },
  ]
  if (record.parentId !== undefined) {
    writes.push({ key: kinKey(record.parentId, id), value: EMPTY })
  }
  return { writes, conditions: [{ key: tokenKey(id), is: 'absent' }] }
}

/** A stored token with some fields changed. */
export function tokenUpdate(token: StoredToken, changes: Partial<TokenRecord>): Write {
  const { id, version: _version, ...record } = token
  return { key: tokenKey(id), value: encodeRecord({ ...record, ...changes }) }
}

/**
 * Takes one use of a token that has a limited number (protocols 3.5). Returns the token as it is now, or
 * undefined when it was used up or revoked meanwhile.
 */
export async function takeUse(store: Store, token: StoredToken): Promise<StoredToken | undefined> {
  for (let current: StoredToken | undefined = token; current !== undefined; ) {
    if (current.numUses === 0) return current
    if (current.numUses === USED_UP) return undefined
    const numUses: number = current.numUses === 1 ? USED_UP : current.numUses - 1
    const condition: Condition = { key: tokenKey(current.id), is: current.version }
    const result = await store.commit([tokenUpdate(current, { numUses })], [condition])
    const fresh = await readToken(store, current.id)
    // The version is read again: another use may already have followed this one.
    if (result.committed) return fresh && { ...fresh, numUses }
    current = fresh
  }
  return undefined
}
