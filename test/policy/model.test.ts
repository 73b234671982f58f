/** The compiled decisions against a slow model of contract 4.2 that is written in another way. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type AclOperation, compileAcl } from '../../src/policy/acl.ts'
import { parsePolicy } from '../../src/policy/parse.ts'
import { fuzz } from '../fuzz/runs.ts'

interface Rule {
  readonly path: string
  readonly capabilities: readonly string[]
}

const hasPlus = (path: string): boolean => path.replace(/\*$/, '').split('/').includes('+')

/** The pattern as a regular expression. */
function toRegExp(path: string): RegExp {
  const body = path
    .replace(/\*$/, '')
    .split('/')
    .map((segment) => (segment === '+' ? '[^/]*' : segment.replaceAll(/[+*.]/g, '\\$&')))
    .join('/')
  return new RegExp(`^${body}${path.endsWith('*') ? '.*' : ''}$`)
}

/** The five comparisons of the contract, as a list that compares from left to right; larger wins. */
function rank(path: string): (number | string)[] {
  const segments = path.replace(/\*$/, '').split('/')
  const plus = segments.indexOf('+')
  const before =
    plus < 0 ? path.length - 1 : segments.slice(0, plus).join('/').length + (plus > 0 ? 1 : 0)
  const pluses = segments.filter((segment) => segment === '+').length
  const text = path.replace(/\*$/, '')
  return [before, path.endsWith('*') ? 0 : 1, -pluses, text.length, text]
}

function wins(one: string, other: string): boolean {
  const [left, right] = [rank(one), rank(other)]
  const index = left.findIndex((value, place) => value !== right[place])
  return index >= 0 && left[index]! > right[index]!
}

function decidingPath(rules: readonly Rule[], path: string, isList: boolean): string | undefined {
  const exact = rules
    .map((rule) => rule.path)
    .filter((text) => !text.endsWith('*') && !hasPlus(text))
  if (exact.includes(path)) return path
  if (isList && path.endsWith('/') && exact.includes(path.slice(0, -1))) return path.slice(0, -1)
  return rules
    .map((rule) => rule.path)
    .filter((text) => (text.endsWith('*') || hasPlus(text)) && toRegExp(text).test(path))
    .reduce<string | undefined>(
      (best, text) => (best === undefined || wins(text, best) ? text : best),
      undefined,
    )
}

function modelAllows(rules: readonly Rule[], operation: string, path: string): boolean {
  const deciding = decidingPath(rules, path, operation === 'list' || operation === 'scan')
  const given = rules.filter((rule) => rule.path === deciding).flatMap((rule) => rule.capabilities)
  return given.includes(operation) && !given.includes('deny')
}

const word = fc.constantFrom('a', 'b', 'ab', '', '__proto__', 'a+')
const segment = fc.oneof({ weight: 3, arbitrary: word }, { weight: 2, arbitrary: fc.constant('+') })
const join = (parts: readonly string[]): string => parts.join('/')
const pathText = fc.array(word, { minLength: 1, maxLength: 4 }).map(join)
const ruleText = fc
  .tuple(fc.array(segment, { minLength: 1, maxLength: 4 }).map(join), fc.boolean())
  .map(([text, isOpen]) => (isOpen && !text.endsWith('+') ? `${text}*` : text))
  // A leading slash is dropped by the parser, which is tested elsewhere.
  .filter((text) => !text.startsWith('/'))
const operations = ['read', 'update', 'list', 'scan'] as const
const rule: fc.Arbitrary<Rule> = fc.record({
  path: ruleText,
  capabilities: fc.subarray([...operations, 'deny'].toReversed(), { maxLength: 3 }),
})

describe('decisions', () => {
  it('are those of the model for random policies and paths', () => {
    const policies = fc.array(fc.array(rule, { maxLength: 8 }), { minLength: 1, maxLength: 3 })
    fc.assert(
      fc.property(policies, fc.array(pathText, { minLength: 1, maxLength: 10 }), (sets, paths) => {
        const parsed = sets.map((rules, index) => parsePolicy(`p${index}`, toText(rules)))
        const acl = compileAcl(parsed, { now: 0 })
        for (const path of paths) {
          for (const operation of operations) check(acl, sets.flat(), operation, path)
        }
      }),
      fuzz(1500),
    )
  })

  it('do not depend on the order of policies', () => {
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 8 }), pathText, (rules, path) => {
        const compile = (list: readonly Rule[]): string[] =>
          compileAcl(
            list.map((one, index) => parsePolicy(`p${index}`, toText([one]))),
            { now: 0 },
          ).capabilities(path)
        assert.deepEqual(compile(rules), compile(rules.toReversed()))
      }),
      fuzz(300),
    )
  })
})

function check(
  acl: ReturnType<typeof compileAcl>,
  rules: readonly Rule[],
  operation: AclOperation,
  path: string,
): void {
  const { allowed, grantingPolicies } = acl.decide({ operation, path })
  assert.equal(allowed, modelAllows(rules, operation, path), `${operation} ${path}`)
  assert.equal(grantingPolicies.length > 0, allowed)
}

function toText(rules: readonly Rule[]): string {
  return rules
    .map(
      ({ path, capabilities }) =>
        `path "${path}" { capabilities = ${JSON.stringify(capabilities)} }`,
    )
    .join('\n')
}
