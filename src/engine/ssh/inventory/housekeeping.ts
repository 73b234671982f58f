/** What happens to certificates and the KRL without a request for it: with the end of a token, and after a restore. */
import type { MountViews, TokenGrants } from '../../../mount/path.ts'
import { certificatesConfig } from './config.ts'
import { putHead, readHead } from './krl/store.ts'
import { tokenIndex } from './record.ts'
import { inTurn, revokeCertificates } from './revoke.ts'
import { liveUnder } from './revoke-path.ts'

/** The certificates of a token, as its end sees them (protocols 1.4). */
export const certificateGrants: TokenGrants = {
  endByDefault: async ({ config }) => (await certificatesConfig(config)).revokeWithToken,
  folder: tokenIndex,
  end: async (views, tokenId, last) => {
    const certificates = await liveUnder(views, tokenIndex(tokenId))
    await revokeCertificates(views, certificates, { reason: 'token revoked' }, last)
  },
}

/** Hosts may have seen versions since the backup: the list goes on above them (protocols 1.10). */
export function raiseKrlVersion({ store, now }: MountViews): Promise<void> {
  return inTurn(store, async () => {
    for (;;) {
      const { head, condition } = await readHead(store)
      const result = await store.commit([putHead(store, head, head.open, now)], [condition])
      if (result.committed) return
    }
  })
}
