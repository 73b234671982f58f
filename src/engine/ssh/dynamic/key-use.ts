/**
 * Which leases need an admin key: one empty record for each in the mount's data, written and removed with the
 * lease. A record that every new lease writes anew lets a deletion see that one came in between.
 */
import type { Condition, Write } from '../../../storage/store.ts'
import type { StoreView } from '../../../storage/view.ts'

const EMPTY = new Uint8Array(0)

const useFolder = (keyName: string): string => `key-use/${keyName}/`
const lastUse = (keyName: string): string => `key-used/${keyName}`

/** The writes that go with every new lease. */
export function noteUse(store: StoreView, keyName: string, leaseId: string): Write[] {
  return [store.put(useFolder(keyName) + leaseId, EMPTY), touch(store, keyName)]
}

/** The write that goes with the end of a lease. */
export function forgetUse(store: StoreView, keyName: string, leaseId: string): Write {
  return store.remove(useFolder(keyName) + leaseId)
}

function touch(store: StoreView, keyName: string): Write {
  return store.put(lastUse(keyName), EMPTY)
}

/** How many live leases need the key. */
export async function leasesWith(store: StoreView, keyName: string): Promise<number> {
  const folder = useFolder(keyName)
  let count = 0
  for (let after = ''; ; ) {
    const page = await store.list(folder, after)
    count += page.length
    const last = page.at(-1)
    if (last === undefined) return count
    after = last
  }
}

/** What makes a commit fail when a lease is begun with the key after this moment. */
export async function unusedSince(
  store: StoreView,
  keyName: string,
): Promise<{ readonly write: Write; readonly condition: Condition }> {
  const entry = await store.get(lastUse(keyName))
  // Written too, since only what is written can be held absent.
  return {
    write: touch(store, keyName),
    condition: store.when(lastUse(keyName), entry?.version ?? 'absent'),
  }
}
