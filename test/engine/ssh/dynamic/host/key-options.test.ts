/** key_option_specs against sshd's grammar (sshd(8), AUTHORIZED_KEYS FILE FORMAT; protocols 4.3). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type KeyOption,
  parseKeyOptions,
} from '../../../../../src/engine/ssh/dynamic/host/key-options.ts'
import { SshFormatError } from '../../../../../src/errors.ts'

const refusal = (specs: string): string => {
  try {
    parseKeyOptions(specs)
  } catch (error) {
    assert.ok(error instanceof SshFormatError, `${error}`)
    return error.message
  }
  return 'accepted'
}

test('protocols 4.3: options that sshd knows are accepted, in any case and order', () => {
  const options = parseKeyOptions(
    'restrict,No-PTY,from="10.0.0.0/8,!10.1.0.0/16",command="echo \\"a, b\\" c",permitopen="[::1]:80",permitlisten="*",permitlisten="h:1",tunnel="any",environment="A=b c",expiry-time="20300101Z"',
  )
  assert.deepEqual(options.slice(0, 4), [
    { name: 'restrict', value: undefined },
    { name: 'no-pty', value: undefined },
    { name: 'from', value: '10.0.0.0/8,!10.1.0.0/16' },
    { name: 'command', value: 'echo "a, b" c' },
  ])
  assert.equal(options.length, 10)
  assert.deepEqual(parseKeyOptions(''), [])
})

test('protocols 4.3: times that sshd takes', () => {
  for (const time of ['20300231', '20301231UTC', '203012312359z', '20301231235960', '19710101']) {
    assert.equal(refusal(`expiry-time="${time}"`), 'accepted', time)
  }
})

test('protocols 4.3: a backslash hides a quote, and nothing else', () => {
  assert.deepEqual(parseKeyOptions('command="a\\b\\\\c"')[0]?.value, 'a\\b\\\\c')
  assert.match(refusal('command="a\\"'), /parted/)
  assert.match(refusal('command="a\\\\" b"'), /accepted/)
})

for (const [what, specs, message] of [
  ['a second line', 'restrict\nssh-ed25519 AAAA me', /control character at offset 8/],
  ['a carriage return', 'restrict\r', /control character/],
  ['a tab in quotes', 'command="a\tb"', /control character/],
  ['a null character', 'command="a\0b"', /control character/],
  ['a line separator', 'command="a\u2028b"', /control character/],
  ['half a character', 'command="\ud800"', /control character/],
  ['a key of its own', 'restrict ssh-ed25519 AAAA', /parted by commas at offset 8/],
  ['a blank behind a comma', 'restrict, pty', /parted/],
  ['an open quote', 'command="a', /parted/],
  ['a quote too many', 'command="a""', /parted/],
  ['a value without quotes', 'command=a', /parted/],
  ['an empty option', 'restrict,,pty', /parted/],
  ['a comma at the end', 'restrict,', /parted/],
  ['a comma at the start', ',restrict', /parted/],
  ['cert-authority', 'cert-authority', /cert-authority is not for keys/],
  ['cert-authority in capitals', 'Cert-Authority', /cert-authority is not for keys/],
  ['principals', 'principals="a"', /principals is not for keys/],
  ['an unknown flag', 'no-restrict', /no-restrict is unknown/],
  ['an unknown option', 'zone-transfer="a"', /zone-transfer is unknown/],
  ['a name that objects inherit', 'constructor', /constructor is unknown/],
  ['a flag with a value', 'pty="yes"', /pty is unknown/],
  ['an option without its value', 'command', /command needs a value/],
  ['two commands', 'command="a",command="b"', /command is there twice/],
  ['two from', 'from="a",FROM="b"', /from is there twice/],
  ['a time that is none', 'expiry-time="tomorrow"', /does not take/],
  ['a month that is none', 'expiry-time="20301301"', /does not take/],
  ['a day that is none', 'expiry-time="20300100Z"', /does not take/],
  ['an hour that is none', 'expiry-time="203001012400"', /does not take/],
  ['a second that is none', 'expiry-time="20300101235999"', /does not take/],
  ['a year before all times', 'expiry-time="19691231Z"', /does not take/],
  ['a variable without a name', 'environment="=a"', /does not take/],
  ['a port that is none', 'permitopen="a:65536"', /does not take/],
  ['no port', 'permitopen="80"', /does not take/],
  ['too much', `command="${'a'.repeat(8192)}"`, /too long/],
] as const) {
  test(`protocols 4.3: ${what} is refused`, () => {
    assert.match(refusal(specs), message)
  })
}

test('protocols 4.3: what is accepted ends where sshd sees the end of the options', () => {
  const value = fc.string({ unit: fc.constantFrom('a', ' ', ',', '=', '\\', "'", '\\"', 'é') })
  const option = fc.oneof(
    fc.constantFrom('restrict', 'pty', 'no-user-rc', 'cert-authority', '', '"', 'command='),
    value.map((text) => `environment="A=${text}"`),
    value,
  )
  const hasSeen = { accepted: false }
  fc.assert(
    fc.property(fc.array(option, { maxLength: 4 }), (parts) => {
      const specs = parts.join(',')
      let options: readonly KeyOption[]
      try {
        options = parseKeyOptions(specs)
      } catch (error) {
        assert.ok(error instanceof SshFormatError, `${error}`)
        return
      }
      hasSeen.accepted ||= options.length > 0
      assert.equal(endOfOptions(`${specs} ssh-ed25519`), specs.length)
      assert.ok(options.every(({ name }) => name !== 'cert-authority'))
    }),
    { numRuns: 2000 },
  )
  assert.ok(hasSeen.accepted)
})

/** As sshd walks over options: to the first blank that is not in quotes. */
function endOfOptions(line: string): number {
  let isQuoted = false
  let at = 0
  for (; at < line.length && (isQuoted || !/[ \t]/.test(line[at] ?? '')); at += 1) {
    if (line.startsWith('\\"', at)) at += 1
    else if (line[at] === '"') isQuoted = !isQuoted
  }
  return at
}
