/** Addresses and CIDR lists of one-time-password roles. */
import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { parseAddress, parseNetworks } from '../../../src/engine/ssh/address.ts'

describe('parseAddress', () => {
  const canonical = [
    ['10.1.2.3', '10.1.2.3'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['::FFFF:a00:1', '10.0.0.1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['0:0:0:0:0:0:0:0', '::'],
  ] as const
  for (const [text, expected] of canonical) {
    test(`${text} is ${expected} (CVE-2020-24359: one canonical form)`, () => {
      assert.equal(parseAddress(text)?.text, expected)
    })
  }

  for (const text of [
    '',
    '010.1.2.3',
    '1.2.3',
    'host.example',
    'fe80::1%eth0',
    '10.0.0.1/8',
    ' 10.0.0.1',
  ]) {
    test(`${JSON.stringify(text)} is no address`, () => {
      assert.equal(parseAddress(text), undefined)
    })
  }

  test('a canonical text is its own canonical form', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
        const address = parseAddress(text)
        assert.equal(address === undefined, isIP(text) === 0)
        if (address) assert.deepEqual(parseAddress(address.text), address)
      }),
      { numRuns: 200 },
    )
  })
})

describe('parseNetworks', () => {
  const cases = [
    ['10.0.0.0/8', '10.9.9.9', true],
    ['10.0.0.0/8', '11.0.0.0', false],
    ['10.0.0.0/8, 11.0.0.0/8', '11.0.0.1', true],
    ['10.1.2.3/8', '10.255.0.1', true],
    ['0.0.0.0/0', '1.2.3.4', true],
    ['0.0.0.0/0', '::1', false],
    ['::/0', '1.2.3.4', false],
    ['::/0', '2001:db8::1', true],
    ['2001:db8::/32', '2001:DB8::7', true],
    ['::ffff:10.0.0.0/104', '10.1.1.1', true],
    ['10.0.0.0/8', '::ffff:10.1.1.1', true],
    ['127.0.0.1/32,', '127.0.0.1', true],
  ] as const
  for (const [list, text, expected] of cases) {
    test(`${list} ${expected ? 'holds' : 'does not hold'} ${text}`, () => {
      const address = parseAddress(text)
      assert.ok(address)
      assert.equal(parseNetworks(list).contains(address), expected)
    })
  }

  test('an empty list holds no address', () => {
    const networks = parseNetworks('')
    assert.equal(networks.isEmpty, true)
    assert.equal(networks.contains({ family: 'ipv4', text: '10.0.0.1' }), false)
  })

  for (const entry of [
    'nonsense',
    '10.0.0.0',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/08',
    '::/129',
    '::ffff:10.0.0.0/95',
    '/8',
  ]) {
    test(`${entry} is refused by name`, () => {
      assert.throws(() => parseNetworks(`10.0.0.0/8,${entry}`), {
        name: 'RangeError',
        message: `invalid CIDR address: ${entry}`,
      })
    })
  }
})
