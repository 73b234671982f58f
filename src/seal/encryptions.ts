/** How many values were sealed under the current term, over all nodes, for `sys/key-status`: a figure to look at, not a limit. */
import type { Condition, Entry, Store, Write } from '../storage/store.ts'

export const ENCRYPTIONS_KEY = 'meta/encryptions'

/** A figure that is a little low is no reason to try longer. */
const TRIES = 5

interface Stored {
  readonly term: number
  readonly count: number
}

export async function readEncryptions(store: Store, term: number): Promise<number> {
  const [entry] = await store.get([ENCRYPTIONS_KEY])
  return countOf(entry, term)
}

/** What init stores: the values that a new cluster begins with are sealed too. */
export function encryptionsWrite(term: number, count: number): Write {
  const stored: Stored = { term, count }
  return { key: ENCRYPTIONS_KEY, value: Buffer.from(JSON.stringify(stored)) }
}

/** Adds `count` to what is stored for `term`; an older term's figure is replaced. */
export async function addEncryptions(store: Store, term: number, count: number): Promise<void> {
  if (count === 0) return
  for (let tries = 0; tries < TRIES; tries++) {
    const [entry] = await store.get([ENCRYPTIONS_KEY])
    const unchanged: Condition = { key: ENCRYPTIONS_KEY, is: entry ? entry.version : 'absent' }
    const write = encryptionsWrite(term, countOf(entry, term) + count)
    if ((await store.commit([write], [unchanged])).committed) return
  }
}

function countOf(entry: Entry | undefined, term: number): number {
  if (!entry) return 0
  const stored = JSON.parse(Buffer.from(entry.value).toString()) as Stored
  return stored.term === term ? stored.count : 0
}
