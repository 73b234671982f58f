/** Parameter rules: names, values, globs, lists, and what can't slip past a denial. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parametersAllowed } from '../../src/policy/parameters.ts'

type Rules = Record<string, unknown[]>

function allowed(
  rules: Omit<Case, 'with'>,
  parameters: ReadonlyMap<string, unknown> | Record<string, unknown>,
): boolean {
  return parametersAllowed(
    {
      allowedParameters: new Map(Object.entries(rules.allow ?? {})),
      deniedParameters: new Map(Object.entries(rules.deny ?? {})),
      requiredParameters: new Set(rules.require),
    },
    parameters instanceof Map ? parameters : new Map(Object.entries(parameters)),
  )
}

interface Case {
  readonly allow?: Rules
  readonly deny?: Rules
  readonly require?: string[]
  readonly with: Record<string, unknown>
}

const refused: Record<string, Case> = {
  'a value in other words': { allow: { a: ['1'] }, with: { a: '2' } },
  'a name that is not listed': { allow: { a: [] }, with: { a: 'x', b: 'x' } },
  'a number for a text': { allow: { a: ['1'] }, with: { a: 1 } },
  'a text for a number': { allow: { a: [1] }, with: { a: '1' } },
  'a list for a text': { allow: { a: ['1'] }, with: { a: ['1'] } },
  'a comma list for one of its elements': { allow: { a: ['x'] }, with: { a: 'x,y' } },
  'a missing required parameter': { require: ['a'], with: {} },
  'a denied name in other case': { deny: { ttl: [] }, with: { TTL: '1h' } },
  'a denied value': { deny: { a: ['x'] }, with: { a: 'x' } },
  'everything denied': { deny: { '*': [] }, with: { a: 'x' } },
  'a denied value in a comma list (protocols 3.3)': {
    deny: { a: ['root'] },
    with: { a: 'ec2-user, root' },
  },
  'a denied value between blanks (protocols 3.3)': { deny: { a: ['root'] }, with: { a: ' root ' } },
  'a denied value in a JSON list (protocols 3.3)': {
    deny: { a: ['root'] },
    with: { a: ['x', 'y,root'] },
  },
  'a denied glob in a list': { deny: { a: ['adm*'] }, with: { a: ['x', 'admin'] } },
  'a denied list as a whole': { deny: { a: [['x', 'y']] }, with: { a: ['x', 'y'] } },
  'a number where the same text of a form is denied (protocols 3.3)': {
    deny: { a: ['3600'] },
    with: { a: 3600 },
  },
  'a bool where its text is denied': { deny: { a: ['true'] }, with: { a: true } },
  'a denied object': { deny: { a: [new Map([['k', ['v']]])] }, with: { a: { k: ['v'] } } },
  'a value that a glob does not cover': { allow: { a: ['app-*'] }, with: { a: 'xapp-1' } },
  'an allowed and denied parameter': { allow: { a: [] }, deny: { a: [] }, with: { a: 'x' } },
  'a denied name among others': { deny: { constructor: [] }, with: { a: 'x', constructor: 'y' } },
  'a name of Object.prototype that is not listed': { allow: { a: [] }, with: { toString: 'x' } },
}

const passing: Record<string, Case> = {
  'no parameters where some are allowed': { allow: { a: ['1'] }, with: {} },
  'no parameters where all are denied': { deny: { '*': [] }, with: {} },
  'any value of an empty list': { allow: { a: [] }, with: { a: { deep: [1] } } },
  'an allowed name in other case': { allow: { ttl: ['1h'] }, with: { TTL: '1h' } },
  'any name when `*` is listed': { allow: { '*': [], a: ['1'] }, with: { a: '1', b: 'x' } },
  'globs at the end, the start and both': {
    allow: { a: ['app-*'], b: ['*-app'], c: ['*app*'] },
    with: { a: 'app-', b: 'x-app', c: 'xappx' },
  },
  'any text for a lone star': { allow: { a: ['*'] }, with: { a: 'x' } },
  'an equal number, bool, null, list and object': {
    allow: { a: [1], b: [true], c: [null], d: [['x', 1]], e: [new Map([['k', 'v']])] },
    with: { a: 1, b: true, c: null, d: ['x', 1], e: { k: 'v' } },
  },
  'another value than the denied one': { deny: { a: ['x'] }, with: { a: 'xx,y', b: 'x' } },
  'a required parameter in other case': { require: ['a'], with: { A: '' } },
  'a required null': { require: ['a'], with: { a: null } },
}

describe('refused', () => {
  for (const [name, rules] of Object.entries(refused)) {
    it(name, () => assert.equal(allowed(rules, rules.with), false))
  }
})

describe('allowed', () => {
  for (const [name, rules] of Object.entries(passing)) {
    it(name, () => assert.equal(allowed(rules, rules.with), true))
  }
})

describe('names of Object.prototype', () => {
  it('are parameters like any other (protocols 3.1)', () => {
    const parameters = new Map([['__proto__', 'x']])
    assert.equal(allowed({ allow: { a: [] } }, parameters), false)
    assert.equal(allowed({ deny: { '*': [] } }, parameters), false)
    assert.equal(allowed({ deny: { a: [] } }, parameters), true)
    assert.equal(allowed({ require: ['constructor'] }, parameters), false)
  })
})
