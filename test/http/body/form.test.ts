import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { PosternError } from '../../../src/errors.ts'
import { formFields, parsePairs, queryFields } from '../../../src/http/body/form.ts'
import { cpuMilliseconds } from '../../support/cpu-time.ts'

test('query parameters are texts, and a list when a name is repeated', () => {
  const fields = queryFields(parsePairs('a=1&b=x%20y+z&a=2&c&=v&&d='))
  assert.deepEqual(
    [...fields],
    [
      ['a', ['1', '2']],
      ['b', 'x y z'],
      ['c', ''],
      ['', 'v'],
      ['d', ''],
    ],
  )
})

test('form fields of a repeated name are joined with a comma', () => {
  assert.deepEqual(
    [...formFields(parsePairs('roles=a&roles=b&ip=10.0.0.1'))],
    [
      ['roles', 'a,b'],
      ['ip', '10.0.0.1'],
    ],
  )
})

test('protocols 3.1: __proto__ is a name like others', () => {
  assert.deepEqual(
    [...queryFields(parsePairs('__proto__=1&constructor=2')).keys()],
    ['__proto__', 'constructor'],
  )
})

test('bad percent-encoding is refused', () => {
  for (const text of ['a=%', 'a=%zz', '%ff=1', 'a=%c0%af']) {
    assert.throws(() => parsePairs(text), PosternError)
  }
})

test('more than 1,000 strings are refused at once', () => {
  assert.equal(parsePairs(Array(500).fill('a=b').join('&')).get('a')?.length, 500)
  const flood = 'a&'.repeat(16 * 1024 * 1024)
  const took = cpuMilliseconds(() =>
    assert.throws(() => parsePairs(flood), /maximum number of strings/),
  )
  assert.ok(took < 500, `took ${took} ms`)
})

test('what URLSearchParams writes is read back', () => {
  const pair = fc.tuple(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }))
  fc.assert(
    fc.property(fc.array(pair, { maxLength: 20 }), (pairs) => {
      const params = new URLSearchParams(pairs)
      const fields = parsePairs(params.toString())
      for (const name of params.keys()) assert.deepEqual(fields.get(name), params.getAll(name))
      assert.equal(fields.size, new Set(params.keys()).size)
    }),
    { numRuns: 200 },
  )
})
