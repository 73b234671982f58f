import assert from 'node:assert/strict'
import { test } from 'node:test'
import { refusalOf, startTestCore } from '../support/core.ts'

const EMPTY = { kind: 'empty', status: 204 }
const fromConfig = {
  path: 'main/',
  type: 'file',
  description: '',
  options: { file_path: 'stdout' },
  local: false,
}

test('a device of the API is tried, listed, kept over a seal and disabled', async (t) => {
  const server = await startTestCore()
  t.after(() => server.close())
  const body = { type: 'file', description: 'mine', options: { file_path: '/var/log/a' } }
  assert.deepEqual(await server.send('update', 'sys/audit/a', body), EMPTY)
  assert.deepEqual(server.audit.tried, ['a/'])
  const list = async () => (await server.call('read', 'sys/audit')).data
  const shown = { 'a/': { ...body, local: false, path: 'a/' } }
  assert.deepEqual(await list(), shown)
  await server.core.seal.seal()
  await server.core.seal.unseal({ key: server.unsealKey })
  assert.deepEqual(await list(), shown)
  const again = await refusalOf(server.send('update', 'sys/audit/a', body))
  assert.deepEqual(again, { status: 400, message: 'path already in use' })
  assert.deepEqual(await server.send('delete', 'sys/audit/a'), EMPTY)
  assert.deepEqual(await list(), {})
  assert.deepEqual(await server.send('delete', 'sys/audit/a'), EMPTY)
})

test('a device of the config file is listed, and can’t be disabled over the API', async (t) => {
  const server = await startTestCore({ auditDevices: [fromConfig] })
  t.after(() => server.close())
  const { data } = await server.call('read', 'sys/audit')
  assert.deepEqual(Object.keys(data ?? {}), ['main/'])
  const refusal = await refusalOf(server.send('delete', 'sys/audit/main'))
  assert.equal(refusal.status, 400)
})

test('request headers are added, shown in lower case, and removed', async (t) => {
  const server = await startTestCore()
  t.after(() => server.close())
  const root = 'sys/config/auditing/request-headers'
  await server.send('update', `${root}/X-Trace`, { hmac: true })
  const { data } = await server.call('read', root)
  assert.deepEqual(data?.['headers'], { 'x-trace': { hmac: true } })
  const one = await server.call('read', `${root}/X-TRACE`)
  assert.deepEqual(one.data, { 'x-trace': { hmac: true } })
  await server.send('delete', `${root}/x-trace`)
  const gone = await refusalOf(server.send('read', `${root}/x-trace`))
  assert.deepEqual(gone, { status: 400, message: 'Could not find header in config' })
})

test('a hash is refused without input and for unknown devices', async (t) => {
  const server = await startTestCore()
  t.after(() => server.close())
  const hash = (data: object) => refusalOf(server.send('update', 'sys/audit-hash/a', data))
  assert.deepEqual(await hash({}), { status: 400, message: 'the "input" parameter is empty' })
  const unknown = { status: 400, message: 'unknown audit backend "a/"' }
  assert.deepEqual(await hash({ input: 'x' }), unknown)
})
