/** The tree of tokens, for what asks about more than one (contract 3.1). */
import type { Store } from '../storage/store.ts'
import { decodeRecord, keysUnder } from '../storage/view.ts'
import { accessorKey, kinPrefix } from './token-store.ts'

export interface TokenTree {
  /** Storage id of the token that an accessor names, be it expired. */
  idOf(accessor: string): Promise<string | undefined>
  /** The token itself, and all below it that are there. */
  below(tokenId: string): AsyncGenerator<string>
}

export function tokenTree(store: Store): TokenTree {
  return {
    idOf: async (accessor) => {
      if (!/^[A-Za-z0-9]{1,64}$/.test(accessor)) return undefined
      const [entry] = await store.get([accessorKey(accessor)])
      return entry && decodeRecord<{ id: string }>(entry.value).id
    },
    below: async function* (tokenId) {
      const waiting = [tokenId]
      for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
        yield id
        const prefix = kinPrefix(id)
        for await (const key of keysUnder(store, prefix)) waiting.push(key.slice(prefix.length))
      }
    },
  }
}
