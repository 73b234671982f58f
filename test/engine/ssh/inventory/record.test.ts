import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  firstSerial,
  newSerial,
  parseSerial,
  serialName,
  serialTime,
} from '../../../../src/engine/ssh/inventory/serial.ts'
import { keysIn, type mountCa, refusalOf } from '../../../support/core.ts'
import { PUBLIC_KEY, signed, signer, startCa } from './support.ts'

test('serials lie in the order of time, and name their time', () => {
  fc.assert(
    fc.property(fc.nat(4e12), fc.nat(1e9), (time, later) => {
      const [one, other] = [newSerial(time), newSerial(time + later + 1)]
      assert.ok(serialName(one) < serialName(other))
      assert.equal(serialTime(one), time)
      assert.ok(firstSerial(time) <= one)
      assert.notEqual(one, 0n)
    }),
    { numRuns: 200 },
  )
})

test('a serial is read as hex and as decimal, and nothing else is one', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 10n ** 17n, max: 2n ** 64n - 1n }), (serial) => {
      assert.equal(parseSerial(serial.toString(16)), serial)
      assert.equal(parseSerial(serialName(serial)), serial)
      assert.equal(parseSerial(`0x${serial.toString(16)}`), serial)
      assert.equal(parseSerial(serial.toString()), serial)
    }),
    { numRuns: 200 },
  )
  const bad = ['', '0', '0x0', '-1', 'xyz', '1'.repeat(21), '99999999999999999999', ' 12', '1_000']
  for (const text of bad) assert.equal(parseSerial(text), undefined, text)
})

test('a certificate is recorded with who asked for it, and is shown by its serial', async (t) => {
  const core = await startCa(t)
  const token = await signer(core, { display_name: 'alice' })
  const { data: look } = await core
    .call('read', 'auth/token/lookup-self', {}, { token })
    .catch(async () => core.call('update', 'auth/token/lookup', { token }))
  const serial = await signed(core, { token, remoteAddress: '192.0.2.7' })
  const { data } = await core.call('read', `ssh/cert/${serial}`)
  assert.equal(data?.['serial_number'], serial)
  assert.equal(data?.['serial'], BigInt(`0x${serial}`).toString())
  assert.equal(data?.['display_name'], 'token-alice')
  assert.equal(data?.['accessor'], look?.['accessor'])
  assert.equal(data?.['remote_address'], '192.0.2.7')
  assert.equal(data?.['role'], 'sign')
  assert.equal(data?.['cert_type'], 'user')
  assert.deepEqual(data?.['principals'], ['ubuntu'])
  assert.equal(data?.['revoked'], false)
  assert.match(String(data?.['fingerprint']), /^SHA256:[A-Za-z0-9+/]{43}$/)
  assert.match(String(data?.['key_id']), /^postern-token-alice-/)
  const byDecimal = await core.call('read', `ssh/cert/${data?.['serial']}`)
  assert.deepEqual(byDecimal.data, data)
  assert.ok(!JSON.stringify(data).includes(token))
  const missing = await refusalOf(core.send('read', 'ssh/cert/1234'))
  assert.equal(missing.status, 404)
})

test('a role with no_store keeps no record, and shows that only when set', async (t) => {
  const core = await startCa(t)
  const { data: plain } = await core.call('read', 'ssh/roles/sign')
  assert.ok(!('no_store' in (plain ?? {})))
  await mountCa2(core)
  const before = await keysIn(core.raw, 'data/')
  const serial = await signed(core, {}, 'bare')
  assert.deepEqual(await keysIn(core.raw, 'data/'), before)
  assert.equal((await refusalOf(core.send('read', `ssh/cert/${serial}`))).status, 404)
  const { data } = await core.call('read', 'ssh/roles/bare')
  assert.equal(data?.['no_store'], true)
})

async function mountCa2(core: Parameters<typeof mountCa>[0]): Promise<void> {
  const role = { key_type: 'ca', allow_user_certificates: true, allowed_users: 'ubuntu' }
  await core.send('update', 'ssh/roles/bare', { ...role, default_user: 'ubuntu', no_store: true })
}

test('protocols 2.1: a certificate whose answer has no audit line is put on the list', async (t) => {
  const core = await startCa(t)
  const before = await keysIn(core.raw, 'data/')
  core.audit.failResponses = true
  const refusal = await refusalOf(core.send('update', 'ssh/sign/sign', { public_key: PUBLIC_KEY }))
  core.audit.failResponses = false
  assert.deepEqual(refusal, { status: 500, message: 'internal error' })
  const { data } = await core.call('list', 'ssh/certs')
  const [serial] = (data?.['keys'] ?? []) as string[]
  const { data: shown } = await core.call('read', `ssh/cert/${serial}`)
  assert.equal(shown?.['revoked'], true)
  assert.equal(shown?.['revoked_for'], 'undelivered')
  assert.ok((await keysIn(core.raw, 'data/')).length > before.length)
})
