/** Text of requests that becomes numbers, times, lists and names: no input breaks it or keeps it busy (protocols 3.1, 3.2). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatDuration, parseDuration } from '../../src/duration.ts'
import { parseAddress, parseNetworks } from '../../src/engine/ssh/address.ts'
import { parseAllowedNames } from '../../src/engine/ssh/principals.ts'
import { PosternError } from '../../src/errors.ts'
import { parsePairs, queryFields } from '../../src/http/body/form.ts'
import { parseHost } from '../../src/http/listener/address.ts'
import { canonicalPath } from '../../src/mount/canonical.ts'
import { parseExactJson } from '../../src/mount/exact-json.ts'
import { coerceFields, type FieldType } from '../../src/mount/field.ts'
import { normalizePolicyName } from '../../src/policy/name.ts'
import { parsePattern } from '../../src/policy/pattern.ts'
import { fillTemplate, hasTemplate } from '../../src/policy/template.ts'
import { cpuMilliseconds } from '../support/cpu-time.ts'
import { fuzz } from './runs.ts'

const BUSY_MILLISECONDS = 1000
const LONG = 200_000

const FIELD_TYPES: readonly FieldType[] = [
  'string',
  'lowercase',
  'int',
  'bool',
  'duration',
  'map',
  'string-map',
  'kv-pairs',
  'comma-list',
  'string-list',
  'time',
  'any',
]

/** Fails unless the work is done, or refused with one of these, in linear time. */
function check(work: () => unknown, ...refusals: readonly (new (...args: never[]) => Error)[]) {
  const spent = cpuMilliseconds(() => {
    try {
      work()
    } catch (error) {
      if (!refusals.some((refusal) => error instanceof refusal)) throw error
    }
  })
  assert.ok(spent < BUSY_MILLISECONDS, `took ${Math.round(spent)} ms`)
}

function coerce(type: FieldType, raw: unknown): unknown {
  return coerceFields({ f: { type, description: '' } }, new Map([['f', raw]])).values.f
}

const durationText = fc
  .array(
    fc.oneof(
      fc.constantFrom('+', '-', '.', ' ', 'h', 'm', 's', 'ms', 'us', 'µs', 'μs', 'ns', 'd', 'e'),
      fc.nat().map(String),
      fc.string({ unit: 'binary', maxLength: 3 }),
      fc.constantFrom('9'.repeat(400), '0'.repeat(400), '0.'.repeat(20)),
    ),
    { maxLength: 8 },
  )
  .map((parts) => parts.join(''))

test('a duration is a finite number of seconds or a RangeError', () => {
  fc.assert(
    fc.property(durationText, (text) => {
      check(() => {
        const seconds = parseDuration(text)
        assert.ok(Number.isFinite(seconds), text)
        assert.ok(Math.abs(seconds) <= 9_223_372_036, text)
      }, RangeError)
    }),
    fuzz(3000),
  )
})

test('a duration comes back from its printed form', () => {
  fc.assert(
    fc.property(fc.integer({ min: -9_000_000_000, max: 9_000_000_000 }), (seconds) => {
      assert.equal(parseDuration(formatDuration(seconds)), seconds)
      assert.equal(parseDuration(formatDuration(seconds, true)), seconds)
    }),
    fuzz(1000),
  )
})

test('parts of a duration add up', () => {
  const UNITS = { h: 3600, m: 60, s: 1 }
  const part = fc.tuple(fc.nat(9999), fc.constantFrom('h' as const, 'm' as const, 's' as const))
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 6 }), (parts) => {
      const text = parts.map(([count, unit]) => `${count}${unit}`).join('')
      const sum = parts.reduce((seconds, [count, unit]) => seconds + count * UNITS[unit], 0)
      assert.equal(parseDuration(text), sum)
      assert.equal(parseDuration(`-${text}`), sum === 0 ? -0 : -sum)
    }),
    fuzz(500),
  )
})

const scalar = fc.oneof(
  durationText,
  fc.string({ unit: 'binary' }),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
  fc.constantFrom('0x', '0b', '0o9', '-0', '1_000', '__proto__', '=', ',', '2026-13-99T99:99'),
)
const anyValue = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    scalar,
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(
      fc.oneof(fc.string(), fc.constantFrom('__proto__', 'constructor', 'toString')),
      tie('value'),
      { maxKeys: 4 },
    ),
  ),
})).value

test('every type of field takes a value or refuses it with invalid_field', () => {
  fc.assert(
    fc.property(anyValue, (raw) => {
      for (const type of FIELD_TYPES) {
        check(() => {
          const value = coerce(type, raw)
          if (type === 'int') assert.ok(Number.isSafeInteger(value))
          if (type === 'duration') assert.ok(Number.isSafeInteger(value) && (value as number) >= 0)
          if (type === 'time') assert.ok(Number.isSafeInteger(value))
        }, PosternError)
      }
    }),
    { ...fuzz(1000), examples: [[Number.NEGATIVE_INFINITY]] },
  )
  assert.equal(({} as { polluted?: unknown }).polluted, undefined)
})

const longTexts = [
  ...['9', '1h', '1.', '.', '-', '+', ' ', '\t', '1s ', '=', ',', ', ', 'a,', 'µ', '0x', '\0'],
  ...['a', '/', '+/', '*', '{', '{{', '{{}}', '}}', ':', '::', '1.1.1.1,', '\\', '"', '["', '\n'],
].map((piece) => piece.repeat(Math.ceil(LONG / piece.length)))

test('protocols 3.1: long text of one kind is refused or taken in linear time', () => {
  for (const text of longTexts) {
    for (const long of [text, ` 1${text}x`]) {
      check(() => parseDuration(long), RangeError)
      for (const type of FIELD_TYPES) check(() => coerce(type, long), PosternError)
      check(() => coerce('comma-list', [long]), PosternError)
      check(() => coerce('kv-pairs', { [long]: long }), PosternError)
      check(() => parsePattern(long), PosternError, RangeError)
      check(() => parseAddress(long))
      check(() => parseNetworks(long), RangeError)
      check(() => parseHost(long))
      check(() => parseAllowedNames(long, true), PosternError)
      check(() => parseExactJson(long), SyntaxError)
      check(() => canonicalPath(`/v1/${long}`))
      check(() => queryFields(parsePairs(long)), PosternError)
      check(() => hasTemplate(long) && fillTemplate(long, () => 'a'), RangeError)
      check(() => normalizePolicyName(long))
    }
  }
})

test('addresses, networks and lists of names take any text', () => {
  const piece = fc.oneof(
    fc.constantFrom('1', '255', '.', ':', '::', '/', '32', '%eth0', ',', ' ', '[', ']', '{{', '}}'),
    fc.string({ unit: 'binary', maxLength: 4 }),
    fc.ipV4(),
    fc.ipV6(),
  )
  const text = fc.array(piece, { maxLength: 8 }).map((parts) => parts.join(''))
  fc.assert(
    fc.property(text, (input) => {
      parseAddress(input)
      check(() => parseNetworks(input), RangeError)
      parseHost(input)
      check(() => parseAllowedNames(input, true), PosternError)
      check(() => parsePattern(input), PosternError, RangeError)
    }),
    fuzz(2000),
  )
})
