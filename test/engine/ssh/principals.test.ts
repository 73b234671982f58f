/** Which principals a certificate gets. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  decidePrincipals,
  type PrincipalRules,
  parseAllowedNames,
  splitNames,
} from '../../../src/engine/ssh/principals.ts'
import { PosternError } from '../../../src/errors.ts'

const rules = (list: string, more: Partial<PrincipalRules> = {}): PrincipalRules => ({
  allowed: parseAllowedNames(list, false),
  allowEmpty: false,
  allowCommas: false,
  ...more,
})

const decide = (requested: string, allowed: PrincipalRules): readonly string[] =>
  decidePrincipals(splitNames(requested), allowed, undefined)

const UNSAFE_CERTIFICATE =
  'refusing to issue unsafe, globally-valid certificate with no principals specified; set valid_principals or default_user'

describe('user principals', () => {
  test('are trimmed, each once, sorted', () => {
    assert.deepEqual(decide(' carol , bob,carol,', rules('bob, carol')), ['bob', 'carol'])
  })

  for (const list of ['*', 'bob', '']) {
    test(`none asked for is refused with allowed_users ${JSON.stringify(list)} (CVE-2024-7594)`, () => {
      assert.throws(() => decide('', rules(list)), { message: UNSAFE_CERTIFICATE })
      assert.throws(() => decide(' , ,', rules(list)), { message: UNSAFE_CERTIFICATE })
    })
  }

  test('none asked for is signed only where the role says so', () => {
    assert.deepEqual(decide('', rules('bob', { allowEmpty: true })), [])
  })

  test('an empty list allows nobody (vault#1116)', () => {
    assert.throws(() => decide('bob', rules('')), {
      message: 'role is not configured to allow any principals',
    })
  })

  test('a star alone allows any name, a star in a list none more', () => {
    assert.deepEqual(decide('anybody', rules('*')), ['anybody'])
    assert.throws(() => decide('root', rules('bob,*')), {
      message: 'root is not a valid value for valid_principals',
    })
    assert.throws(() => decide('*', rules('bob,*')))
  })

  test('one name that is not allowed refuses all', () => {
    assert.throws(() => decide('bob,root', rules('bob')), {
      message: 'root is not a valid value for valid_principals',
    })
  })

  const unsafe = [
    'a b',
    'a\tb',
    'a\nb',
    'a"b',
    "a'b",
    'a`b',
    'a\u0000b',
    'a\u00a0b',
    'a\u200bb',
    '{{identity.entity.name}}',
  ]
  for (const name of unsafe) {
    test(`${JSON.stringify(name)} is refused even where any name is allowed (opkssh#588)`, () => {
      assert.throws(() => decide(name, rules('*')), PosternError)
      assert.throws(() => decide(name, rules(name)), PosternError)
    })
  }

  test('a name with a comma is refused wherever it comes from (CVE-2026-35414)', () => {
    assert.throws(() => decidePrincipals(['root,bob'], rules('*'), undefined), PosternError)
  })
})

describe('host principals', () => {
  const hosts = (bareDomains: boolean, subdomains: boolean) =>
    rules('example.com,localhost', { hosts: { bareDomains, subdomains } })
  const cases = [
    ['example.com', true, false, true],
    ['example.com', false, true, false],
    ['a.example.com', false, true, true],
    ['b.c.example.com', false, true, true],
    ['a.example.com', true, false, false],
    ['evil-example.com', true, true, false],
    ['.example.com', true, true, false],
    ['example.com.evil.org', true, true, false],
  ] as const
  for (const [name, bare, below, isAllowed] of cases) {
    test(`${name} with bare domains ${bare} and subdomains ${below}: ${isAllowed}`, () => {
      const run = () => decide(name, hosts(bare, below))
      if (isAllowed) assert.deepEqual(run(), [name])
      else assert.throws(run, { message: `${name} is not a valid value for valid_principals` })
    })
  }

  test('a star in a list is no pattern for all hosts', () => {
    const starred = rules('*,example.com', { hosts: { bareDomains: true, subdomains: true } })
    for (const name of ['*', 'anything.*']) assert.throws(() => decide(name, starred), PosternError)
  })
})

describe('templates', () => {
  const templated = parseAllowedNames('{{identity.entity.teams}},fixed', true)
  const teams = (path: string) => (path === 'identity.entity.teams' ? 'red,blue' : undefined)

  test('without an entity allow nothing, and the plain names stay allowed', () => {
    const role = rules('', { allowed: templated })
    assert.deepEqual(decide('fixed', role), ['fixed'])
    assert.throws(() => decide('{{identity.entity.teams}}', role), PosternError)
  })

  test('a comma in a value makes no further names unless the role allows it (GHSA-59w7)', () => {
    const ask = (allowCommas: boolean) => () =>
      decidePrincipals(['red'], rules('', { allowed: templated, allowCommas }), teams)
    assert.throws(ask(false), /forbidden value/)
    assert.deepEqual(ask(true)(), ['red'])
  })

  test('a list of nothing but templates that have no value allows nobody', () => {
    const role = rules('', { allowed: parseAllowedNames('{{identity.entity.teams}}', true) })
    assert.throws(() => decide('red', role), /not a valid value/)
  })
})

test('what is decided is never empty, never unsafe, and always allowed', () => {
  const name = fc.oneof(
    fc.constantFrom('alice', 'bob', 'example.com', 'a.example.com', '*', '', 'a b', 'x"y'),
    fc.string({ unit: 'binary', maxLength: 8 }),
    fc.string({ maxLength: 8 }),
  )
  const list = fc.array(name, { maxLength: 4 }).map((names) => names.join(','))
  fc.assert(
    fc.property(list, list, fc.option(fc.boolean()), (requested, allowed, hosts) => {
      const role = rules(allowed, {
        ...(hosts !== null && { hosts: { bareDomains: hosts, subdomains: !hosts } }),
      })
      let decided: readonly string[]
      try {
        decided = decide(requested, role)
      } catch (error) {
        assert.ok(error instanceof PosternError)
        return
      }
      assert.ok(decided.length > 0)
      const names = allowed.split(',').map((one) => one.trim())
      for (const one of decided) {
        assert.doesNotMatch(one, /[\s,"'`\p{Cc}\p{Cf}\p{Z}]/u)
        const isListed = names.includes(one) || names.some((domain) => one.endsWith(`.${domain}`))
        assert.ok(allowed.trim() === '*' || isListed)
      }
    }),
    { numRuns: 500 },
  )
})
