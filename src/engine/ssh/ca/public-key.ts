/** `public_key` and `issuer/:ref/public_key`: the public halves as plain text, for anybody (contract 6.3). */

import { badRequest } from '../../../errors.ts'
import type { ConfigView, Outcome } from '../../../mount/call.ts'
import { declarePath, type Path } from '../../../mount/path.ts'
import { scopedKeyLines } from '../scope/scoped-issuer.ts'
import { issuerRefField } from './issuer-paths.ts'
import { DEFAULT_REF, issuerIndex, issuerOf, resolveIssuer } from './issuers.ts'

async function show(config: ConfigView, ref: string): Promise<Outcome> {
  const entry = resolveIssuer(await issuerIndex(config), ref)
  const { publicKeyText } = await issuerOf(config, entry)
  return asText(publicKeyText)
}

function asText(body: string): Outcome {
  return { bare: { body, contentType: 'text/plain' } }
}

async function showUsage(config: ConfigView, usage: string): Promise<Outcome> {
  if (usage === '' || usage === 'bare') return show(config, DEFAULT_REF)
  if (usage !== 'scoped') throw badRequest('usage is bare or scoped')
  const lines = await scopedKeyLines(config)
  return asText(lines.map((line) => `${line}\n`).join(''))
}

export const publicKeyPaths: readonly Path[] = [
  declarePath({
    pattern: 'public_key',
    fields: {
      usage: {
        type: 'lowercase',
        description:
          '`scoped` for the public keys of all scoped issuers, one a line: what hosts trust that certificates choose.',
      },
    },
    auth: 'none',
    operations: { read: (call) => showUsage(call.config, call.fields.usage) },
    synopsis: 'The public key of the default issuer, as plain text.',
    description:
      'For hosts that fetch what goes into the file named by TrustedUserCAKeys; needs no token.',
  }),
  declarePath({
    pattern: 'issuer/:issuer_ref/public_key',
    names: { issuer_ref: 'issuer' },
    fields: { issuer_ref: issuerRefField },
    auth: 'none',
    operations: { read: (call) => show(call.config, call.fields.issuer_ref) },
    synopsis: 'The public key of an issuer, as plain text.',
    description: 'As public_key, for the issuer that is named; needs no token.',
  }),
]
