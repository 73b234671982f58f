/** `config/certificates`: what a mount does about the certificates that it has signed. */
import type { Call, ConfigView, Outcome } from '../../../mount/call.ts'
import { declarePath, type Path } from '../../../mount/path.ts'
import { decodeRecord, encodeRecord } from '../../../storage/view.ts'

const CONFIG = 'config/certificates'

export interface CertificatesConfig {
  /** A token that is revoked takes its certificates with it, unless the request says otherwise. */
  readonly revokeWithToken: boolean
  /** How long records of certificates stay that have ended. */
  readonly keepForSeconds: number
}

const DEFAULTS: CertificatesConfig = { revokeWithToken: false, keepForSeconds: 30 * 24 * 3600 }

export async function certificatesConfig(config: ConfigView): Promise<CertificatesConfig> {
  return (await config.get(CONFIG, decodeRecord<CertificatesConfig>)) ?? DEFAULTS
}

const fields = {
  revoke_with_token: {
    type: 'bool',
    description:
      'Whether the live certificates of a token are revoked when it is, where the revocation does not say (`revoke_certificates`). False if never set.',
  },
  keep_for: {
    type: 'duration',
    description: 'How long records stay of certificates that have ended; 30 days if never set.',
  },
} as const

async function update({ config, fields: sent, given }: Call<typeof fields>): Promise<Outcome> {
  const known = await certificatesConfig(config)
  const changed: CertificatesConfig = {
    revokeWithToken: given.has('revoke_with_token')
      ? sent.revoke_with_token
      : known.revokeWithToken,
    keepForSeconds: given.has('keep_for') ? sent.keep_for : known.keepForSeconds,
  }
  return { writes: [config.put(CONFIG, encodeRecord(changed))] }
}

export const configCertificatesPath: Path = declarePath({
  pattern: 'config/certificates',
  fields,
  operations: {
    read: async ({ config }) => {
      const { revokeWithToken, keepForSeconds } = await certificatesConfig(config)
      return { data: { keep_for: keepForSeconds, revoke_with_token: revokeWithToken } }
    },
    update,
  },
  synopsis: 'What happens to records of certificates, and to the certificates of a revoked token.',
  description: 'A write changes what it names and leaves the rest.',
})
