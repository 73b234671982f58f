/** Policies see canonical paths only: no spelling of a path is decided in another way (protocols 3.2). */
import assert from 'node:assert/strict'
import { posix } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { canonicalPath } from '../../src/mount/canonical.ts'
import { type Acl, type AclOperation, compileAcl } from '../../src/policy/acl.ts'
import { parsePolicy } from '../../src/policy/parse.ts'

const OPERATIONS: readonly AclOperation[] = ['read', 'update', 'list', 'delete']

const word = fc.constantFrom('ssh', 'roles', 'Roles', 'a', 'b', 'a b', 'é', '..a', '+', '__proto__')
const words = fc.array(word, { minLength: 1, maxLength: 4 })
const path = fc.tuple(words, fc.boolean()).map(([all, slash]) => all.join('/') + (slash ? '/' : ''))
const rule = fc.record({
  path: fc
    .tuple(words, fc.constantFrom('', '/', '*', '/*'))
    .map(([all, end]) => all.join('/') + end)
    .filter((text) => !text.endsWith('+*')),
  capabilities: fc.subarray(['read', 'update', 'list', 'delete', 'deny'], { minLength: 1 }),
})
const acl = fc.array(rule, { minLength: 1, maxLength: 6 }).map((rules) => {
  const lines = rules.map(
    (one) => `path "${one.path}" { capabilities = ${JSON.stringify(one.capabilities)} }`,
  )
  return compileAcl([parsePolicy('p', lines.join('\n'))], { now: 0 })
})

const decisions = (by: Acl, of: string): boolean[] =>
  OPERATIONS.map((operation) => by.decide({ operation, path: of }).allowed)

/** How a character may be written in a request target: as itself where that is allowed, and in percent-encoding. */
function spell(character: string, choice: number): string {
  if (character === '/') return '/'
  const encoded = [...Buffer.from(character)].map((byte) => byte.toString(16).padStart(2, '0'))
  const asItself = /[A-Za-z0-9._+-]/.test(character) ? character : `%${encoded.join('%')}`
  const spellings = [asItself, `%${encoded.join('%')}`, `%${encoded.join('%').toUpperCase()}`]
  return spellings[choice % 3] as string
}

test('protocols 3.2: every spelling of a path is decided as the path itself', () => {
  const choices = fc.array(fc.nat(2), { minLength: 1, maxLength: 20 })
  fc.assert(
    fc.property(acl, path, choices, fc.boolean(), (by, plain, chosen, absolute) => {
      const spelt = [...plain].map((letter, i) =>
        spell(letter, chosen[i % chosen.length] as number),
      )
      const host = absolute ? 'https://other.example' : ''
      const result = canonicalPath(`${host}/v1/${spelt.join('')}`)
      assert.equal(result.kind, 'path')
      if (result.kind !== 'path') return
      assert.equal(result.path, plain)
      assert.deepEqual(decisions(by, result.path), decisions(by, plain))
    }),
    { numRuns: 500 },
  )
})

test('protocols 3.2: a target with empty or dot segments is decided only after its redirect, as what it means', () => {
  const segment = fc.constantFrom('ssh', 'roles', 'a', '', '.', '..', '%2e%2e', '%2E', 'a%2fb', '%')
  const target = fc
    .array(segment, { minLength: 1, maxLength: 6 })
    .map((segments) => `/v1/${segments.join('/')}`)
  const seen = new Set<string>()
  fc.assert(
    fc.property(acl, target, (by, raw) => {
      const first = canonicalPath(raw)
      seen.add(first.kind)
      if (first.kind === 'invalid') return
      if (first.kind !== 'redirect') {
        // Whatever is decided at once has neither, in no reading.
        assert.doesNotMatch(raw, /\/\/|\/\.\.?(\/|$)/)
        assert.doesNotMatch(first.path, /(^|\/)\.\.?(\/|$)|\/\//)
        return
      }
      assert.match(first.location, /^\/(?!\/)/)
      const second = canonicalPath(first.location)
      assert.notEqual(second.kind, 'redirect', 'a redirect leads to the end')
      if (second.kind !== 'path') return
      const meant = posix.normalize(raw).slice('/v1/'.length)
      assert.equal(second.path, meant)
      assert.deepEqual(decisions(by, second.path), decisions(by, meant))
    }),
    { numRuns: 500 },
  )
  assert.deepEqual([...seen].sort(), ['invalid', 'path', 'redirect'])
})
