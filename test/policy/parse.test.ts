/** Policy texts: what is read from them, and the refusals in the words that clients know. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { PosternError } from '../../src/errors.ts'
import { decodePolicyText, parsePolicy } from '../../src/policy/parse.ts'
import type { PathRule } from '../../src/policy/policy.ts'
import { fuzz } from '../fuzz/runs.ts'

const rulesOf = (text: string): readonly PathRule[] => parsePolicy('test', text).rules

function ruleOf(text: string): PathRule {
  const [rule, ...others] = rulesOf(text)
  assert.ok(rule !== undefined && others.length === 0)
  return rule
}

const capabilitiesOf = (text: string): string[] => [...ruleOf(text).capabilities].sort()

function refusal(text: string): string {
  try {
    parsePolicy('test', text)
  } catch (error) {
    assert.ok(error instanceof PosternError, `not the API's own error: ${error}`)
    assert.equal(error.status, 400)
    assert.equal(error.message.indexOf('failed to parse policy: '), 0)
    return error.message.slice('failed to parse policy: '.length)
  }
  return 'accepted'
}

describe('refusals', () => {
  const refusals: [string, string, string][] = [
    ['policy.write.bad_hcl', 'path {', 'At 1:8: object expected closing RBRACE got: EOF'],
    [
      'policy.write.bad_cap',
      'path "a" { capabilities=["fly"] }',
      'path "a": invalid capability "fly"',
    ],
    [
      'policy.write.bad_key',
      'path "a" { caps=["read"] }',
      '1 error occurred:\n\t* path "a": invalid key "caps" on line 1\n\n',
    ],
    ['policy.write.bad_top', 'foo = 1', '1 error occurred:\n\t* invalid key "foo" on line 1\n\n'],
    [
      'policy.write.plus_star',
      'path "a/+*" { capabilities=["read"] }',
      'path "a/+*": invalid use of wildcards (\'+*\' is forbidden)',
    ],
    [
      'policy.write.bad_template',
      'path "secret/{{identity.entity.id/*" { capabilities=["read"] }',
      'failed to validate policy templating: unbalanced templating characters',
    ],
    [
      'a closed template',
      'path "a}}" {}',
      'failed to validate policy templating: unbalanced templating characters',
    ],
    [
      'two closings',
      'path "{{a}}}}" {}',
      'failed to validate policy templating: unbalanced templating characters',
    ],
    ['the old key', 'path "a" { policy = "x" }', 'path "a": invalid policy "x"'],
    [
      'two unknown keys',
      'path "a" {\n b = 1\n c = 2 }',
      '2 errors occurred:\n\t* path "a": invalid key "b" on line 2\n\t* path "a": invalid key "c" on line 3\n\n',
    ],
    [
      'a key given twice',
      'path "a" { capabilities = ["read"] capabilities = ["deny"] }',
      'At 1:36: The argument "capabilities" was already set. Each argument can only be defined once',
    ],
    [
      'a word for a list',
      'path "a" { capabilities = "read" }',
      'path "a": "capabilities" on line 1: expected a list of strings',
    ],
    [
      'a number in a list',
      'path "a" { capabilities = [1] }',
      'path "a": "capabilities" on line 1: expected a list of strings',
    ],
    [
      'a word for a parameter list',
      'path "a" { denied_parameters = { ttl = "1h" } }',
      'path "a": "denied_parameters" on line 1: expected an object of lists',
    ],
    [
      'a bad bound',
      'path "a" { min_wrapping_ttl = "soon" }',
      'path "a": error parsing "min_wrapping_ttl": time: invalid duration "soon"',
    ],
    [
      'a negative bound',
      'path "a" { max_wrapping_ttl = -1 }',
      'path "a": "max_wrapping_ttl" cannot be negative',
    ],
    [
      'bounds in the wrong order',
      'path "a" { min_wrapping_ttl = "1h" max_wrapping_ttl = 60 }',
      'path "a": max_wrapping_ttl cannot be less than min_wrapping_ttl',
    ],
    [
      'a bad time',
      'path "a" { expiration = "tomorrow" }',
      'path "a": "expiration" on line 1: expected an RFC 3339 time',
    ],
    ['two labels', 'path "a" "b" {}', 'At 1:1: path takes 1 labels, got 2'],
    ['a path without a block', 'path = "a"', 'At 1:1: path: expected an object, got a string'],
    ['a name that is no text', 'name = 1', 'At 1:1: name: expected a string'],
    ['JSON that ends', '{"path":', 'At 1:9: expected a value got: EOF'],
  ]
  for (const [name, text, expected] of refusals) {
    it(`${name}: ${text}`, () => {
      assert.equal(refusal(text), expected)
    })
  }

  it('any text is accepted or refused with a 400', () => {
    const piece = fc.constantFrom(
      'path ',
      '"a/*" ',
      '"{{" ',
      '{',
      '}',
      'capabilities',
      '=',
      '["read"]',
      '[',
      ']',
      '"deny"',
      ',',
      'allowed_parameters',
      'min_wrapping_ttl',
      '"1h"',
      '5',
      'name',
      '__proto__',
      '\n',
      '{"path":',
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 25 }), (pieces) => {
        refusal(pieces.join(''))
      }),
      fuzz(1000),
    )
  })
})

describe('what is read', () => {
  it('policy.write.json: both forms mean the same', () => {
    assert.deepEqual(
      rulesOf('{"path":{"a/*":{"capabilities":["read","list"]}}}'),
      rulesOf('path "a/*" { capabilities = ["read", "list"] }'),
    )
    assert.deepEqual(
      rulesOf('{"path":[{"a":{"allowed_parameters":[{"x":["1"]}]}},{"b":{}}]}'),
      rulesOf('path "a" { allowed_parameters { x = ["1"] } }\npath "b" {}'),
    )
  })

  it('a leading slash of a path is dropped, one only', () => {
    assert.equal(ruleOf('path "/a/b" {}').path, 'a/b')
    assert.equal(ruleOf('path "//a" {}').path, '/a')
  })

  it('an empty block gives nothing, an empty text no rules', () => {
    assert.deepEqual(capabilitiesOf('path "a" {}'), [])
    assert.deepEqual(rulesOf('# nothing\nname = "x"'), [])
  })

  it('the old `policy` key stands for sets of capabilities, united with the new key', () => {
    assert.deepEqual(capabilitiesOf('path "a" { policy = "read" }'), ['list', 'read'])
    const write = ['create', 'delete', 'list', 'read', 'update']
    assert.deepEqual(capabilitiesOf('path "a" { policy = "write" }'), write)
    assert.deepEqual(capabilitiesOf('path "a" { policy = "sudo" }'), [...write, 'sudo'].sort())
    assert.deepEqual(capabilitiesOf('path "a" { policy = "deny" }'), ['deny'])
    const both = 'path "a" { policy = "read" capabilities = ["patch"] }'
    assert.deepEqual(capabilitiesOf(both), ['list', 'patch', 'read'])
  })

  it('parameters have lower-case names; equal names join their values', () => {
    const rule = ruleOf(`path "a" {
      allowed_parameters = { "TTL" = ["1h"], "ttl" = ["2h"], "n" = [1, true, [ "x" ]] }
      denied_parameters = { "*" = [] }
      required_parameters = ["Key"]
    }`)
    assert.deepEqual(
      [...rule.allowedParameters],
      [
        ['ttl', ['1h', '2h']],
        ['n', [1, true, ['x']]],
      ],
    )
    assert.deepEqual([...rule.deniedParameters], [['*', []]])
    assert.deepEqual([...rule.requiredParameters], ['key'])
  })

  it('wrapping bounds are seconds or durations; zero is none', () => {
    const rule = ruleOf('path "a" { min_wrapping_ttl = 60 max_wrapping_ttl = "1h30m" }')
    assert.deepEqual([rule.minWrappingTtlSeconds, rule.maxWrappingTtlSeconds], [60, 5400])
    assert.equal(ruleOf('path "a" { min_wrapping_ttl = "0s" }').minWrappingTtlSeconds, undefined)
  })

  it('an expiration is a time or Unix seconds', () => {
    const at = Date.UTC(2026, 0, 2, 3, 4, 5)
    for (const value of ['"2026-01-02T03:04:05Z"', '"2026-01-02T04:04:05+01:00"', `${at / 1000}`]) {
      assert.equal(ruleOf(`path "a" { expiration = ${value} }`).expiresAt, at)
    }
  })

  it('keys of the family without effect here are accepted and named', () => {
    const text = 'path "a" { comment = "c" pagination_limit = 5 mfa_methods = ["m"] }'
    assert.deepEqual(parsePolicy('test', text).warnings, [
      'path "a": "mfa_methods" has no effect',
      'path "a": "pagination_limit" has no effect',
    ])
  })

  it('templates are noticed', () => {
    const policy = parsePolicy('test', 'path "secret/{{identity.entity.id}}/*" {}\npath "b" {}')
    assert.deepEqual(
      policy.rules.map((rule) => rule.isTemplated),
      [true, false],
    )
    assert.equal(policy.isTemplated, true)
  })

  it('`__proto__` and `constructor` are paths and parameters like any other (protocols 3.1)', () => {
    const rule = ruleOf('{"path":{"__proto__":{"denied_parameters":{"constructor":[]}}}}')
    assert.equal(rule.path, '__proto__')
    assert.deepEqual([...rule.deniedParameters], [['constructor', []]])
    assert.match(refusal('path "a" { __proto__ = 1 }'), /invalid key "__proto__" on line 1/)
  })
})

describe('decodePolicyText', () => {
  it('policy.write.b64: base64 is unpacked', () => {
    const text = decodePolicyText('cGF0aCAiYSIgeyBjYXBhYmlsaXRpZXM9WyJyZWFkIl0gfQ==')
    assert.equal(text, 'path "a" { capabilities=["read"] }')
  })

  it('plain text, broken base64 and base64 of no text stay as they are', () => {
    for (const text of ['path "a" {}', '', 'abcde', 'ab=d', '////']) {
      assert.equal(decodePolicyText(text), text)
    }
  })
})
