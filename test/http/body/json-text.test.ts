import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { PosternError } from '../../../src/errors.ts'
import { parseJsonFields } from '../../../src/http/body/json-text.ts'
import { cpuMilliseconds } from '../../support/cpu-time.ts'

const fieldsOf = (text: string) => parseJsonFields(Buffer.from(text)).fields

function refusal(text: string | Buffer): string {
  try {
    parseJsonFields(Buffer.from(text as string))
  } catch (error) {
    assert.ok(error instanceof PosternError)
    assert.equal(error.status, 400)
    return error.message
  }
  return assert.fail('was not refused')
}

const COMPLEX = 'refused JSON input due to high complexity: exceeded maximum number of '

test('the members of an object are fields, the last of a name counting', () => {
  assert.deepEqual(
    [...fieldsOf(' {"a":1,"b":{"c":[true]},"a":"x"} ')],
    [
      ['a', 'x'],
      ['b', { c: [true] }],
    ],
  )
  assert.equal(fieldsOf('null').size, 0)
  assert.equal(fieldsOf('{}').size, 0)
})

test('protocols 3.1: __proto__ and constructor are names like others', () => {
  const fields = fieldsOf('{"__proto__":{"polluted":1},"constructor":"x","toString":2}')
  assert.deepEqual([...fields.keys()], ['__proto__', 'constructor', 'toString'])
  assert.equal(({} as { polluted?: number }).polluted, undefined)
  assert.equal(fields.get('hasOwnProperty'), undefined)
})

test('errors are told in the words of the recorded exchanges', () => {
  const prefix = 'failed to decode JSON input: '
  assert.equal(refusal('{bad'), `${prefix}invalid character 'b'`)
  assert.equal(
    refusal('{"policy":"x"} extra'),
    `${prefix}invalid character 'e' looking for beginning of value`,
  )
  assert.equal(
    refusal('[1,2]'),
    `${prefix}json: cannot unmarshal array into Go value of type map[string]interface {}`,
  )
  assert.match(refusal('"text"'), /cannot unmarshal string into/)
  assert.match(refusal('true'), /cannot unmarshal bool into/)
  assert.match(refusal('12'), /cannot unmarshal number into/)
  assert.equal(refusal('{"a":'), `${prefix}unexpected EOF`)
  assert.equal(refusal('{"a":"x'), `${prefix}unexpected EOF`)
  assert.equal(refusal('{"a":tru}'), `${prefix}invalid character '}'`)
})

test('an error tells one character of a body at most', () => {
  const secret = 'hunter2-and-more'
  for (const text of [
    `{"otp":"${secret}",,}`,
    `{"otp":'${secret}'}`,
    `${secret}`,
    `{"a":"${secret}\n"}`,
  ]) {
    assert.doesNotMatch(refusal(text), /unter2|and-more/)
  }
})

test('CVE-2025-6203: more than 1,000 strings, 64 levels or 100,000 values are refused', () => {
  const strings = (count: number) =>
    `{"x":[${Array(count - 1)
      .fill('"s"')
      .join()}]}`
  assert.equal(fieldsOf(strings(1000)).size, 1)
  assert.equal(refusal(strings(1001)), `${COMPLEX}strings`)
  const deep = (levels: number) => `{"x":${'['.repeat(levels - 1)}${']'.repeat(levels - 1)}}`
  assert.equal(fieldsOf(deep(64)).size, 1)
  assert.equal(refusal(deep(65)), `${COMPLEX}nested levels`)
  assert.equal(refusal(`{"x":[${'1,'.repeat(100_001)}1]}`), `${COMPLEX}values`)
})

test('brackets, commas and escaped quotes inside a string count for nothing', () => {
  const inside = '[{,'.repeat(200_000)
  assert.equal(fieldsOf(JSON.stringify({ a: `${inside}\\"${inside}\\` })).size, 1)
})

test('protocols 3.1: 32 MiB of [ or of quotes are refused within 100 ms', () => {
  for (const byte of ['[', '{"', '"', ',']) {
    const bomb = Buffer.alloc(32 * 1024 * 1024, byte)
    const took = cpuMilliseconds(() => assert.throws(() => parseJsonFields(bomb), PosternError))
    assert.ok(took < 100, `${byte} took ${took} ms`)
  }
})

test('half a surrogate pair becomes the replacement character', () => {
  assert.deepEqual(
    [...fieldsOf('{"a\\ud800":["\\uDFFF"],"b":"\\ud83d\\ude00"}')],
    [
      ['a\ufffd', ['\ufffd']],
      ['b', '😀'],
    ],
  )
})

test('every JSON object of moderate size is read as JSON.parse reads it', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue({ maxDepth: 4 })),
      (value) => {
        const text = JSON.stringify(value)
        const expected = Object.entries(JSON.parse(text))
        assert.deepEqual([...fieldsOf(text)], expected)
      },
    ),
    { numRuns: 100 },
  )
})

test('no bytes make it throw anything but a 400', () => {
  const piece = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    '"',
    '\\',
    ',',
    ':',
    'null',
    '1e9',
    '\\u',
    ' ',
    'é',
    '\0',
  )
  const text = fc.array(piece, { maxLength: 30 }).map((pieces) => Buffer.from(pieces.join('')))
  const bytes = fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array))
  fc.assert(
    fc.property(fc.oneof(text, bytes), (body) => {
      try {
        assert.ok(parseJsonFields(body).fields instanceof Map)
      } catch (error) {
        assert.ok(error instanceof PosternError && error.status === 400)
      }
    }),
    { numRuns: 1000 },
  )
})
