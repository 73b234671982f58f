/** The hosts of a mount, as others find them. */
import { decodeRecord, type StoreView } from '../../../storage/view.ts'

export interface HostRecord {
  readonly id: string
  readonly names: readonly string[]
  readonly addresses: readonly string[]
  readonly groups: readonly string[]
  readonly tags: readonly (readonly [key: string, value: string])[]
  /** Empty: any. */
  readonly accounts: readonly string[]
  readonly hostKeys: readonly string[]
  readonly state: 'active' | 'pending' | 'disabled'
}

export async function findHost(store: StoreView, id: string): Promise<HostRecord | undefined> {
  const entry = await store.get(`hosts/${id}`)
  return entry && decodeRecord<HostRecord>(entry.value)
}

/** The host with this id, name or address. */
export function resolveHost(store: StoreView, name: string): Promise<HostRecord | undefined> {
  return findHost(store, name)
}
