/** HCL1 and JSON texts to values with places, and the refusals with the family's words. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { blocksOf, entriesOf, invalidKeys, plainValue } from '../../src/hcl/block.ts'
import { HclError } from '../../src/hcl/error.ts'
import { MAX_TEXT_BYTES, parseHcl } from '../../src/hcl/parse.ts'
import { fuzz } from '../fuzz/runs.ts'
import { cpuMilliseconds } from '../support/cpu-time.ts'

const plain = (text: string): unknown => plainValue(parseHcl(text))

function refusal(text: string): string {
  try {
    parseHcl(text)
  } catch (error) {
    assert.ok(error instanceof HclError, `not the parser's own error: ${error}`)
    return error.message
  }
  return 'accepted'
}

describe('values', () => {
  const values: [string, unknown][] = [
    ['a = "x"', 'x'],
    ['a = ""', ''],
    ['a = 12', 12],
    ['a = -3', -3],
    ['a = 0x1F', 31],
    ['a = 0755', 493],
    ['a = 1.5', 1.5],
    ['a = 2e3', 2000],
    ['a = true', true],
    ['a = false', false],
    ['a = []', []],
    ['a = ["x", 1, true, ["y"],]', ['x', 1, true, ['y']]],
    ['a = {}', new Map()],
    [
      'a = { b = 1, c = 2 }',
      new Map([
        ['b', 1],
        ['c', 2],
      ]),
    ],
    [
      'a { "b" = 1 c = 2 }',
      new Map([
        ['b', 1],
        ['c', 2],
      ]),
    ],
    ['a = "\\t\\n\\"\\\\\\u00e9\\x41\\101\\U0001F600"', '\t\n"\\éAA😀'],
    ['a = "no # comment // here /* either */"', 'no # comment // here /* either */'],
    ['a = <<EOT\n one\n two\nEOT\n', ' one\n two\n'],
    ['a = <<-EOT\n  one\n   two\n  EOT\n', 'one\n two\n'],
    ['a = <<-EOT\none\n  EOT\n', 'one\n'],
    ['a = <<EOT\nEOT', ''],
    ['\uFEFFa = 1', 1],
    ['# c\n// c\n/* c\n c */ a /* c */ = # c\n 1 // end', 1],
    ['a\n=\n1', 1],
    ['"a" = 1', 1],
    ['a = "x"\r\n', 'x'],
    ['{"a": "x\\u00e9\\/"}', 'xé/'],
    ['{"a": null}', null],
    ['{"a": [1, -2.5e1, true, {"b": []}]}', [1, -25, true, new Map([['b', []]])]],
    ['\n {"a": {}}\n', new Map()],
  ]
  for (const [text, expected] of values) {
    it(`reads ${JSON.stringify(text)}`, () => {
      assert.deepEqual(plain(text), new Map([['a', expected]]))
    })
  }

  it('an empty text and a text of comments are an object without entries', () => {
    for (const text of ['', ' \n\t', '# nothing', '/* nothing */', '{}']) {
      assert.deepEqual(parseHcl(text).entries, [])
    }
  })

  it('keeps repeated keys apart, in the order of the text', () => {
    const { entries } = parseHcl('b = 1\na = 2\nb = 3')
    assert.deepEqual(
      entries.map((entry) => entry.key),
      ['b', 'a', 'b'],
    )
  })

  it('keeps a number as written, for file modes', () => {
    const [mode] = parseHcl('mode = 0600').entries
    assert.ok(mode?.value.kind === 'number')
    assert.equal(mode.value.text, '0600')
  })

  it('tells line and column of keys and values, in both forms', () => {
    const [entry] = parseHcl('\n# c\n  key = [\n "x"]').entries
    assert.deepEqual([entry?.line, entry?.column], [3, 3])
    assert.ok(entry?.value.kind === 'list')
    assert.deepEqual([entry.value.line, entry.value.items[0]?.line], [3, 4])
    const [json] = parseHcl('{\n  "key": 1}').entries
    assert.deepEqual([json?.line, json?.column, json?.value.column], [2, 3, 10])
  })

  it('takes `__proto__` and `constructor` as keys like any other', () => {
    for (const text of ['__proto__ = { constructor = 1 }', '{"__proto__":{"constructor":1}}']) {
      assert.deepEqual(plain(text), new Map([['__proto__', new Map([['constructor', 1]])]]))
    }
    assert.equal(({} as Record<string, unknown>)['constructor'], Object)
  })
})

describe('refusals', () => {
  const refusals: [string, string][] = [
    ['path {', 'At 1:8: object expected closing RBRACE got: EOF'],
    ['path "a" {\n', 'At 2:2: object expected closing RBRACE got: EOF'],
    ['a', "At 1:2: key 'a' expected start of object ('{') or assignment ('=')"],
    ['path "a" ]', "At 1:10: key 'path a' expected start of object ('{') or assignment ('=')"],
    ['= 1', 'At 1:1: expected to find at least one object key'],
    ['{', 'At 1:2: expected: STRING got: EOF'],
    ['a = { { } }', 'At 1:7: expected: IDENT | STRING got: LBRACE'],
    ['}', 'At 1:1: expected: IDENT | STRING | ASSIGN | LBRACE got: RBRACE'],
    ['a b = 1', 'At 1:5: nested object expected: LBRACE got: ASSIGN'],
    ['a = ', 'At 1:5: Unknown token: EOF'],
    ['a = b', 'At 1:5: Unknown token: IDENT'],
    ['a = [1 2]', 'At 1:8: error parsing list, expected comma or list end, got: NUMBER'],
    ['a = [', 'At 1:6: unexpected token while parsing list: EOF'],
    ['a = [,]', 'At 1:6: unexpected token while parsing list: COMMA'],
    ['a = "x', 'At 1:5: literal not terminated'],
    ['a = "x\ny"', 'At 1:5: literal not terminated'],
    ['a = "\\q"', 'At 1:5: illegal char escape'],
    ['a = "\\ud800"', 'At 1:5: illegal char escape'],
    ['/* never', 'At 1:1: comment not terminated'],
    ['a = <<EOT\nx\n', 'At 1:5: heredoc not terminated'],
    ['a = <b', 'At 1:5: illegal character'],
    ['a = 09', 'At 1:5: illegal number'],
    ['a = 1e999', 'At 1:5: illegal number'],
    ['a = 1 ;', 'At 1:7: illegal character'],
    ['a = 1\0', 'At 1:6: illegal character'],
    ['{"a": 1} x', 'At 1:10: text after the closing brace'],
    ['{"a": 1,}', 'At 1:9: expected: STRING got: }'],
    ['{"a" 1}', "At 1:6: expected ':' got: 1"],
    ['{"a": [1 2]}', "At 1:10: expected ']' got: 2"],
    ['{"a": nul}', 'At 1:7: expected a value got: n'],
    ['{"a": 01}', "At 1:8: expected '}' got: 1"],
    ['{"a": "\\q"}', 'At 1:7: illegal char escape'],
    ['{"a": "\t"}', 'At 1:7: illegal char escape'],
    ['{a = 1}', 'At 1:2: expected: STRING got: a'],
  ]
  for (const [text, expected] of refusals) {
    it(`says why ${JSON.stringify(text)} is refused`, () => {
      assert.equal(refusal(text), expected)
    })
  }

  it('nesting deeper than 32 is refused in both forms, 32 is accepted (protocols 3.2)', () => {
    const nested = (depth: number): string => `a = ${'['.repeat(depth)}${']'.repeat(depth)}`
    assert.equal(refusal(nested(31)), 'accepted')
    assert.equal(refusal(nested(32)), 'At 1:36: nested deeper than 32 levels')
    const json = (depth: number): string => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`
    assert.equal(refusal(json(32)), 'accepted')
    assert.match(refusal(json(33)), /nested deeper than 32 levels/)
  })

  it('text above 1 MiB is refused, counted in bytes', () => {
    assert.equal(refusal(`#${'x'.repeat(MAX_TEXT_BYTES - 1)}`), 'accepted')
    assert.match(refusal(`#${'x'.repeat(MAX_TEXT_BYTES)}`), /larger than 1048576 bytes/)
    assert.match(refusal(`#${'é'.repeat(MAX_TEXT_BYTES / 2)}`), /larger than 1048576 bytes/)
  })
})

describe('blocks', () => {
  const forms = [
    'audit "file" "log" { mode = "0600" }',
    'audit "file" { "log" { mode = "0600" } }',
    'audit { file { log = { mode = "0600" } } }',
    '{"audit": {"file": {"log": {"mode": "0600"}}}}',
    '{"audit": [{"file": [{"log": {"mode": "0600"}}]}]}',
  ]
  for (const text of forms) {
    it(`finds both labels in ${text}`, () => {
      const blocks = blocksOf(parseHcl(text).entries[0]!, 2)
      assert.deepEqual(
        blocks.map((block) => [block.labels, plainValue(block.body)]),
        [[['file', 'log'], new Map([['mode', '0600']])]],
      )
    })
  }

  it('a block with too many labels or without an object is refused', () => {
    const first = (text: string) => () => blocksOf(parseHcl(text).entries[0]!, 1)
    assert.throws(first('path "a" "b" {}'), { message: 'At 1:1: path takes 1 labels, got 2' })
    assert.throws(first('path = 1'), { message: 'At 1:1: path: expected an object, got a number' })
    assert.throws(first('path { a = [] b = true }'), {
      message: /b: expected an object, got a bool/,
    })
    assert.throws(first('path { a "b" {} }'), HclError)
  })

  it('joins the entries of a list of objects', () => {
    const entries = entriesOf(parseHcl('a = [{ b = 1 }, { c = 2 }]').entries[0]!.value)
    assert.deepEqual(
      entries?.map((entry) => entry.key),
      ['b', 'c'],
    )
    assert.equal(entriesOf(parseHcl('a = [1]').entries[0]!.value), undefined)
  })

  it('names unknown keys with their line', () => {
    const file = parseHcl('vault_addr = "x"\n\n\n\nbogus = 1')
    assert.deepEqual(invalidKeys(file, new Set(['vault_addr'])), ['invalid key "bogus" on line 5'])
  })
})

describe('any input', () => {
  const pieces = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    '=',
    ',',
    '"',
    '\\',
    '\n',
    ' ',
    '#',
    '/*',
    '*/',
    '//',
    '<<',
    '<<-',
    'EOT',
    'a',
    'path',
    'true',
    'null',
    '1',
    '-',
    '.',
    '0x',
    'e9',
    ':',
    '${',
    '\u0000',
    '\uD800',
    'é',
    '__proto__',
  )
  it('throws nothing but the own error', () => {
    const soup = fc.array(pieces, { maxLength: 60 }).map((list) => list.join(''))
    const texts = fc.oneof(
      soup,
      fc.string({ unit: 'binary' }),
      soup.map((text) => `{${text}`),
    )
    fc.assert(
      fc.property(texts, (text) => {
        refusal(text)
      }),
      fuzz(2000),
    )
  })

  it('JSON that JSON.parse accepts means the same here', () => {
    const toMaps = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(toMaps)
      if (value === null || typeof value !== 'object') return value
      return new Map(Object.entries(value).map(([key, inner]) => [key, toMaps(inner)]))
    }
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 5 })), (object) => {
        const text = JSON.stringify(object)
        assert.deepEqual(plain(text), toMaps(JSON.parse(text)))
      }),
      fuzz(200),
    )
  })

  it('a megabyte of `[` is refused at once (protocols 3.2)', () => {
    const took = cpuMilliseconds(() => {
      for (const head of ['', 'a=', '{"a":']) refusal(head.padEnd(MAX_TEXT_BYTES, '['))
    })
    assert.ok(took < 100, `took ${took} ms`)
  })

  it('long repetitions of anything take linear time', () => {
    const size = MAX_TEXT_BYTES / 4
    const fill = (unit: string): string => unit.repeat(Math.floor(size / unit.length))
    const units = [
      '[',
      '{',
      '"',
      '\\',
      'a ',
      'a=1 ',
      '/*',
      '#\n',
      '\n',
      '-',
      '<<A\n',
      '"x" ',
      '0',
      'a{}',
      '.',
    ]
    const heads = ['', 'a=', 'a="', '{"a":', '{"a":"', 'a=<<E\n', '/*', '{"a":[']
    for (const head of heads) {
      for (const unit of units) {
        const took = cpuMilliseconds(() => refusal(head + fill(unit)))
        assert.ok(
          took < 500,
          `${JSON.stringify(head)} and many ${JSON.stringify(unit)}: ${took} ms`,
        )
      }
    }
  })
})
