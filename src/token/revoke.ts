/**
 * Revoking a token and all below it (protocols 1.4). The mark comes first: a token leaves `tok/` for `revoking/`,
 * so that it opens nothing and no child or lease can be committed under it any more; one look at what hangs on it
 * is then complete. A crash is resumed from the marks.
 */
import type { Condition, Store, Write } from '../storage/store.ts'
import { decodeRecord, encodeRecord, keysUnder } from '../storage/view.ts'
import { isExpired, type TokenRecord } from './token.ts'
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
  /** Where all of that lies: prefixes of keys. Whoever adds one has the token's presence as condition. */
  prefixes(tokenId: string, grants: EndedGrants): Promise<readonly string[]>
  /** Ends what the token was given and no lease ends. `last` is committed with the last of it, and in any case. */
  endGrants(tokenId: string, grants: EndedGrants, last: readonly Write[]): Promise<void>
  /** The writes that remove the token's own lease. */
  leaseRemoval(tokenId: string, record: TokenRecord): Write[]
}

/** Of what tokens were given and no lease ends, what goes with them: certificates. */
export type EndedGrants = 'none' | 'by default' | 'all'

/** A token on its way out, as `revoking/` holds it: what a crash has left is done in the same way. */
interface MarkedToken extends TokenRecord {
  /** Revoked alone: a crash must not make the revocation of a tree of it. */
  readonly sparesChildren?: true
  readonly grants?: EndedGrants
}

export interface TokenEnd {
  /** A token that does not end by then (milliseconds since the epoch) is spared. */
  readonly dueBy?: number
  readonly grants?: EndedGrants
}

/** Revokes a token, its children, their leases and cubbyholes. An unknown id is a success. */
export async function revokeTokenTree(
  store: Store,
  holdings: TokenHoldings,
  tokenId: string,
  { dueBy = Number.POSITIVE_INFINITY, grants = 'none' }: TokenEnd = {},
): Promise<void> {
  if (await removeLeaf(store, holdings, tokenId, { dueBy, grants })) return
  const marked: { id: string; record: MarkedToken }[] = []
  const waiting = [tokenId]
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    const record = await mark(store, id, id === tokenId ? { dueBy, grants } : { grants })
    if (!record) {
      // What it was given may be there still, long after its own end.
      if (id === tokenId && grants !== 'none') await holdings.endGrants(id, grants, [])
      continue
    }
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
  grants: EndedGrants = 'none',
): Promise<void> {
  const record = await mark(store, tokenId, { sparesChildren: true, grants })
  if (!record) return
  for await (const key of keysUnder(store, kinPrefix(tokenId))) {
    await orphan(store, key, key.slice(kinPrefix(tokenId).length))
  }
  await finish(store, holdings, tokenId, record)
}

/** Finishes what a crash left half revoked. */
export async function resumeRevocations(store: Store, holdings: TokenHoldings): Promise<void> {
  for await (const key of keysUnder(store, REVOKING_PREFIX)) {
    const id = key.slice(REVOKING_PREFIX.length)
    const [entry] = await store.get([key])
    if (!entry) continue
    const { sparesChildren, grants = 'none' } = decodeRecord<MarkedToken>(entry.value)
    if (sparesChildren) await revokeTokenAlone(store, holdings, id, grants)
    else await revokeTokenTree(store, holdings, id, { grants })
  }
}

/**
 * Removes a token on which nothing hangs, as most have it, in one commit: that nothing does is a condition of it, and
 * it needs no mark. False where there is more to do.
 */
async function removeLeaf(
  store: Store,
  holdings: TokenHoldings,
  id: string,
  { dueBy, grants }: Required<TokenEnd>,
): Promise<boolean> {
  const token = await readToken(store, id)
  if (!token || !isDue(token, dueBy)) return false
  const { id: _id, version, ...record } = token
  const result = await store.commit(
    [{ key: tokenKey(id) }, ...removalOf(holdings, id, record)],
    [
      { key: tokenKey(id), is: version },
      ...[kinPrefix(id), ...(await holdings.prefixes(id, grants))].map(isEmpty),
    ],
  )
  return result.committed
}

const isEmpty = (prefix: string): Condition => ({ key: prefix, is: 'empty' })

/** Not due any more: it was renewed meanwhile. Children end with their parent, whatever their own end. */
function isDue(token: TokenRecord, dueBy: number): boolean {
  return dueBy === Number.POSITIVE_INFINITY || isExpired(token, dueBy)
}

interface MarkOptions extends Pick<MarkedToken, 'sparesChildren' | 'grants'> {
  readonly dueBy?: number
}

/**
 * Takes the token out of use. Undefined when there is no such token; again the record when it is marked already, with
 * the grants of whichever mark ends more.
 */
async function mark(
  store: Store,
  id: string,
  { dueBy = Number.POSITIVE_INFINITY, ...how }: MarkOptions = {},
): Promise<MarkedToken | undefined> {
  for (;;) {
    const token = await readToken(store, id)
    if (!token) {
      const [entry] = await store.get([revokingKey(id)])
      if (!entry) return undefined
      const marked = decodeRecord<MarkedToken>(entry.value)
      if (extent(how.grants) <= extent(marked.grants)) return marked
      const value = encodeRecord({ ...marked, grants: how.grants })
      const key = revokingKey(id)
      const result = await store.commit([{ key, value }], [{ key, is: entry.version }])
      if (result.committed) return { ...marked, ...(how.grants && { grants: how.grants }) }
      continue
    }
    if (!isDue(token, dueBy)) return undefined
    const { id: _id, version, ...record } = token
    const result = await store.commit(
      [{ key: tokenKey(id) }, { key: revokingKey(id), value: encodeRecord({ ...record, ...how }) }],
      [{ key: tokenKey(id), is: version }],
    )
    if (result.committed) return { ...record, ...how }
  }
}

function extent(grants: EndedGrants = 'none'): number {
  return ['none', 'by default', 'all'].indexOf(grants)
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
  record: MarkedToken,
): Promise<void> {
  await holdings.revokeHeldLeases(id)
  await holdings.removeCubbyhole(id)
  const last = [...removalOf(holdings, id, record), { key: revokingKey(id) }]
  const { grants = 'none' } = record
  if (grants === 'none') await store.commit(last, [])
  else await holdings.endGrants(id, grants, last)
}

/** The writes that remove all of a token but its record. */
function removalOf(holdings: TokenHoldings, id: string, record: TokenRecord): Write[] {
  const writes: Write[] = [
    { key: accessorKey(record.accessor) },
    ...holdings.leaseRemoval(id, record),
    { key: wrappedKey(id) },
  ]
  if (record.parentId !== undefined) writes.push({ key: kinKey(record.parentId, id) })
  return writes
}
