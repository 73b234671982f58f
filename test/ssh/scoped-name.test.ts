import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  groupPrincipal,
  hostPrincipal,
  isAccount,
  isGroup,
  isHostId,
  isScopedLooking,
  isTagKey,
  isTagValue,
  tagPrincipal,
} from '../../src/ssh/scoped-name.ts'
import { fuzz } from '../fuzz/runs.ts'

const account = fc.stringMatching(/^[a-z_][a-z0-9_.-]{0,31}$/)
const hostId = fc.stringMatching(/^[a-z0-9][a-z0-9.-]{0,62}$/)
const tagKey = fc.stringMatching(/^[a-z0-9_-]{1,32}$/)
const tagValue = fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,62}$/)

/** Whatever is alike in two scopes: dots, `h.`, `t.` and the like in every part. */
const scope = fc.oneof(
  fc.tuple(fc.constant('h'), account, fc.oneof(hostId, tagPair('h')), fc.constant('')),
  fc.tuple(fc.constant('g'), account, fc.oneof(hostId, tagPair('g')), fc.constant('')),
  fc.tuple(fc.constant('t'), account, tagKey, tagValue),
  fc.tuple(
    fc.constantFrom('h', 'g', 't'),
    fc.constantFrom('a', 'a.h', 'a-g'),
    fc.constantFrom('env', 'h', 't'),
    fc.constantFrom('prod', 'prod.eu', 'h.web'),
  ),
)

function tagPair(kind: string): fc.Arbitrary<string> {
  const short = fc.stringMatching(/^[a-z0-9-]{1,8}$/)
  return fc.tuple(short, short).map(([key, value]) => `${kind}${key}.${value}`)
}

function principal([kind, name, first, second]: readonly [string, string, string, string]): string {
  if (kind === 'h') return hostPrincipal(name, first)
  return kind === 'g' ? groupPrincipal(name, first) : tagPrincipal(name, first, second)
}

test('protocols 5.2: account, kind, key and value give a name that nothing else gives', () => {
  fc.assert(
    fc.property(scope, scope, (one, other) => {
      const same = principal(one) === principal(other)
      const [kind, name, first, second] = one
      const alike = kind === other[0] && name === other[1] && first === other[2]
      assert.equal(same, alike && (kind !== 't' || second === other[3]))
    }),
    fuzz(3000),
  )
})

test('protocols 5.2: the parts can be read back from the name', () => {
  fc.assert(
    fc.property(scope, (parts) => {
      const [, name, kind, rest = ''] = /^([^@]+)@([hgt])\.(.*)$/.exec(principal(parts)) ?? []
      assert.deepEqual([kind, name], [parts[0], parts[1]])
      const dot = rest.indexOf('.')
      if (kind !== 't') assert.equal(rest, parts[2])
      else assert.deepEqual([rest.slice(0, dot), rest.slice(dot + 1)], [parts[2], parts[3]])
    }),
    fuzz(1000),
  )
})

test('protocols 5.1: every composed name looks scoped, and holds nothing that a host would take as more', () => {
  fc.assert(
    fc.property(scope, (parts) => {
      assert.match(principal(parts), /^[a-z0-9_.@-]+$/)
      assert.ok(isScopedLooking(principal(parts)))
    }),
    fuzz(500),
  )
  for (const text of ['root@h.web-1', '@u.bob', '@bg.web-1', 'a@g.x', 'a@t.k.v', 'x@y@h.z']) {
    assert.equal(isScopedLooking(text), true, text)
  }
  for (const text of ['root', 'bob@example.com', 'a@hx.y', 'a@.h', 'h.web', 'a@bgx.y', '']) {
    assert.equal(isScopedLooking(text), false, text)
  }
})

test('protocols 5.2: a tag key has no dot, and names are lower case', () => {
  assert.throws(() => tagPrincipal('root', 'env.prod', 'eu'), RangeError)
  const wrong = ['', 'A', 'a b', 'a\n', '\na', 'a,b', 'a@b', 'a#', 'a*', 'é', 'a/b', 'a"', 'a\0']
  for (const text of wrong) {
    for (const isRight of [isAccount, isHostId, isGroup, isTagKey, isTagValue]) {
      assert.equal(isRight(text), false, JSON.stringify(text))
    }
    assert.throws(() => hostPrincipal(text, 'web-1'), RangeError)
    assert.throws(() => hostPrincipal('root', text), RangeError)
    assert.throws(() => groupPrincipal('root', text), RangeError)
    assert.throws(() => groupPrincipal(text, 'web'), RangeError)
    assert.throws(() => tagPrincipal(text, 'env', 'prod'), RangeError)
    assert.throws(() => tagPrincipal('root', text, 'prod'), RangeError)
    assert.throws(() => tagPrincipal('root', 'env', text), RangeError)
  }
})

test('the lengths of names are bounded', () => {
  for (const [isRight, longest] of [
    [isAccount, 32],
    [isHostId, 63],
    [isGroup, 63],
    [isTagKey, 32],
    [isTagValue, 63],
  ] as const) {
    assert.equal(isRight('a'.repeat(longest)), true)
    assert.equal(isRight('a'.repeat(longest + 1)), false)
  }
  assert.deepEqual(['_apt', '1a', '-a', '.a', 'a.b-c_d'].map(isAccount), [
    true,
    false,
    false,
    false,
    true,
  ])
  assert.deepEqual(['1a', '-a', '.a', '_a'].map(isHostId), [true, false, false, false])
  assert.deepEqual(['-', '_', '1', 'a.b'].map(isTagKey), [true, true, true, false])
})
