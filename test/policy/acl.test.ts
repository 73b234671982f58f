/** Decisions by path: the recorded exchanges, the order among patterns, merging, templates, expiry. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Acl, type AclOperation, compileAcl } from '../../src/policy/acl.ts'
import { defaultPolicyText, responseWrappingPolicy, rootPolicy } from '../../src/policy/builtin.ts'
import { parsePolicy } from '../../src/policy/parse.ts'

const now = Date.UTC(2026, 0, 1)

function aclOf(...texts: string[]): Acl {
  const policies = texts.map((text, index) => parsePolicy(`p${index + 1}`, text))
  return compileAcl(policies, { now })
}

/** One rule a line: `path capability,capability`. */
function rules(...lines: string[]): string {
  return lines
    .map((line) => {
      const space = line.lastIndexOf(' ')
      const [path, capabilities] = [line.slice(0, space), line.slice(space + 1)]
      const list = capabilities === '' ? [] : capabilities.split(',')
      return `path "${path}" { capabilities = ${JSON.stringify(list)} }`
    })
    .join('\n')
}

const allows = (acl: Acl, operation: AclOperation, path: string): boolean =>
  acl.decide({ operation, path }).allowed

// The text of the recorded exchange policy.write.match.
const recorded = `
path "cubbyhole/*" { capabilities = ["create","read","update","delete","list"] }
path "secret/*" { capabilities = ["read"] }
path "secret/+/team" { capabilities = ["update","read"] }
path "secret/den*" { capabilities = ["deny"] }
path "ssh/sign/aws" { capabilities = ["update"]
  allowed_parameters = { "public_key" = [] "valid_principals" = ["ec2-user","app-*"] }
  denied_parameters = { "ttl" = [] }
  required_parameters = ["public_key"] }
path "ssh/creds/otp1" { capabilities = ["create","update"] }
path "ssh/creds/w" { capabilities = ["update"] min_wrapping_ttl = "1m" max_wrapping_ttl = "1h" }
path "sys/mounts" { capabilities = ["read","list"] }
path "sys/audit" { capabilities = ["read"] }
path "ssh/roles/*" { capabilities=["read","list"] }
`

describe('recorded exchanges', () => {
  const acl = aclOf(recorded, defaultPolicyText)

  const capabilities: [string, string[]][] = [
    ['secret/x', ['read']],
    ['secret/a/team', ['read', 'update']],
    ['secret/denied', ['deny']],
    ['ssh/sign/aws', ['update']],
    ['ssh/creds/otp1', ['create', 'update']],
    ['ssh/roles', ['deny']],
    ['ssh/roles/', ['list', 'read']],
    ['ssh/roles/a', ['list', 'read']],
    ['nope', ['deny']],
    ['sys/capabilities-self', ['update']],
    ['auth/token/lookup-self', ['read']],
  ]
  for (const [path, expected] of capabilities) {
    it(`capabilities.self: ${path}`, () => assert.deepEqual(acl.capabilities(path), expected))
  }

  const decisions: [string, AclOperation, string, boolean][] = [
    ['acl.allowed', 'read', 'sys/mounts', true],
    ['acl.denied', 'read', 'sys/auth', false],
    ['acl.list.no_slash_rule', 'list', 'ssh/roles/', true],
    ['acl.nomount', 'read', 'zzz/x', false],
  ]
  for (const [name, operation, path, expected] of decisions) {
    it(name, () => assert.equal(allows(acl, operation, path), expected))
  }

  it('acl.sudo_needed: the decision tells that sudo is missing', () => {
    const decision = acl.decide({ operation: 'read', path: 'sys/audit' })
    assert.deepEqual([decision.allowed, decision.hasSudo], [true, false])
  })

  const parameters: [string, Record<string, unknown>, boolean][] = [
    ['acl.param.ok_form', { public_key: 'x', valid_principals: 'app-1' }, true],
    ['acl.param.denied', { public_key: 'x', ttl: '1h' }, false],
    ['acl.param.value_denied', { public_key: 'x', valid_principals: 'root' }, false],
    ['acl.param.not_listed', { public_key: 'x', cert_type: 'user' }, false],
    ['acl.param.required_missing', { valid_principals: 'app-1' }, false],
  ]
  for (const [name, body, expected] of parameters) {
    it(name, () => {
      const request = { operation: 'update', path: 'ssh/sign/aws' } as const
      const { allowed } = acl.decide({ ...request, parameters: new Map(Object.entries(body)) })
      assert.equal(allowed, expected)
    })
  }

  const wraps: [string, number | undefined, boolean][] = [
    ['acl.wrap.none', undefined, false],
    ['acl.wrap.short', 10, false],
    ['acl.wrap.ok', 120, true],
    ['the lower bound itself', 60, true],
    ['the upper bound itself', 3600, true],
    ['above the upper bound', 3601, false],
  ]
  for (const [name, wrapTtlSeconds, expected] of wraps) {
    it(`${name}: ${wrapTtlSeconds} s`, () => {
      const { allowed } = acl.decide({ operation: 'update', path: 'ssh/creds/w', wrapTtlSeconds })
      assert.equal(allowed, expected)
    })
  }

  it('acl.create_only: update is not create', () => {
    const createOnly = aclOf(rules('ssh/* create', 'cubbyhole/* create'))
    assert.equal(allows(createOnly, 'update', 'ssh/creds/otp1'), false)
    assert.equal(allows(createOnly, 'create', 'cubbyhole/a'), true)
    assert.equal(allows(createOnly, 'update', 'cubbyhole/a'), false)
  })

  it('acl.resultant: the merged rules can be shown', () => {
    const shown = new Map(acl.rules().map((rule) => [rule.path, rule]))
    assert.deepEqual([...(shown.get('sys/mounts')?.grants.keys() ?? [])].sort(), ['list', 'read'])
    assert.equal(shown.get('ssh/creds/w')?.maxWrappingTtlSeconds, 3600)
    assert.equal(shown.get('secret/den*')?.isDenied, true)
  })
})

describe('order among patterns', () => {
  // Gives each path the answer of the recorded exchange capabilities.priority.
  const acl = aclOf(
    rules(
      'secret/abc read',
      'secret/a* read',
      'secret/ab/* list',
      'secret/+/x update',
      'secret/+/* update',
      'secret/q/* read',
      'secret/zed read',
      '/secret/lead read',
      'exact/dir/ list',
      'exact/nodir list',
    ),
    rules('secret/abc update', 'secret/zed deny'),
  )
  const rows: [string, string[]][] = [
    ['secret/abc', ['read', 'update']],
    ['secret/abcd', ['read']],
    ['secret/ab/x', ['list']],
    ['secret/ac/x', ['read']],
    ['secret/q/x', ['read']],
    ['secret/q/x/y', ['read']],
    ['secret/w/x/y', ['update']],
    ['secret/zed', ['deny']],
    ['secret/lead', ['read']],
    ['exact/dir', ['deny']],
    ['exact/dir/', ['list']],
    ['exact/nodir', ['list']],
    ['exact/nodir/', ['list']],
  ]
  for (const [path, expected] of rows) {
    it(`capabilities.priority: ${path}`, () => assert.deepEqual(acl.capabilities(path), expected))
  }

  const winners: [string, string, string, string][] = [
    ['an exact rule before any pattern', 'a/b read', 'a/+ list', 'a/b'],
    ['the later first wildcard', 'a/b* read', 'a/+/c list', 'a/b/c'],
    ['of equal places, the pattern without a final star', 'a/+/c read', 'a/+/* list', 'a/b/c'],
    ['fewer pluses', 'a/+/c/* read', 'a/+/+/* list', 'a/b/c/d'],
    ['the longer pattern', 'a/+/cd* read', 'a/+/c* list', 'a/b/cde'],
    ['of equal lengths the lexicographically larger', 'a/+/c/+ read', 'a/+/+/b list', 'a/b/c/b'],
    ['the longest prefix', 'a/bc* read', 'a/b* list', 'a/bcd'],
    ['a prefix before a plus at its end', 'a/* read', 'a/+/* list', 'a/'],
  ]
  for (const [name, winner, loser, path] of winners) {
    it(name, () => {
      for (const text of [rules(winner, loser), rules(loser, winner)]) {
        assert.deepEqual(aclOf(text).capabilities(path), ['read'])
      }
    })
  }

  it('`+` is exactly one whole segment, `*` only counts at the end', () => {
    const patterns = aclOf(rules('a/+/c read', 'b+/c read', 'd/*/e read', 'f* read'))
    const granted = ['a/b/c', 'a/+/c', 'b+/c', 'd/*/e', 'f', 'fg', 'f/g/h']
    const refused = ['a/c', 'a/b/b/c', 'a/b/c/', 'bx/c', 'd/x/e', 'e']
    for (const path of granted) assert.equal(allows(patterns, 'read', path), true, path)
    for (const path of refused) assert.equal(allows(patterns, 'read', path), false, path)
  })

  it('only lists fall back to the exact path without its final slash (CVE-2026-3605: deny holds for lists too)', () => {
    const acl = aclOf(rules('a list,read', 'b deny', 'b/* list'))
    assert.equal(allows(acl, 'list', 'a/'), true)
    assert.equal(allows(acl, 'scan', 'a/'), false)
    assert.equal(allows(acl, 'read', 'a/'), false)
    assert.equal(allows(acl, 'list', 'b/'), false)
    assert.equal(allows(acl, 'list', 'b/c/'), true)
  })

  it('no rule inherits from another', () => {
    const acl = aclOf(rules('a/* read,list', 'a/b '))
    assert.equal(allows(acl, 'read', 'a/b'), false)
    assert.deepEqual(acl.capabilities('a/b'), ['deny'])
  })
})

describe('merging', () => {
  it('unites capabilities and names the policies that give each', () => {
    const acl = aclOf(rules('a read'), rules('a read,sudo'), rules('a list'))
    const read = acl.decide({ operation: 'read', path: 'a' })
    const expected = { allowed: true, hasSudo: true, isRoot: false, grantingPolicies: ['p1', 'p2'] }
    assert.deepEqual(read, expected)
    assert.deepEqual(acl.decide({ operation: 'list', path: 'a' }).grantingPolicies, ['p3'])
    assert.deepEqual(acl.decide({ operation: 'delete', path: 'a' }).grantingPolicies, [])
  })

  it('any deny wins and takes sudo with it, wherever it stands', () => {
    for (const texts of [['a read,sudo', 'a deny'], ['a deny', 'a read,sudo'], ['a read,deny']]) {
      const acl = aclOf(...texts.map((text) => rules(text)))
      assert.deepEqual(acl.capabilities('a'), ['deny'])
      const { allowed, hasSudo } = acl.decide({ operation: 'read', path: 'a' })
      assert.deepEqual([allowed, hasSudo], [false, false])
    }
  })

  it('takes the smallest bounds; bounds that exclude one another refuse all', () => {
    const bounds = (min: string, max: string): string =>
      `path "a" { capabilities = ["read"] min_wrapping_ttl = "${min}" max_wrapping_ttl = "${max}" }`
    const reads = (acl: Acl, wrapTtlSeconds: number): boolean =>
      acl.decide({ operation: 'read', path: 'a', wrapTtlSeconds }).allowed
    const both = aclOf(bounds('10s', '50s'), bounds('20s', '40s'))
    assert.deepEqual(
      [9, 10, 40, 41].map((ttl) => reads(both, ttl)),
      [false, true, true, false],
    )
    assert.deepEqual(
      [0, 20, 21].map((ttl) => reads(aclOf(bounds('0', '20s')), ttl)),
      [false, true, false],
    )
    const none = aclOf(bounds('30s', '0'), bounds('0', '20s'))
    assert.deepEqual(
      [10, 25, 40].map((ttl) => reads(none, ttl)),
      [false, false, false],
    )
  })

  it('joins parameter lists; an empty list of either means any value', () => {
    const limited = (list: string): string =>
      `path "a" { capabilities = ["update"] allowed_parameters = ${list} }`
    const writes = (acl: Acl, name: string, value: string): boolean =>
      acl.decide({ operation: 'update', path: 'a', parameters: new Map([[name, value]]) }).allowed
    const both = aclOf(limited('{ x = ["1"] y = ["1"] }'), limited('{ x = ["2"] y = [] }'))
    assert.deepEqual([writes(both, 'x', '1'), writes(both, 'x', '2')], [true, true])
    assert.deepEqual([writes(both, 'x', '3'), writes(both, 'y', '3')], [false, true])
    const anyFirst = aclOf(limited('{ y = [] }'), limited('{ y = ["1"] }'))
    assert.equal(writes(anyFirst, 'y', '3'), true)
    const plain = aclOf(limited('{ x = ["1"] }'), rules('a update'))
    assert.equal(writes(plain, 'z', '1'), false)
  })
})

describe('special cases', () => {
  it('help needs no rule; root has everything; no policy nothing', () => {
    const none = compileAcl([], { now })
    assert.equal(allows(none, 'help', 'a'), true)
    assert.equal(allows(none, 'read', 'a'), false)
    const root = compileAcl([rootPolicy], { now })
    const expected = { allowed: true, hasSudo: true, isRoot: true, grantingPolicies: ['root'] }
    assert.deepEqual(root.decide({ operation: 'delete', path: 'sys/x' }), expected)
    assert.deepEqual(root.capabilities('x'), ['root'])
  })

  it('root stands alone, and a text called `root` is not it', () => {
    const text = parsePolicy('root', rules('a read'))
    assert.throws(() => compileAcl([rootPolicy, text], { now }), TypeError)
    assert.equal(allows(compileAcl([text], { now }), 'read', 'b'), false)
  })

  it('the built-in policies give what the contract lists', () => {
    const wrapping = compileAcl([responseWrappingPolicy], { now })
    assert.deepEqual(wrapping.capabilities('cubbyhole/response'), ['create', 'read'])
    assert.deepEqual(wrapping.capabilities('sys/wrapping/unwrap'), ['update'])
    assert.deepEqual(wrapping.capabilities('cubbyhole/other'), ['deny'])
    const usual = aclOf(defaultPolicyText)
    assert.deepEqual(usual.capabilities('sys/tools/hash/sha2-256'), ['update'])
    assert.deepEqual(usual.capabilities('identity/oidc/provider/p/authorize'), ['read', 'update'])
    const cubbyhole = ['create', 'delete', 'list', 'read', 'update']
    assert.deepEqual(usual.capabilities('cubbyhole/a/b'), cubbyhole)
  })

  it('`__proto__` and `constructor` are granted only where a rule names them (protocols 3.1)', () => {
    const paths = ['__proto__', 'constructor', 'toString', 'a/__proto__']
    for (const path of paths) assert.deepEqual(aclOf(rules('x read')).capabilities(path), ['deny'])
    assert.deepEqual(aclOf(rules('__proto__ read')).capabilities('__proto__'), ['read'])
    assert.deepEqual(aclOf(rules('constructor/* read')).capabilities('constructor/a'), ['read'])
  })

  it('a templated rule is skipped without a value and applies with one', () => {
    const policy = parsePolicy('p', rules('u/{{identity.entity.id}}/* read', 'u/{{ x }} list'))
    assert.deepEqual(compileAcl([policy], { now }).capabilities('u/e1/a'), ['deny'])
    const values = new Map([['identity.entity.id', 'e1']])
    const acl = compileAcl([policy], { now, resolveTemplate: (name) => values.get(name) })
    assert.deepEqual(acl.capabilities('u/e1/a'), ['read'])
    assert.deepEqual(acl.capabilities('u/e2/a'), ['deny'])
    assert.deepEqual(acl.capabilities('u/{{ x }}'), ['deny'])
  })

  it('GHSA-59w7-v8rr-pr4p: a template value adds no wildcard, segment or list', () => {
    const policy = parsePolicy('p', rules('u/{{n}} read', 'u/{{n}}/* read'))
    for (const value of ['*', '+', 'a/b', 'a,b', '', '{{n}}', 'a*']) {
      const acl = compileAcl([policy], { now, resolveTemplate: () => value })
      assert.deepEqual(acl.rules(), [], value)
    }
  })

  it('an expired rule gives nothing, and the next expiry is told', () => {
    const at = (time: number): string =>
      `path "a" { capabilities = ["read"] expiration = "${new Date(time).toISOString()}" }`
    assert.equal(allows(aclOf(at(now)), 'read', 'a'), false)
    const acl = aclOf(at(now + 2000), at(now + 1000), rules('b read'))
    assert.deepEqual([allows(acl, 'read', 'a'), acl.validUntil], [true, now + 1000])
    assert.equal(aclOf(rules('b read')).validUntil, undefined)
  })

  it('tells whether any rule reaches under a mount', () => {
    const reaching = ['ssh/sign/a', 'ssh/*', 's*', '*', '+/sign/a', 'ssh/+/a', '+/*']
    for (const rule of reaching)
      assert.equal(aclOf(rules(`${rule} read`)).reachesInto('ssh/'), true, rule)
    const others = ['ssh', 'sss/*', 'tt/+', '+', 'ssh2/a']
    for (const rule of others)
      assert.equal(aclOf(rules(`${rule} read`)).reachesInto('ssh/'), false, rule)
    assert.equal(aclOf(rules('ssh/* deny', 'ssh/a ')).reachesInto('ssh/'), false)
    assert.equal(aclOf(rules('a/+/c/* read')).reachesInto('a/b/c/d/'), true)
    assert.equal(aclOf(rules('a/+/d/* read')).reachesInto('a/b/c/d/'), false)
  })
})
