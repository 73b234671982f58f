/** sys/policies/acl and the old sys/policy: policies by name (contract 2.3). */
import { rfc3339 } from '../clock.ts'
import { parseDuration } from '../duration.ts'
import { badRequest, PosternError } from '../errors.ts'
import type { Call, Outcome } from '../mount/call.ts'
import { RFC_3339 } from '../mount/field.ts'
import type { Path } from '../mount/path.ts'
import { declarePath } from '../mount/path.ts'
import { isPolicyName, normalizePolicyName } from '../policy/name.ts'
import { decodePolicyText, parsePolicy } from '../policy/parse.ts'
import type { PolicyRecord, StoredPolicy } from '../policy/stored-policy.ts'
import { decodePolicy, encodePolicy, POLICY_PREFIX, policyKey } from '../policy/stored-policy.ts'
import { keysUnder } from '../storage/view.ts'
import type { SysServices } from './services.ts'

const policyFields = {
  name: { type: 'string', description: 'Name of the policy; capitals become small letters.' },
  policy: { type: 'string', description: 'Text of the policy, HCL or JSON, or base64 of it.' },
  rules: { type: 'string', description: 'Old name of "policy".' },
  ttl: { type: 'string', description: 'Life of the policy; without it, it stays.' },
  expiration: { type: 'string', description: 'End of the policy, RFC 3339.' },
  cas: {
    type: 'int',
    default: -1,
    description: 'Version that the stored policy must have; 0 = none.',
  },
  cas_required: { type: 'bool', description: 'Later writes must give "cas".' },
} as const

type PolicyCall = Call<typeof policyFields>

export function policyPaths(services: SysServices): Path[] {
  return [
    declarePath({
      pattern: 'policies/acl',
      fields: {},
      operations: { list: async () => ({ data: { keys: await listPolicies(services) } }) },
      synopsis: 'Lists the policies.',
      description: 'All names in order; "root", which has no text, comes last.',
    }),
    declarePath({
      pattern: 'policies/acl/:name',
      names: { name: 'visible' },
      foldsCase: ['name'],
      fields: policyFields,
      operations: writeOperations(services, 'policy'),
      synopsis: 'Reads, writes or deletes a policy.',
      description: 'A policy says which capabilities its holder has on which paths.',
    }),
    declarePath({
      pattern: 'policy',
      fields: {},
      operations: { read: () => listOld(services), list: () => listOld(services) },
      topLevelCopy: true,
      synopsis: 'Lists the policies, in the old form.',
      description: 'As policies/acl, with the names under "policies" too.',
    }),
    declarePath({
      pattern: 'policy/:name',
      names: { name: 'visible' },
      foldsCase: ['name'],
      fields: policyFields,
      operations: writeOperations(services, 'rules'),
      topLevelCopy: true,
      synopsis: 'Reads, writes or deletes a policy, in the old form.',
      description: 'As policies/acl, with the text under "rules" when it is read.',
    }),
  ]
}

function writeOperations(services: SysServices, textName: 'policy' | 'rules') {
  return {
    read: (call: PolicyCall) => readPolicy(services, call, textName),
    update: (call: PolicyCall) => writePolicy(services, call, textName),
    delete: (call: PolicyCall) => deletePolicy(call),
  }
}

async function listPolicies(services: SysServices): Promise<string[]> {
  const keys: string[] = []
  for await (const key of keysUnder(services.store, POLICY_PREFIX))
    keys.push(key.slice(POLICY_PREFIX.length))
  return [...keys, 'root']
}

async function listOld(services: SysServices): Promise<Outcome> {
  const keys = await listPolicies(services)
  return { data: { keys, policies: keys } }
}

async function stored(services: SysServices, name: string): Promise<StoredPolicy | undefined> {
  const [entry] = await services.store.get([policyKey(name)])
  return entry && decodePolicy(entry.value)
}

async function readPolicy(
  services: SysServices,
  call: PolicyCall,
  textName: string,
): Promise<Outcome> {
  const name = normalizePolicyName(call.fields.name)
  const policy = name === 'root' ? undefined : await stored(services, name)
  if (!policy && name !== 'root') throw new PosternError('not_found', undefined, { messages: [] })
  return {
    data: {
      allow_slashes_in_identity_templates: false,
      allow_wildcards_in_identity_templates: false,
      cas_required: policy?.casRequired ?? false,
      ...(policy ? { modified: policy.modified } : {}),
      ...(policy?.expiration === undefined ? {} : { expiration: policy.expiration }),
      name,
      [textName]: policy?.text ?? '',
      version: policy?.version ?? 0,
    },
  }
}

async function writePolicy(
  services: SysServices,
  call: PolicyCall,
  textName: 'policy' | 'rules',
): Promise<Outcome> {
  const { fields } = call
  const name = normalizePolicyName(fields.name)
  if (name === 'root' || name === 'response-wrapping') {
    throw badRequest(`cannot update ${JSON.stringify(name)} policy`)
  }
  if (!isPolicyName(name)) {
    throw badRequest('a policy name holds printable ASCII without blanks, at most 512 characters')
  }
  const usesOldName = textName === 'rules' && fields.policy === '' && fields.rules !== ''
  const given = usesOldName ? fields.rules : fields.policy
  if (given === '') throw badRequest("'policy' parameter not supplied or empty")
  const text = decodePolicyText(given)
  const warnings = [...parsePolicy(name, text).warnings]
  const current = await stored(services, name)
  checkCas(fields.cas, current)
  const expiration = expirationOf(call)
  const record: PolicyRecord = {
    name,
    text,
    version: (current?.version ?? 0) + 1,
    casRequired: fields.cas_required,
    modified: rfc3339(call.now),
    ...(expiration === undefined ? {} : { expiration }),
  }
  if (name !== fields.name) warnings.push(`policy name was converted to ${name}`)
  if (usesOldName) warnings.push("'rules' is deprecated, please use 'policy' instead")
  return { warnings, writes: [{ key: policyKey(name), value: encodePolicy(record) }] }
}

function checkCas(cas: number, current: StoredPolicy | undefined): void {
  if (cas < 0) {
    if (!current?.casRequired) return
    throw badRequest('check-and-set parameter required for this call')
  }
  if (cas !== (current?.version ?? 0)) {
    throw badRequest('check-and-set parameter did not match the current version')
  }
}

function expirationOf({ fields, now }: PolicyCall): string | undefined {
  if (fields.expiration !== '') {
    const time = RFC_3339.test(fields.expiration) ? Date.parse(fields.expiration) : Number.NaN
    if (Number.isNaN(time)) throw badRequest('expiration is not an RFC 3339 time')
    if (time <= now) throw badRequest('expiration lies in the past')
    return rfc3339(time)
  }
  if (fields.ttl === '') return undefined
  try {
    const seconds = parseDuration(fields.ttl)
    if (seconds <= 0) throw new RangeError('ttl must be positive')
    return rfc3339(now + seconds * 1000)
  } catch (error) {
    throw badRequest((error as Error).message)
  }
}

function deletePolicy({ fields }: PolicyCall): Outcome {
  const name = normalizePolicyName(fields.name)
  if (name === 'root' || name === 'response-wrapping') {
    throw badRequest(`cannot delete ${JSON.stringify(name)} policy`)
  }
  if (name === 'default') throw badRequest('cannot delete default policy')
  return { writes: [{ key: policyKey(name) }] }
}
