/** Policy names have one canonical form. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { normalizePolicyName, normalizePolicyNames } from '../../src/policy/name.ts'

describe('policy names', () => {
  it('CVE-2025-5999: case and blanks make no other name', () => {
    for (const name of ['root', 'ROOT', ' root', 'Root\t']) {
      assert.equal(normalizePolicyName(name), 'root')
      assert.deepEqual(normalizePolicyNames(['dev', name]), ['root'])
    }
  })

  it('protocols 3.2: no letter outside ASCII becomes one inside', () => {
    for (const name of ['\u212a', '\u0130', '\u017f']) {
      assert.doesNotMatch(normalizePolicyName(`x${name}y`), /^[ -~]*$/)
    }
  })

  it('lists are sorted, without repetitions and empty names', () => {
    assert.deepEqual(normalizePolicyNames(['b', 'A', '', ' b ', 'a']), ['a', 'b'])
  })

  it('the canonical form of a canonical form is itself', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (name) => {
        const once = normalizePolicyName(name)
        assert.equal(normalizePolicyName(once), once)
      }),
      { numRuns: 500 },
    )
  })
})
