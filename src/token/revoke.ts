/**
 * Revoking a token and all below it (protocols 1.4). The mark comes first: a token leaves `tok/` for `revoking/`,
 * so that it opens nothing and no child or lease can be committed under it any more; one look at what hangs on it
 * is then complete. A crash is resumed from the marks.
 */
import type { Store, Write } from '../storage/store.ts'
import { decodeRecord, encodeRecord, keysUnder } from '../storage/view.ts'
import type { TokenRecord } from './token.ts'
import {
  accessorKey,
  kinKey,
  kinPrefix,
  REVOKING_PREFIX,
  readToken,
  revokingKey,
  tokenKey,
  tokenUpdate,
  wrappedKey,
} from './token-store.ts'

/** What hangs on a token besides its children; the core knows where. */
export interface TokenHoldings {
  /** Ends every lease that the token holds. */
  revokeHeldLeases(tokenId: string): Promise<void>
  /** Removes the token's cubbyhole. */
  removeCubbyhole(tokenId: string): Promise<void>
  /** The writes that remove the token's own lease. */
  leaseRemoval(tokenId: string, record: TokenRecord): Write[]
}

/** Revokes a token, its children, their leases and cubbyholes. An unknown id is a success. */
export async function revokeTokenTree(
  store: Store,
  holdings: TokenHoldings,
  tokenId: string,
): Promise<void> {
  const marked: { id: string; record: TokenRecord }[] = []
  const waiting = [tokenId]
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    const record = await mark(store, id)
    if (!record) continue
    marked.push({ id, record })
    for await (const key of keysUnder(store, kinPrefix(id)))
      waiting.push(key.slice(kinPrefix(id).length))
  }
  for (const { id, record } of marked.reverse()) await finish(store, holdings, id, record)
}

/** Revokes one token; its children become orphans. */
export async function revokeTokenAlone(
  store: Store,
  holdings: TokenHoldings,
  tokenId: string,
): Promise<void> {
  const record = await mark(store, tokenId)
  if (!record) return
  for await (const key of keysUnder(store, kinPrefix(tokenId))) {
    await orphan(store, key, key.slice(kinPrefix(tokenId).length))
  }
  await finish(store, holdings, tokenId, record)
}

/** Finishes what a crash left half revoked. */
export async function resumeRevocations(store: Store, holdings: TokenHoldings): Promise<void> {
  for await (const key of keysUnder(store, REVOKING_PREFIX)) {
    await revokeTokenTree(store, holdings, key.slice(REVOKING_PREFIX.length))
  }
}

/** Takes the token out of use. Undefined when there is no such token; again the record when it is marked already. */
async function mark(store: Store, id: string): Promise<TokenRecord | undefined> {
  for (;;) {
    const token = await readToken(store, id)
    if (!token) {
      const [entry] = await store.get([revokingKey(id)])
      return entry && decodeRecord<TokenRecord>(entry.value)
    }
    const { id: _id, version, ...record } = token
    const result = await store.commit(
      [{ key: tokenKey(id) }, { key: revokingKey(id), value: encodeRecord(record) }],
      [{ key: tokenKey(id), is: version }],
    )
    if (result.committed) return record
  }
}

async function orphan(store: Store, key: string, childId: string): Promise<void> {
  for (;;) {
    const child = await readToken(store, childId)
    if (!child) {
      await store.commit([{ key }], [])
      return
    }
    const { parentId: _parent, ...record } = child
    const result = await store.commit(
      [{ key }, tokenUpdate(record as typeof child, {})],
      [{ key: tokenKey(childId), is: child.version }],
    )
    if (result.committed) return
  }
}

async function finish(
  store: Store,
  holdings: TokenHoldings,
  id: string,
  record: TokenRecord,
): Promise<void> {
  await holdings.revokeHeldLeases(id)
  await holdings.removeCubbyhole(id)
  const writes: Write[] = [
    { key: accessorKey(record.accessor) },
    ...holdings.leaseRemoval(id, record),
    { key: wrappedKey(id) },
    { key: revokingKey(id) },
  ]
  if (record.parentId !== undefined) writes.push({ key: kinKey(record.parentId, id) })
  await store.commit(writes, [])
}
