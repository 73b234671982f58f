import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { PosternError } from '../../src/errors.ts'
import { coerceFields, type FieldType } from '../../src/mount/field.ts'
import { fuzz } from '../fuzz/runs.ts'
import { cpuMilliseconds } from '../support/cpu-time.ts'

function coerce(type: FieldType, raw: unknown): unknown {
  const fields = { f: { type, description: '' } }
  return coerceFields(fields, new Map([['f', raw]])).values.f
}

const UNCONVERTIBLE = (type: string, goType: string) =>
  `'' expected type '${type}', got unconvertible type '${goType}'`
const INT = "'' cannot parse value as 'int': strconv.ParseInt: invalid syntax"
const BOOL = "'' cannot parse value as 'bool': strconv.ParseBool: invalid syntax"

describe('contract 1.5: what each type of field accepts', () => {
  const rows: [FieldType, unknown, unknown][] = [
    ['string', 'a', 'a'],
    ['string', 12, '12'],
    ['string', 1.5, '1.5'],
    ['string', true, '1'],
    ['string', false, '0'],
    ['string', null, ''],
    ['lowercase', 'MiXed', 'mixed'],
    ['int', 22, 22],
    ['int', '22', 22],
    ['int', '-7', -7],
    ['int', '', 0],
    ['int', '0x10', 16],
    ['int', '010', 8],
    ['int', '0b11', 3],
    ['int', true, 1],
    ['int', null, 0],
    ...[true, 1, '1', 't', 'T', 'TRUE', 'true', 'True'].map(
      (raw): [FieldType, unknown, unknown] => ['bool', raw, true],
    ),
    ...[false, 0, '0', 'f', 'F', 'FALSE', 'false', 'False', '', null].map(
      (raw): [FieldType, unknown, unknown] => ['bool', raw, false],
    ),
    ['duration', 90, 90],
    ['duration', '90', 90],
    ['duration', '30m0s', 1800],
    ['duration', '1h30m', 5400],
    ['duration', '1.5h', 5400],
    ['duration', '100ms', 0],
    ['duration', '1500ms', 1],
    ['duration', '1d', 86_400],
    ['duration', '', 0],
    ['duration', null, 0],
    ['map', { a: 1 }, new Map([['a', 1]])],
    [
      'map',
      [{ a: '', b: 1 }, { b: '2' }],
      new Map<string, unknown>([
        ['a', ''],
        ['b', '2'],
      ]),
    ],
    ['map', null, new Map()],
    [
      'string-map',
      { a: 1, b: true, c: null },
      new Map([
        ['a', '1'],
        ['b', 'true'],
        ['c', ''],
      ]),
    ],
    ['kv-pairs', { a: 'b' }, new Map([['a', 'b']])],
    [
      'kv-pairs',
      ['k=v', 'x=y=z'],
      new Map([
        ['k', 'v'],
        ['x', 'y=z'],
      ]),
    ],
    ['kv-pairs', 'k=v', new Map([['k', 'v']])],
    ['comma-list', 'a, b ,,c', ['a', 'b', 'c']],
    ['comma-list', ['a', 'b'], ['a', 'b']],
    ['comma-list', 7, ['7']],
    ['comma-list', '', []],
    ['string-list', ['a', 'b,c'], ['a', 'b,c']],
    ['string-list', 'p1,p2', ['p1,p2']],
    ['string-list', null, []],
    ['time', 1_795_348_800, 1_795_348_800],
    ['time', '1795348800', 1_795_348_800],
    ['time', '2026-11-22T12:00:00Z', 1_795_348_800],
    ['time', '2026-11-22T13:30:00.5+01:30', 1_795_348_800],
    ['any', { a: [1] }, { a: [1] }],
  ]
  for (const [type, raw, expected] of rows) {
    test(`${type} takes ${JSON.stringify(raw)}`, () => {
      assert.deepEqual(coerce(type, raw), expected)
    })
  }
})

describe('contract 1.5: what each type of field refuses', () => {
  const rows: [FieldType, unknown, string | RegExp][] = [
    ['string', ['a'], UNCONVERTIBLE('string', '[]interface {}')],
    ['string', {}, UNCONVERTIBLE('string', 'map[string]interface {}')],
    ['int', 22.7, INT],
    ['int', 'abc', INT],
    ['int', '12 ', INT],
    ['int', '99999999999999999999', INT],
    ['int', [1], UNCONVERTIBLE('int', '[]interface {}')],
    ['bool', 'yes', BOOL],
    ['bool', 'on', BOOL],
    ['bool', 2, BOOL],
    ['bool', [], UNCONVERTIBLE('bool', '[]interface {}')],
    ['duration', 90.5, /^time: /],
    ['duration', '1w', /^time: /],
    ['duration', '1e3', /^time: /],
    ['duration', '1.5d', /^time: /],
    ['duration', -5, "cannot provide negative value '-5'"],
    ['duration', '-5s', "cannot provide negative value '-5'"],
    ['duration', [], /duration/],
    ['map', 'a', UNCONVERTIBLE('map[string]interface {}', 'string')],
    ['map', [1], UNCONVERTIBLE('map[string]interface {}', '[]interface {}')],
    ['string-map', { a: [] }, UNCONVERTIBLE('string', '[]interface {}')],
    ['kv-pairs', ['kv'], 'invalid key pair "kv"'],
    ['kv-pairs', ['=v'], 'invalid key pair "=v"'],
    ['comma-list', {}, UNCONVERTIBLE('string', 'map[string]interface {}')],
    ['string-list', [{}], UNCONVERTIBLE('string', 'map[string]interface {}')],
    ['time', 'soon', /time/],
    ['time', '2026-11-22T12:00:00', /time/],
    ['time', '2026-13-22T12:00:00Z', /time/],
    ['time', 1e300, /time/],
  ]
  for (const [type, raw, detail] of rows) {
    test(`${type} refuses ${JSON.stringify(raw)}`, () => {
      assert.throws(
        () => coerce(type, raw),
        (error: PosternError) => {
          const head = 'Field validation failed: error converting input for field "f": '
          const [message = ''] = error.messages
          assert.equal(error.status, 400)
          assert.ok(message.startsWith(head), message)
          const rest = message.slice(head.length)
          if (typeof detail === 'string') assert.equal(rest, detail)
          else assert.match(rest, detail)
          return true
        },
      )
    })
  }
})

describe('coercion of a request', () => {
  const fields = {
    name: { type: 'string', default: 'token', description: '' },
    count: { type: 'int', description: '' },
  } as const

  test('gives defaults for what is absent or null, and tells what was given', () => {
    const { values, given } = coerceFields(fields, new Map<string, unknown>([['name', null]]))
    assert.deepEqual({ ...values }, { name: 'token', count: 0 })
    assert.deepEqual([...given], ['name'])
  })

  test('protocols 3.1: values have no prototype, and undeclared names are not looked at', () => {
    const { values } = coerceFields(fields, new Map<string, unknown>([['__proto__', { a: 1 }]]))
    assert.equal(Object.getPrototypeOf(values), null)
    assert.equal((values as { toString?: unknown }).toString, undefined)
  })

  test('a text of megabytes is refused without reading all that it could hold', () => {
    const rows: [FieldType, string][] = [
      ['duration', '1s'],
      ['comma-list', 'a,'],
    ]
    for (const [type, part] of rows) {
      const text = part.repeat(4_000_000)
      const taken = cpuMilliseconds(() =>
        assert.throws(() => coerce(type, text), { code: 'invalid_field' }),
      )
      assert.ok(taken < 500, `${type} took ${taken} ms`)
    }
    const { length } = coerce('comma-list', 'a,'.repeat(99_999)) as string[]
    assert.equal(length, 99_999)
  })

  test('any JSON value is taken or refused with a 400, in every type', () => {
    const types: FieldType[] = [
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
    fc.assert(
      fc.property(fc.constantFrom(...types), fc.jsonValue({ maxDepth: 3 }), (type, raw) => {
        try {
          coerce(type, raw)
        } catch (error) {
          assert.ok(error instanceof PosternError)
          assert.equal(error.code, 'invalid_field')
        }
      }),
      fuzz(500),
    )
  })

  test('a whole number comes out of int as it went in', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (number) => {
        assert.equal(coerce('int', number), number)
        assert.equal(coerce('int', String(number)), number)
      }),
      fuzz(200),
    )
  })
})
