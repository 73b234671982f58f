/** The quoting of everything that a program for a host holds (protocols 4.2), judged by the shells that read it. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import fc from 'fast-check'
import { shQuote } from '../../../../../src/engine/ssh/dynamic/host/shell-quote.ts'

const part = fc.constantFrom(
  ...[
    "'",
    "''",
    "'\\''",
    '"',
    '\\',
    '\\n',
    '\n',
    '\r',
    '\t',
    ' ',
    '$x',
    '`id`',
    '$(id)',
    '!!',
    '*',
  ],
  ...[
    '{a,b}',
    '~',
    '#',
    ';',
    '&',
    '|',
    '<',
    '>',
    '(',
    '\\0',
    '%s',
    '-n',
    'é',
    '\u{1f600}',
    '\x01',
    '\x7f',
  ],
)
const text = fc.oneof(
  fc.array(part).map((parts) => parts.join('')),
  fc.string({ unit: 'binary' }).filter((one) => !one.includes('\0') && one.isWellFormed()),
)

for (const shell of [['dash'], ['bash'], ['busybox', 'sh']] as const) {
  test(`protocols 4.2: ${shell.join(' ')} reads a quoted text back as it was, on its standard input`, () => {
    const [program, ...args] = shell
    fc.assert(
      // Many texts for each shell that is started.
      fc.property(fc.array(text, { minLength: 1, maxLength: 50 }), (texts) => {
        const input = texts.map((one) => `printf '%s\\0' ${shQuote(one)}\n`).join('')
        const { stdout, stderr } = spawnSync(program, [...args, '-s'], { input, encoding: 'utf8' })
        assert.equal(stderr, '')
        assert.deepEqual(stdout.split('\0').slice(0, -1), texts)
      }),
      { numRuns: 30 },
    )
  })
}

test('a null character is refused', () => {
  assert.throws(() => shQuote('a\0b'), RangeError)
})
