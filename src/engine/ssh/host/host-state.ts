/** What a host was last seen to have: beside its record, and written seldom, since ten thousand hosts ask every minute. */
import type { Write } from '../../../storage/store.ts'
import { decodeRecord, encodeRecord, type StoreView } from '../../../storage/view.ts'
import { STATES } from './registry.ts'

const WRITE_EVERY_MS = 15 * 60_000

export interface HostStatus {
  /** Milliseconds since the epoch. */
  readonly lastSeen: number
  readonly remoteAddress: string
  /** Of the bundle that it was last given. */
  readonly bundleVersion?: number
  /** As the host reports them. */
  readonly krlVersion?: number
  readonly agentVersion?: string
  readonly sshVersion?: string
}

export async function readState(store: StoreView, id: string): Promise<HostStatus | undefined> {
  const entry = await store.get(STATES + id)
  return entry && decodeRecord<HostStatus>(entry.value)
}

/** The write that keeps what is new; none where it is known, and was written lately. */
export async function seen(
  store: StoreView,
  id: string,
  now: number,
  news: Omit<HostStatus, 'lastSeen'>,
): Promise<readonly Write[]> {
  const before = await readState(store, id)
  const after = { ...before, ...news }
  const isNew = (Object.keys(news) as (keyof typeof news)[]).some(
    (name) => before?.[name] !== after[name],
  )
  if (before && !isNew && now - before.lastSeen < WRITE_EVERY_MS) return []
  return [store.put(STATES + id, encodeRecord({ ...after, lastSeen: now } satisfies HostStatus))]
}

export function showState(state: HostStatus): Record<string, unknown> {
  return {
    ...(state.agentVersion !== undefined && { agent_version: state.agentVersion }),
    ...(state.bundleVersion !== undefined && { bundle_version: state.bundleVersion }),
    ...(state.krlVersion !== undefined && { krl_version: state.krlVersion }),
    last_seen: new Date(state.lastSeen).toISOString(),
    remote_address: state.remoteAddress,
    ...(state.sshVersion !== undefined && { ssh_version: state.sshVersion }),
  }
}
