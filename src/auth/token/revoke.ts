/** auth/token/revoke*: the end of a token, of its children and of all that they were given (contract 3.3). */
import { badRequest } from '../../errors.ts'
import type { Call, Caller, Outcome } from '../../mount/call.ts'
import type { Path } from '../../mount/path.ts'
import { declarePath } from '../../mount/path.ts'
import type { EndedGrants } from '../../token/revoke.ts'
import { readByAccessor } from '../../token/token-store.ts'
import { accessorField, tokenField } from './lookup.ts'
import type { TokenServices } from './services.ts'

const certificatesField = {
  revoke_certificates: {
    type: 'bool',
    description:
      'Whether the live SSH certificates that the tokens were given are revoked too. Absent: as each SSH mount says (`revoke_with_token` of config/certificates).',
  },
} as const
type CertificatesCall = Call<typeof certificatesField>

function grantsOf({ fields, data }: CertificatesCall): EndedGrants {
  if ((data.get('revoke_certificates') ?? undefined) === undefined) return 'by default'
  return fields.revoke_certificates ? 'all' : 'none'
}

export function revokePaths(services: TokenServices): Path[] {
  return [
    declarePath({
      pattern: 'revoke-self',
      fields: certificatesField,
      operations: {
        update: async (call) => {
          await services.revokeToken((call.caller as Caller).tokenId, grantsOf(call))
          return {}
        },
      },
      actsItself: true,
      synopsis: "Revokes the caller's own token.",
      description: 'The token, its children, and every lease made with them end at once.',
    }),
    declarePath({
      pattern: 'revoke',
      fields: { ...tokenField, ...certificatesField },
      operations: {
        update: async (call) => {
          if (call.fields.token === '') throw badRequest('missing token ID')
          await services.revokeToken(services.hmac(call.fields.token), grantsOf(call))
          return {}
        },
      },
      actsItself: true,
      synopsis: 'Revokes a token with all below it.',
      description:
        'The token, its children, and every lease made with them end at once. An unknown token is a success.',
    }),
    declarePath({
      pattern: 'revoke-accessor',
      fields: { ...accessorField, ...certificatesField },
      operations: { update: (call) => revokeAccessor(services, call) },
      actsItself: true,
      synopsis: 'Revokes the token of an accessor.',
      description: 'As revoke, for somebody who has only the accessor.',
    }),
    declarePath({
      pattern: 'revoke-orphan',
      fields: { ...tokenField, ...certificatesField },
      operations: {
        update: async (call) => {
          if (call.fields.token === '') throw badRequest('missing token ID')
          const id = services.hmac(call.fields.token)
          if (!(await services.exists(call.fields.token)))
            throw badRequest('token to revoke not found')
          await services.revokeTokenAlone(id, grantsOf(call))
          return {}
        },
      },
      sudo: 'all',
      actsItself: true,
      synopsis: 'Revokes a token and spares its children.',
      description: 'The children become orphans and live on. Needs sudo.',
    }),
  ]
}

async function revokeAccessor(
  services: TokenServices,
  call: Call<typeof accessorField & typeof certificatesField>,
): Promise<Outcome> {
  const { accessor } = call.fields
  if (accessor === '') throw badRequest('missing accessor')
  const token = await readByAccessor(services.store, accessor, call.now)
  if (!token) return { warnings: ['No token found with this accessor'] }
  await services.revokeToken(token.id, grantsOf(call))
  return {}
}
