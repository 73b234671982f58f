/** `config/ca`: the mount's first CA key and default issuer (contract 6.2, Decisions 4 and 5). */
import { badRequest } from '../../../errors.ts'
import type { Call, Outcome } from '../../../mount/call.ts'
import { declarePath, type Path } from '../../../mount/path.ts'
import {
  existingIssuer,
  type KeyFields,
  type KeyRequest,
  keyFields,
  keyRequestOf,
  obtainKey,
} from './import.ts'
import {
  DEFAULT_REF,
  type IssuerIndex,
  issuerData,
  issuerIndex,
  issuerRemoval,
  type NewIssuer,
  newIssuer,
  removeIndex,
  resolveIssuer,
  showIssuer,
  usageOf,
} from './issuers.ts'

const ALREADY_EXISTS =
  'An issuer with the provided public key already exists, returning the existing issuer'

/**
 * Adds an issuer; one that has the key already is told instead, whatever its name. A key is of one usage for good: a host
 * that trusts it relies on that.
 */
export async function addIssuer(
  call: Call,
  index: IssuerIndex,
  request: KeyRequest,
  terms: Pick<NewIssuer, 'name' | 'usage' | 'isDefault'>,
): Promise<Outcome> {
  const existing = await existingIssuer(call.config, index, request)
  if (existing) {
    const usage = usageOf(existing)
    if (usage !== terms.usage) {
      throw badRequest(`an issuer with this key exists already, and its usage is ${usage}`)
    }
    return { data: await showIssuer(call.config, existing), warnings: [ALREADY_EXISTS] }
  }
  const obtained = await obtainKey(request)
  const { entry, writes } = newIssuer(call.config, index, { ...terms, ...obtained })
  return { data: issuerData(entry, obtained.publicKeyText), writes }
}

async function configure(call: Call<KeyFields>): Promise<Outcome> {
  const request = keyRequestOf(call)
  const index = await issuerIndex(call.config)
  const isKnown = (await existingIssuer(call.config, index, request)) !== undefined
  // A silent new default would lock every host out that trusts the old one.
  if (index.defaultId !== undefined && !isKnown) {
    throw badRequest('keys are already configured; delete them before reconfiguring')
  }
  return addIssuer(call, index, request, { name: '', usage: 'bare', isDefault: true })
}

async function removeAll(call: Call): Promise<Outcome> {
  const { issuers } = await issuerIndex(call.config)
  if (issuers.length === 0) return {}
  const removals = await Promise.all(issuers.map((entry) => issuerRemoval(call, entry)))
  return {
    warnings: [`Deleted ${issuers.length} issuers, including default issuer if configured.`],
    writes: [...removals.flat(), removeIndex(call.config)],
  }
}

export const configCaPath: Path = declarePath({
  pattern: 'config/ca',
  fields: keyFields,
  operations: {
    read: async (call) => {
      const entry = resolveIssuer(await issuerIndex(call.config), DEFAULT_REF)
      return { data: await showIssuer(call.config, entry) }
    },
    update: configure,
    delete: removeAll,
  },
  synopsis: 'The CA key that signs certificates.',
  description:
    'A write generates a key pair or imports one, once: as long as there is a default issuer, another key is refused. The public half goes to the hosts, ' +
    'in the file that TrustedUserCAKeys names. The private half is never shown. Deleting removes all issuers.',
})
