/** What sys/wrapping/* does with stored wrapping tokens. */

import { leaseRemoval } from '../../lease/lease.ts'
import type { Outcome } from '../../mount/call.ts'
import type { Store, Write } from '../../storage/store.ts'
import { decodeRecord } from '../../storage/view.ts'
import type { WrappedContent, WrappingServices } from '../../sys/services.ts'
import { isExpired, tokenLeaseId } from '../../token/token.ts'
import { accessorKey, decodeToken, tokenKey, wrappedKey } from '../../token/token-store.ts'
import { wrapContent, wrappedResponse } from './answer.ts'

interface WrappingParts {
  readonly store: Store
  hmac(secret: string): string
}

export function wrappingServices(parts: WrappingParts): WrappingServices {
  return {
    read: (text, now) => readContent(parts, text, now),
    spend,
    rewrap: (content, now) => rewrap(parts, content, now),
  }
}

async function readContent(
  parts: WrappingParts,
  text: string,
  now: number,
): Promise<WrappedContent | undefined> {
  const id = parts.hmac(text)
  const [entry, content] = await parts.store.get([tokenKey(id), wrappedKey(id)])
  const token = entry && decodeToken(id, entry)
  if (!token?.wrapping || !content || isExpired(token, now)) return undefined
  return { token, wrapping: token.wrapping, text: decodeRecord<string>(content.value) }
}

/** Token and content go in one conditional commit: of two that unwrap, one wins (protocols 3.5). */
function spend({ token }: WrappedContent): Pick<Outcome, 'writes' | 'conditions'> {
  const leaseId = tokenLeaseId(token.path, token.id)
  const writes: Write[] = [
    { key: tokenKey(token.id) },
    { key: wrappedKey(token.id) },
    { key: accessorKey(token.accessor) },
    ...leaseRemoval({ id: leaseId, expiresAt: token.expiresAt, tokenId: token.id }),
  ]
  return { writes, conditions: [{ key: tokenKey(token.id), is: token.version }] }
}

function rewrap(
  parts: WrappingParts,
  content: WrappedContent,
  now: number,
): Pick<Outcome, 'writes' | 'conditions' | 'issuedKeys' | 'replay'> {
  const spent = spend(content)
  const wrapped = wrapContent(parts, now, content.text, content.wrapping)
  return {
    writes: [...(spent.writes ?? []), ...wrapped.writes],
    conditions: [...(spent.conditions ?? []), ...wrapped.conditions],
    issuedKeys: wrapped.writes.map(({ key }) => key),
    replay: JSON.stringify(wrappedResponse(wrapped.info)),
  }
}
