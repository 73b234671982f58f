/** Addresses that a role reaches only when it names them on purpose (protocols 4.6). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Address, parseAddress } from '../../../../src/engine/ssh/address.ts'
import { checkOutgoing } from '../../../../src/engine/ssh/dynamic/outgoing.ts'

function isAllowed(address: string, cidrList: string, allowLoopback = false): boolean {
  try {
    checkOutgoing(parseAddress(address) as Address, cidrList, allowLoopback)
    return true
  } catch (error) {
    assert.match(String(error), /cidr_list has to name it with a prefix longer than \/8/)
    return false
  }
}

test('protocols 4.6: special addresses need a network longer than /8', () => {
  const cases: readonly [string, string][] = [
    ['127.0.0.1', '127.0.0.0/16'],
    ['127.8.9.10', '127.8.0.0/16'],
    ['0.0.0.0', '0.0.0.0/32'],
    ['::1', '::1/128'],
    ['169.254.169.254', '169.254.0.0/16'],
    ['fe80::1', 'fe80::/10'],
    ['224.0.0.1', '224.0.0.0/24'],
    ['255.255.255.255', '255.255.255.255/32'],
    ['ff02::1', 'ff02::/16'],
    ['100.100.100.200', '100.100.100.0/24'],
    ['168.63.129.16', '168.63.129.16/32'],
    ['192.0.0.192', '192.0.0.192/32'],
    ['fd00:ec2::254', 'fd00:ec2::254/128'],
    ['64:ff9b::7f00:1', '64:ff9b::/96'],
    ['64:ff9b::a9fe:a9fe', '64:ff9b::/96'],
  ]
  for (const [address, narrow] of cases) {
    assert.equal(isAllowed(address, '0.0.0.0/0,::/0,127.0.0.0/8,224.0.0.0/8'), false, address)
    assert.equal(isAllowed(address, ''), false, address)
    assert.equal(isAllowed(address, `0.0.0.0/0, ${narrow}`), true, address)
  }
})

test('addresses of hosts pass whatever names them', () => {
  for (const address of ['10.0.0.1', '192.0.2.7', '2001:db8::1', '64:ff9b::a00:1', '1.1.1.1']) {
    assert.equal(isAllowed(address, '0.0.0.0/0'), true, address)
    assert.equal(isAllowed(address, ''), true, address)
  }
})

test('a dev server reaches its own machine, and nothing more', () => {
  for (const address of ['127.0.0.1', '::1']) assert.equal(isAllowed(address, '', true), true)
  assert.equal(isAllowed('169.254.169.254', '0.0.0.0/0', true), false)
})
