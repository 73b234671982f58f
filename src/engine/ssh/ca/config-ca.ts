/** `config/ca`: the mount's first CA key and default issuer (contract 6.2, Decisions 4 and 5). */
import { badRequest } from '../../../errors.ts'
import type { Call, Outcome } from '../../../mount/call.ts'
import { declarePath, type Path } from '../../../mount/path.ts'
import { uuid } from '../../../random.ts'
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
  issuerIndex,
  putIndex,
  putIssuer,
  removeIndex,
  removeIssuer,
  resolveIssuer,
  showIssuer,
} from './issuers.ts'

const ALREADY_EXISTS =
  'An issuer with the provided public key already exists, returning the existing issuer'

/** Adds an issuer; one that has the key already is told instead, whatever its name. */
export async function addIssuer(
  call: Call,
  index: IssuerIndex,
  request: KeyRequest,
  { name, isDefault }: { readonly name: string; readonly isDefault: boolean },
): Promise<Outcome> {
  const existing = await existingIssuer(call.config, index, request)
  if (existing) {
    return { data: await showIssuer(call.config, existing), warnings: [ALREADY_EXISTS] }
  }
  const { key, publicKeyText } = await obtainKey(request)
  const entry = { id: uuid(), name }
  const issuers = [...index.issuers, entry].sort((one, other) => (one.id < other.id ? -1 : 1))
  const defaultId = isDefault ? entry.id : index.defaultId
  return {
    data: { issuer_id: entry.id, issuer_name: name, public_key: publicKeyText },
    writes: [
      putIssuer(call.config, entry.id, key, publicKeyText),
      putIndex(call.config, { defaultId, issuers }),
    ],
  }
}

async function configure(call: Call<KeyFields>): Promise<Outcome> {
  const request = keyRequestOf(call)
  const index = await issuerIndex(call.config)
  const isKnown = (await existingIssuer(call.config, index, request)) !== undefined
  // A silent new default would lock every host out that trusts the old one.
  if (index.defaultId !== undefined && !isKnown) {
    throw badRequest('keys are already configured; delete them before reconfiguring')
  }
  return addIssuer(call, index, request, { name: '', isDefault: true })
}

async function removeAll(call: Call): Promise<Outcome> {
  const { issuers } = await issuerIndex(call.config)
  if (issuers.length === 0) return {}
  return {
    warnings: [`Deleted ${issuers.length} issuers, including default issuer if configured.`],
    writes: [...issuers.map(({ id }) => removeIssuer(call.config, id)), removeIndex(call.config)],
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
