import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressBlocks, canonicalAddress, ownAddresses } from '../../src/host/address.ts'

test('CVE-2020-24359: one address has one spelling', () => {
  const spellings = [
    ['10.0.0.1', '10.0.0.1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['::FFFF:0a00:1', '10.0.0.1'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['FD00:0::0:1', 'fd00::1'],
  ] as const
  for (const [text, canonical] of spellings) assert.equal(canonicalAddress(text), canonical)
})

test('what is no plain address has no canonical form', () => {
  for (const text of [
    '',
    '010.1.2.3',
    '10.0.0.1/32',
    '10.0.0',
    'host',
    'fe80::1%eth0',
    ' 10.0.0.1',
  ]) {
    assert.equal(canonicalAddress(text), undefined, text)
  }
})

test('the own addresses hold the loopback ones, each once', () => {
  const addresses = ownAddresses()
  assert.ok(addresses.includes('127.0.0.1'))
  assert.equal(new Set(addresses).size, addresses.length)
})

test('blocks cover their addresses of either version and no others', () => {
  const covers = addressBlocks(['10.1.0.0/16', 'fd00::/8'])
  assert.equal(covers('10.1.255.255'), true)
  assert.equal(covers('10.2.0.0'), false)
  assert.equal(covers('fd12::1'), true)
  assert.equal(covers('fe80::1'), false)
  assert.equal(covers('nonsense'), false)
})

test('a block that cannot be read is refused', () => {
  for (const block of ['10.0.0.0', '10.0.0.0/33', 'fd00::/129', 'x/8', '10.0.0.0/-1', '']) {
    assert.throws(() => addressBlocks([block]), TypeError, block)
  }
})
