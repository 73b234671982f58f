/** `issuers`, `issuers/import`, `issuer/:ref` and `config/issuers`: several CA keys in one mount (contract 6.4). */
import { badRequest, refused } from '../../../errors.ts'
import type { Call, Outcome } from '../../../mount/call.ts'
import { declarePath, type Path } from '../../../mount/path.ts'
import { pageFields, pageOf } from '../page.ts'
import { findRole, ROLES } from '../role/role.ts'
import type { FieldOf } from '../role/role-fields.ts'
import { addIssuer } from './config-ca.ts'
import { keyFields, keyRequestOf } from './import.ts'
import {
  checkIssuerName,
  DEFAULT_REF,
  type IssuerEntry,
  type IssuerUsage,
  issuerIndex,
  issuerOf,
  issuerRemoval,
  lookUp,
  putIndex,
  resolveIssuer,
  showIssuer,
  usageOf,
} from './issuers.ts'

export const issuerRefField: FieldOf<'string'> = {
  type: 'string',
  description: '`default`, or the id or name of an issuer.',
  secret: false,
}

async function list(call: Call<typeof pageFields>): Promise<Outcome> {
  const { issuers, defaultId } = await issuerIndex(call.config)
  const keys = pageOf(
    issuers.map(({ id }) => id),
    call.fields,
  )
  const shown = issuers.filter(({ id }) => keys.includes(id))
  const info = shown.map(async (entry) => {
    const { publicKeyText } = await issuerOf(call.config, entry)
    const { id, name, usage } = entry
    return [
      id,
      {
        is_default: id === defaultId,
        issuer_name: name,
        public_key: publicKeyText,
        ...(usage && { usage }),
      },
    ] as const
  })
  return { data: { keys, key_info: Object.fromEntries(await Promise.all(info)) } }
}

const listPath = declarePath({
  pattern: 'issuers',
  fields: pageFields,
  operations: { list },
  synopsis: 'The issuers of this mount.',
  description: 'Lists the ids of all CA keys, with the name and the public key of each.',
})

const importPath = declarePath({
  pattern: 'issuers/import(/:issuer_name)',
  names: { issuer_name: 'issuer' },
  fields: {
    ...keyFields,
    set_default: { type: 'bool', description: 'Makes the issuer the default one.' },
    usage: {
      type: 'lowercase',
      default: 'bare',
      description:
        '`bare` signs the names that roles allow, `scoped` only certificates for chosen hosts; for good. A scoped issuer is never the default one.',
    },
  },
  operations: {
    update: async (call) => {
      const { issuer_name: name, set_default: isDefault } = call.fields
      const usage = usageNamed(call.fields.usage)
      if (isDefault && usage === 'scoped') throw badRequest(NEVER_DEFAULT)
      const index = await issuerIndex(call.config)
      if (name !== '') checkIssuerName(index, name)
      const request = keyRequestOf(call)
      const isFirst = index.issuers.every((other) => usageOf(other) !== usage)
      return addIssuer(call, index, request, { name, usage, isDefault: isDefault || isFirst })
    },
  },
  synopsis: 'Adds an issuer.',
  description:
    'Generates a CA key pair or imports one beside those that are there. The first issuer becomes the default one; later ones do with set_default.',
})

function usageNamed(text: string): IssuerUsage {
  if (text === 'bare' || text === 'scoped') return text
  throw badRequest('usage is bare or scoped')
}

const NEVER_DEFAULT = 'a scoped issuer is never the default one'

async function rename(call: Call<typeof issuerFields>): Promise<Outcome> {
  const { issuer_ref: ref, issuer_name: name } = call.fields
  const index = await issuerIndex(call.config)
  const entry = resolveIssuer(index, ref)
  if (name === '') throw badRequest('expected non-empty issuer name')
  checkIssuerName(index, name, entry.id)
  const renamed = { ...entry, name }
  const data = await showIssuer(call.config, renamed)
  if (entry.name === name) return { data }
  const issuers = index.issuers.map((one) => (one === entry ? renamed : one))
  return { data, writes: [putIndex(call.config, { ...index, issuers })] }
}

async function remove(call: Call<typeof issuerFields>): Promise<Outcome> {
  const ref = call.fields.issuer_ref
  const index = await issuerIndex(call.config)
  const entry = lookUp(index, ref)
  if (!entry) return {}
  const isDefault = entry.id === index.defaultId
  const isScoped = entry.id === index.scopedId
  const warnings = await referenceWarnings(call, entry, ref)
  if (isScoped) {
    warnings.unshift(
      `Deleted issuer ${entry.id} (via issuer_ref ${ref}); it signed the certificates for chosen hosts. None are signed until another scoped issuer is configured.`,
    )
  }
  if (isDefault) {
    warnings.unshift(
      `Deleted issuer ${entry.id} (via issuer_ref ${ref}); this was configured as the default issuer. Operations without an explicit issuer will not work until a new default is configured.`,
    )
  }
  const issuers = index.issuers.filter((one) => one !== entry)
  const defaultId = isDefault ? undefined : index.defaultId
  const scopedId = isScoped ? undefined : index.scopedId
  return {
    ...(warnings.length > 0 && { warnings }),
    writes: [
      ...(await issuerRemoval(call, entry)),
      putIndex(call.config, { defaultId, scopedId, issuers }),
    ],
  }
}

async function referenceWarnings(call: Call, entry: IssuerEntry, ref: string): Promise<string[]> {
  const names = await call.config.list(ROLES)
  const roles = await Promise.all(names.map((name) => findRole(call.config, name)))
  const count = roles.filter(
    (role) =>
      role?.keyType === 'ca' && (role.issuerRef === entry.id || role.issuerRef === entry.name),
  ).length
  return count === 0 ? [] : [`${count} roles reference '${ref}'`]
}

const issuerFields = {
  issuer_ref: issuerRefField,
  issuer_name: { type: 'string', description: 'New name of the issuer.' },
} as const

const issuerPath = declarePath({
  pattern: 'issuer/:issuer_ref',
  names: { issuer_ref: 'issuer' },
  fields: issuerFields,
  operations: {
    read: async (call) => {
      const entry = resolveIssuer(await issuerIndex(call.config), call.fields.issuer_ref)
      return { data: await showIssuer(call.config, entry) }
    },
    update: rename,
    delete: remove,
  },
  synopsis: 'One issuer: read, rename, delete.',
  description:
    'Certificates that a deleted issuer signed stay valid until they end, on every host that trusts its public key.',
})

async function configure(call: Call<typeof configFields>): Promise<Outcome> {
  const { default: defaultRef, scoped: scopedRef } = call.fields
  if (scopedRef === '') return setDefault(call, defaultRef)
  if (defaultRef !== '') throw badRequest('default and scoped are set one at a time')
  const index = await issuerIndex(call.config)
  const entry = resolveIssuer(index, scopedRef)
  if (usageOf(entry) !== 'scoped') throw badRequest(`issuer ${scopedRef} is not a scoped one`)
  return {
    data: { scoped: entry.id },
    writes: [putIndex(call.config, { ...index, scopedId: entry.id })],
  }
}

async function setDefault(call: Call, ref: string): Promise<Outcome> {
  if (ref === '' || ref === DEFAULT_REF) {
    throw badRequest("invalid issuer specification; must be non-empty and can't be 'default'.")
  }
  const index = await issuerIndex(call.config)
  const entry = lookUp(index, ref)
  if (!entry) {
    throw refused(`error resolving issuer reference: unable to find issuer for reference: ${ref}`)
  }
  if (usageOf(entry) === 'scoped') throw badRequest(NEVER_DEFAULT)
  const previous = index.defaultId
  if (previous === entry.id) {
    return { warnings: ['The default issuer is already set to the specified issuer.'] }
  }
  const warning = `Previous default (${previous}) has been updated with the issuer '${ref}' (resolved to ${entry.id})`
  return {
    data: { default: entry.id },
    ...(previous !== undefined && { warnings: [warning] }),
    writes: [putIndex(call.config, { ...index, defaultId: entry.id })],
  }
}

const configFields = {
  default: { type: 'string', description: 'Id or name of the issuer to be the default one.' },
  scoped: {
    type: 'string',
    description: 'Id or name of the scoped issuer that is to sign certificates for chosen hosts.',
  },
} as const

const configPath = declarePath({
  pattern: 'config/issuers',
  fields: configFields,
  operations: {
    read: async (call) => {
      const index = await issuerIndex(call.config)
      const { id } = resolveIssuer(index, DEFAULT_REF)
      return { data: { default: id, ...(index.scopedId && { scoped: index.scopedId }) } }
    },
    update: configure,
  },
  synopsis: 'Which issuers sign for roles that name none.',
  description:
    'The default issuer signs for all roles that name no other, and is what public_key shows. One of the scoped issuers, where there are any, signs what is for chosen hosts.',
})

export const issuerPaths: readonly Path[] = [listPath, importPath, issuerPath, configPath]
