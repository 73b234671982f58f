/** Requests for the fuzzer of the core: mostly such as a handler accepts, always with something odd among them. */
import fc from 'fast-check'
import type { Request } from '../../src/core/request/request.ts'
import type { FieldType } from '../../src/mount/field.ts'
import type { Backend, Path } from '../../src/mount/path.ts'

/** Where the fuzzed core has its backends. */
export const MOUNTS: Readonly<Record<string, string>> = {
  system: 'sys/',
  token: 'auth/token/',
  cubbyhole: 'cubbyhole/',
  ssh: 'ssh/',
}

const WEIGHTS: Readonly<Record<string, number>> = { system: 4, token: 3, cubbyhole: 1, ssh: 6 }
const OPERATIONS: readonly Request['operation'][] = [
  'read',
  'update',
  'delete',
  'list',
  'scan',
  'patch',
  'help',
  'header',
  'options',
]
const PUBLIC_KEY =
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f'

/** What stands for something in the core of a run: texts of this form are replaced, in names of members too. */
const KNOWN = {
  otp: '$0',
  lease: '$1',
  token: '$2',
  accessor: '$3',
  wrapping: '$4',
  wrappingAccessor: '$5',
  unsealKey: '$6',
  fresh: '$7',
} as const

export interface Shot {
  readonly operation: Request['operation']
  readonly path: string
  readonly data: ReadonlyMap<string, unknown>
  /** Index of a token of the run; 0 is root. */
  readonly token: number
  readonly wrapTtlSeconds: number | undefined
  readonly address: string
}

/** Requests to any path of these backends. */
export function anyShot(backends: readonly Backend[]): fc.Arbitrary<Shot> {
  return fc.oneof(
    ...backends.map(({ type, paths }) => ({
      weight: WEIGHTS[type] ?? 0,
      arbitrary: fc.oneof(...paths.map((path) => shotAt(MOUNTS[type] ?? '', path))),
    })),
  )
}

const known = fc.constantFrom(...Object.values(KNOWN))
const oddText = fc.oneof(
  fc.constantFrom('', '\0', 'a\0b', '__proto__', 'constructor', '..', '/', '-1', '1h', '1e999'),
  fc.constantFrom('x'.repeat(600), 'é'.repeat(300), '\ud800', '{{identity.entity.id}}', '{{', '*'),
  fc.constantFrom('path "a" {', '{"path":{"*":{"capabilities":["deny"]}}}', '-----BEGIN A-----'),
  fc.constantFrom('ed25519', 'otp', 'ca', 'host', 'root', 'default', 'web', 'sign', '10.0.0.1'),
  fc.string({ unit: 'binary', maxLength: 12 }),
)
const oddValue = fc.letrec((tie) => ({
  any: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    oddText,
    known,
    fc.oneof(fc.boolean(), fc.double(), fc.integer(), fc.constant(null)),
    fc.array(tie('any'), { maxLength: 3 }),
    fc.dictionary(fc.oneof(oddText, known), tie('any'), { maxKeys: 3 }),
  ),
})).any

const BY_TYPE: Partial<Readonly<Record<FieldType, readonly unknown[]>>> = {
  string: ['', 'a'],
  lowercase: ['', 'a'],
  int: [0, 1, 5, 32, -1],
  bool: [true, false],
  duration: ['1h', '30s', 3600, 0],
  map: [{}, { default_lease_ttl: '1h' }],
  'string-map': [{}, { 'permit-pty': '' }],
  'kv-pairs': [{}, { version: '1' }],
  'comma-list': ['web', 'sign,web', '10.0.0.1', 'sys/mounts'],
  'string-list': [['default'], ['root'], ['none', 'default'], []],
}

/** What handlers take, by the name of a field or of a part of the path. */
const BY_NAME: Readonly<Record<string, readonly unknown[]>> = {
  public_key: [PUBLIC_KEY],
  ip: ['10.0.0.1', '10.9.9.9', '192.0.2.1'],
  username: ['ubuntu'],
  default_user: ['ubuntu'],
  allowed_users: ['ubuntu', '*'],
  valid_principals: ['ubuntu', ''],
  cidr_list: ['10.0.0.0/8'],
  cert_type: ['user', 'host'],
  otp: [KNOWN.otp],
  token: [KNOWN.token, KNOWN.wrapping, KNOWN.fresh],
  accessor: [KNOWN.accessor, KNOWN.wrappingAccessor],
  lease_id: [KNOWN.lease],
  url_lease_id: [KNOWN.lease],
  prefix: ['ssh/creds/web', 'ssh', 'auth/token'],
  key: [KNOWN.unsealKey],
  key_type: ['otp', 'ca', 'ed25519'],
  role: ['web', 'web', 'sign', 'other'],
  issuer_ref: ['default', 'other'],
  issuer_name: ['other'],
  name: ['default', 'mine', 'mine'],
  policies: [['default'], ['mine'], ['root']],
  policy: ['path "*" { capabilities = ["read"] }', 'path "a" { min_wrapping_ttl = "1h" }'],
  ttl: ['1h', '30m', '0'],
  explicit_max_ttl: ['2h', ''],
  period: ['1h', ''],
  type: ['ssh', 'cubbyhole', 'token', 'service', 'file'],
  path: ['ssh', 'new', 'cubbyhole', 'token'],
  from: ['ssh', 'new'],
  to: ['moved', 'ssh'],
  source: ['all', 'platform'],
  format: ['hex', 'base64', 'prometheus'],
  urlbytes: ['16'],
  algorithm: ['sha2-256'],
  urlalgorithm: ['sha2-512'],
  header: ['x-a'],
}

function fieldValue(name: string, type: FieldType): fc.Arbitrary<unknown> {
  const sane = BY_NAME[name] ?? BY_TYPE[type]
  if (sane === undefined) return oddValue
  return fc.oneof(
    { weight: 15, arbitrary: fc.constantFrom(...sane) },
    { weight: 1, arbitrary: oddValue },
  )
}

function nameInPath(name: string): fc.Arbitrary<string> {
  const sane = BY_NAME[name] as readonly string[] | undefined
  return fc.oneof(
    { weight: 12, arbitrary: sane ? fc.constantFrom(...sane) : known },
    { weight: 1, arbitrary: known },
    { weight: 1, arbitrary: oddText },
  )
}

function fieldsOf(path: Path): fc.Arbitrary<ReadonlyMap<string, unknown>> {
  const declared = Object.entries(path.fields).map(([name, { type }]) =>
    fc.tuple(fc.constant(name), fieldValue(name, type)),
  )
  const odd = fc.tuple(oddText, oddValue)
  const entry =
    declared.length === 0
      ? odd
      : fc.oneof({ weight: 12, arbitrary: fc.oneof(...declared) }, { weight: 1, arbitrary: odd })
  const some = fc.array(entry, { maxLength: 6 })
  // Few handlers go far with a field missing.
  const all = fc.tuple(...declared)
  return fc.oneof(some, all).map((entries) => withCheapKeys(path, new Map(entries)))
}

function shotAt(mount: string, path: Path): fc.Arbitrary<Shot> {
  const offered = Object.keys(path.operations) as Request['operation'][]
  const names = [...path.pattern.matchAll(/:([a-z_]+)\*?/g)].map(([, name = '']) => name)
  return fc.record({
    operation: fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom(...offered) },
      { weight: 1, arbitrary: fc.constantFrom(...OPERATIONS) },
    ),
    path: fc
      .tuple(fc.boolean(), fc.tuple(...names.map(nameInPath)))
      .map(([hasOptional, texts]) => fill(mount + path.pattern, hasOptional, texts)),
    data: fieldsOf(path),
    token: fc.constantFrom(...Array(12).fill(0), 1, 2, 3, 4),
    wrapTtlSeconds: fc.constantFrom(...Array(8).fill(undefined), 60, 0, 1e12),
    address: fc.constantFrom('127.0.0.1', '10.0.0.2', '::1', '2001:db8::1'),
  })
}

function fill(pattern: string, hasOptional: boolean, texts: readonly string[]): string {
  let at = 0
  return pattern
    .replace(/\((\/[^()]*)\)$/, hasOptional ? '$1' : '')
    .replace(/:[a-z_]+\*?/g, () => texts[at++] as string)
}

/** RSA keys take a second each to make. */
function withCheapKeys(path: Path, data: Map<string, unknown>): ReadonlyMap<string, unknown> {
  const type = data.get('key_type')
  if ('key_type' in path.fields && type !== 'ca' && type !== 'otp') data.set('key_type', 'ed25519')
  return data
}
