/** Certificates of a host: found, and revoked together. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mountScoped, sign } from '../scope/support.ts'
import { assertDone, assertRefused } from '../support.ts'

const ROLE = { host_scope: 'optional', allowed_hosts: '*', allowed_groups: '*', ttl: '1h' }

test('what is for a host by its id is found by it, and revoked with it', async () => {
  const ssh = await mountScoped(ROLE)
  const serialOf = async (fields: object) => {
    ssh.now += 1
    return String((await sign(ssh, fields)).data['serial_number'])
  }
  const own = [await serialOf({ host: 'web-1' }), await serialOf({ host: 'db-1,web-1' })]
  const others = [
    await serialOf({ host: 'web-2' }),
    await serialOf({ group: 'web' }),
    await serialOf({}),
  ]
  const found = await ssh.list('certs', { host: '10.0.0.1' })
  assert.deepEqual(found.data['keys'], own)
  const rows = (await ssh.dataKeys()).filter((name) => name.startsWith('cert-tokens/'))
  assert.equal(rows.length, 6)
  const revoked = await ssh.write('revoke', { host: 'web-1' })
  assertDone(revoked)
  assert.equal(revoked.data['revoked'], 2)
  const state = async (serial: string) => (await ssh.read(`cert/${serial}`)).data['revoked']
  assert.deepEqual(await Promise.all(own.map(state)), [true, true])
  assert.deepEqual(await Promise.all(others.map(state)), [false, false, false])
})

test('what is for a host that was deleted is revoked by its id', async () => {
  const ssh = await mountScoped(ROLE)
  assertDone(await sign(ssh, { host: 'web-2' }))
  assertDone(await ssh.delete('hosts/web-2'))
  assertRefused(await sign(ssh, { host: 'web-2' }), 400, 'unknown host: web-2')
  assert.equal((await ssh.write('revoke', { host: 'web-2' })).data['revoked'], 1)
})

test('rows go with their records', async () => {
  const ssh = await mountScoped(ROLE)
  for (const fields of [{ host: 'web-1,web-2' }, { group: 'web' }, {}]) {
    assertDone(await sign(ssh, fields))
  }
  ssh.now += 400 * 86_400_000
  assertDone(await ssh.write('tidy/certificates'))
  const left = (await ssh.dataKeys()).filter((name) => name.startsWith('cert'))
  assert.deepEqual(left, [])
})
