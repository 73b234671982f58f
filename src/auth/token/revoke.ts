/** auth/token/revoke*: the end of a token, of its children and of all that they were given (contract 3.3). */
import { badRequest } from '../../errors.ts'
import type { Caller, Outcome } from '../../mount/call.ts'
import type { Path } from '../../mount/path.ts'
import { declarePath } from '../../mount/path.ts'
import { readByAccessor } from '../../token/token-store.ts'
import { accessorField, tokenField } from './lookup.ts'
import type { TokenServices } from './services.ts'

export function revokePaths(services: TokenServices): Path[] {
  return [
    declarePath({
      pattern: 'revoke-self',
      fields: {},
      operations: {
        update: async (call) => {
          await services.revokeToken((call.caller as Caller).tokenId)
          return {}
        },
      },
      actsItself: true,
      synopsis: "Revokes the caller's own token.",
      description: 'The token, its children, and every lease made with them end at once.',
    }),
    declarePath({
      pattern: 'revoke',
      fields: tokenField,
      operations: {
        update: async (call) => {
          if (call.fields.token === '') throw badRequest('missing token ID')
          await services.revokeToken(services.hmac(call.fields.token))
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
      fields: accessorField,
      operations: { update: (call) => revokeAccessor(services, call.fields.accessor, call.now) },
      actsItself: true,
      synopsis: 'Revokes the token of an accessor.',
      description: 'As revoke, for somebody who has only the accessor.',
    }),
    declarePath({
      pattern: 'revoke-orphan',
      fields: tokenField,
      operations: {
        update: async (call) => {
          if (call.fields.token === '') throw badRequest('missing token ID')
          const id = services.hmac(call.fields.token)
          if (!(await services.exists(call.fields.token)))
            throw badRequest('token to revoke not found')
          await services.revokeTokenAlone(id)
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
  accessor: string,
  now: number,
): Promise<Outcome> {
  if (accessor === '') throw badRequest('missing accessor')
  const token = await readByAccessor(services.store, accessor, now)
  if (!token) return { warnings: ['No token found with this accessor'] }
  await services.revokeToken(token.id)
  return {}
}
