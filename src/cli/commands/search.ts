/** Searches whose answers come in pages: the server tells where it has stopped looking. */
import { isObject, type JsonObject } from '../../client/json.ts'
import { envelopeOf, texts } from '../../client/reply.ts'
import { parseDuration } from '../../duration.ts'
import type { Session } from '../session.ts'

export interface Search {
  /** What a failure says was being done. */
  readonly doing: string
  readonly path: string
  readonly query: ReadonlyMap<string, readonly string[]>
  readonly limit: number
}

export interface SearchResult {
  readonly records: readonly JsonObject[]
  /** Where to go on, when there may be more than the limit. */
  readonly next: string | undefined
}

/** Asks on until there are as many as wanted, or no more. */
export async function searchRecords(
  session: Session,
  { doing, path, query, limit }: Search,
): Promise<SearchResult> {
  const sent = new Map([...query, ['list', ['true']] as const])
  const records: JsonObject[] = []
  for (;;) {
    sent.set('limit', [String(limit - records.length)])
    const reply = await session.askMaybe(doing, 'GET', path, { query: sent })
    const data = (reply && envelopeOf(reply)?.data) ?? {}
    const info = isObject(data['key_info']) ? data['key_info'] : {}
    records.push(
      ...texts(data['keys'])
        .map((key) => info[key])
        .filter(isObject),
    )
    const next = typeof data['next'] === 'string' ? data['next'] : undefined
    if (next === undefined || records.length >= limit) return { records, next }
    sent.set('after', [next])
  }
}

/** A length of time means so long ago. */
export function timeOf(value: string): string {
  if (!/^[0-9.]+[a-z]/.test(value)) return value
  try {
    return String(Math.floor(Date.now() / 1000 - parseDuration(value)))
  } catch {
    return value
  }
}
