/** What a restored backup must not revive: spent passwords, revoked tokens, unwrapped responses (protocols 1.10). */
import { LEASE_PREFIX, readLease } from '../../lease/lease.ts'
import { MOUNTS_KEY } from '../../mount/mount-table.ts'
import type { RestoreMark } from '../../storage/backup.ts'
import { RESTORED_KEY } from '../../storage/path.ts'
import type { Store } from '../../storage/store.ts'
import { decodeRecord, keysUnder } from '../../storage/view.ts'
import { readToken, TOKEN_PREFIX } from '../../token/token-store.ts'
import type { Housekeeping } from '../housekeeping.ts'
import type { ServerLog } from '../parts.ts'
import type { Revocation } from './revocation.ts'

interface RestoredParts {
  readonly revocation: Revocation
  readonly housekeeping: Housekeeping
}

/** Runs at unseal, before requests are let in; a crash in between starts it again. */
export async function finishRestore(
  store: Store,
  log: ServerLog,
  { revocation, housekeeping }: RestoredParts,
): Promise<void> {
  const [mark, mounts] = await store.get([RESTORED_KEY, MOUNTS_KEY])
  if (!mark || !mounts) return
  const { keep_tokens: keepTokens, keep_accessor: kept } = decodeRecord<RestoreMark>(mark.value)
  for await (const key of keysUnder(store, LEASE_PREFIX)) {
    const id = key.slice(LEASE_PREFIX.length)
    const lease = await readLease(store, id)
    if (lease?.kind === 'secret') await revocation.endSoon(id)
  }
  for await (const key of keysUnder(store, TOKEN_PREFIX)) {
    const id = key.slice(TOKEN_PREFIX.length)
    const token = await readToken(store, id)
    if (token?.wrapping || !(keepTokens || (kept !== undefined && token?.accessor === kept))) {
      // Alone: the kept one must not go with its parent.
      await revocation.revokeTokenAlone(id)
    }
  }
  await housekeeping.restored()
  // Writing the mounts again takes a new generation.
  await store.commit([{ key: MOUNTS_KEY, value: mounts.value }, { key: RESTORED_KEY }], [])
  log.warn({ keepTokens }, 'this store was restored from a backup: its one-time passwords are gone')
}
