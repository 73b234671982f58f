import assert from 'node:assert/strict'
import { test } from 'node:test'
import { canonicalAddress, parseHost } from '../../../src/http/listener/address.ts'
import { type ForwardedSettings, resolveForwarded } from '../../../src/http/listener/forwarded.ts'
import { ask, start } from '../harness.ts'

const settings: ForwardedSettings = {
  authorizedAddresses: ['10.0.0.0/8', '192.168.1.1', '2001:db8::/32'],
  hopSkips: 0,
  rejectNotAuthorized: true,
  rejectNotPresent: true,
}

test('addresses have one spelling', () => {
  const cases = [
    ['10.0.0.1', '10.0.0.1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['::FFFF:a00:1', '10.0.0.1'],
    ['2001:0DB8:0::0001', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['::1', '::1'],
    ['10.0.0', undefined],
    ['010.0.0.1', undefined],
    ['host', undefined],
    ['', undefined],
  ] as const
  for (const [text, address] of cases) assert.equal(canonicalAddress(text), address, text)
  assert.equal(parseHost(' 10.0.0.1:8080 '), '10.0.0.1')
  assert.equal(parseHost('[2001:db8::1]:443'), '2001:db8::1')
  assert.equal(parseHost('[2001:db8::1]'), '2001:db8::1')
  assert.equal(parseHost('2001:db8::1'), '2001:db8::1')
  assert.equal(parseHost('10.0.0.1:x'), undefined)
  assert.equal(parseHost('unknown'), undefined)
})

test('the last hop of a known proxy is the client', () => {
  const resolve = resolveForwarded(settings)
  assert.equal(resolve('10.9.9.9', '1.2.3.4'), '1.2.3.4')
  assert.equal(resolve('192.168.1.1', 'forged, 1.2.3.4, 5.6.7.8'), '5.6.7.8')
  assert.equal(resolve('2001:db8::9', '[2001:db8::1]:80'), '2001:db8::1')
})

test('own proxies at the end are skipped, and too few hops are refused', () => {
  const resolve = resolveForwarded({ ...settings, hopSkips: 1 })
  assert.equal(resolve('10.0.0.1', '1.1.1.1, 2.2.2.2, 3.3.3.3'), '2.2.2.2')
  assert.throws(() => resolve('10.0.0.1', '3.3.3.3'), /fewer hops/)
})

test('a header from elsewhere is refused, or ignored when the settings say so', () => {
  assert.throws(() => resolveForwarded(settings)('192.168.1.2', '1.2.3.4'), /not accepted/)
  const lenient = resolveForwarded({ ...settings, rejectNotAuthorized: false })
  assert.equal(lenient('192.168.1.2', '1.2.3.4'), '192.168.1.2')
})

test('a missing header is refused, or the connection counts when the settings say so', () => {
  for (const header of [undefined, '', ' ']) {
    assert.throws(() => resolveForwarded(settings)('10.0.0.1', header), /missing/)
    const lenient = resolveForwarded({ ...settings, rejectNotPresent: false })
    assert.equal(lenient('10.0.0.1', header), '10.0.0.1')
  }
})

test('a hop that is no address is refused', () => {
  for (const header of ['unknown', '1.2.3.4,', '1.2.3.4, _hidden', '1.2.3.400']) {
    assert.throws(() => resolveForwarded(settings)('10.0.0.1', header), /no address/)
  }
})

test('settings that name no block are refused', () => {
  for (const block of [
    '',
    'host',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '::/129',
    '1.2.3.4/-1',
  ]) {
    const authorizedAddresses = [block]
    assert.throws(() => resolveForwarded({ ...settings, authorizedAddresses }), RangeError, block)
  }
})

test('the core sees the forwarded address, and the own one where nothing is forwarded', async (t) => {
  const started = await start(t, {
    handle: async ({ remoteAddress, remotePort }) => ({
      kind: 'bare',
      status: 200,
      body: { remoteAddress, hasPort: remotePort > 0 },
    }),
    listener: {
      forwarded: {
        ...settings,
        authorizedAddresses: ['127.0.0.1/32'],
        rejectNotPresent: false,
      },
    },
  })
  const seen = async (...headers: string[]) =>
    JSON.parse((await ask(started, 'GET /v1/a', headers)).body)
  assert.deepEqual(await seen('X-Forwarded-For: 1.2.3.4', 'X-Forwarded-For: 5.6.7.8'), {
    remoteAddress: '5.6.7.8',
    hasPort: true,
  })
  assert.deepEqual(await seen(), { remoteAddress: '127.0.0.1', hasPort: true })
  assert.match((await seen('X-Forwarded-For: x')).errors[0], /no address/)
})
