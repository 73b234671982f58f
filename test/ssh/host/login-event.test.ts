import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { SshFormatError } from '../../../src/errors.ts'
import {
  encodeLoginEvent,
  eventText,
  loginMethods,
  parseLoginEvent,
} from '../../../src/ssh/host/login-event.ts'

const text = fc
  .string({ minLength: 1, maxLength: 300, unit: 'binary' })
  .map((one) => eventText(one))
const fingerprint = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => `SHA256:${Buffer.from(bytes).toString('base64').replace('=', '')}`)

const events = fc.record(
  {
    seq: fc.maxSafeNat(),
    at: fc.maxSafeNat(),
    type: fc.constantFrom('login', 'logout'),
    session: fc.constant('0a1b.7.9'),
    user: text,
    from: text,
    port: fc.integer({ min: 0, max: 65_535 }),
    service: text,
    method: fc.constantFrom(...loginMethods),
    certificate: fc.record(
      {
        serial: fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }),
        caFingerprint: fingerprint,
        keyId: fc.string({ maxLength: 40 }).map((one) => eventText(one)),
      },
      { noNullPrototype: true },
    ),
    fingerprint,
    otpLease: text,
  },
  {
    requiredKeys: ['seq', 'at', 'type', 'session', 'user', 'from', 'service', 'method'],
    noNullPrototype: true,
  },
)

suite('an event of a login', () => {
  test('is read as it was written', () => {
    fc.assert(
      fc.property(events, (event) => {
        const json = JSON.parse(JSON.stringify(encodeLoginEvent(event)))
        assert.deepEqual(parseLoginEvent(json), { ...event })
      }),
      { numRuns: 200 },
    )
  })

  test('of any other form is refused, and breaks nothing', () => {
    const members = fc.record(
      {
        ...Object.fromEntries(
          ['seq', 'at', 'type', 'session', 'user', 'from', 'port', 'service', 'method'].map(
            (name) => [name, fc.anything()],
          ),
        ),
        certificate: fc.anything(),
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(fc.oneof(fc.anything(), members), (value) => {
        assert.throws(() => parseLoginEvent(value), SshFormatError)
      }),
      { numRuns: 300 },
    )
  })

  test('holds no text that ends a line, steers a terminal, or turns its direction', () => {
    for (const character of ['\n', '\u001b', '\0', '\u202e', '\u0085']) {
      const event = {
        ...{ seq: 1, at: 1, type: 'login', session: 'a.1.1', user: `a${character}b` },
        ...{ from: 'x', service: 'sshd', method: 'other' },
      }
      assert.throws(() => parseLoginEvent(event), SshFormatError)
      assert.equal(eventText(`a${character}b`), 'a?b')
    }
  })
})
