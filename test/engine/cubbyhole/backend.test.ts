/** The cubbyhole. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createCubbyholeBackend, cubbyholeFolder } from '../../../src/engine/cubbyhole/backend.ts'
import { ALICE, type Mounted, mount } from '../harness.ts'

const write = (cubbyhole: Mounted, path: string, bodyText: string) =>
  cubbyhole.write(path, JSON.parse(bodyText) as Record<string, unknown>, { bodyText })

test('gives back what was written, big numbers to the digit (trap 10)', async () => {
  const cubbyhole = await mount(createCubbyholeBackend())
  const text =
    '{"arr":[1,"2"],"b":true,"big":12345678901234567890,"f":1.50,"__proto__":{"k":1e400}}'
  assert.equal((await write(cubbyhole, 'a', text)).status, 204)
  assert.equal(JSON.stringify((await cubbyhole.read('a')).data), text)
})

test('keeps data that came without JSON text', async () => {
  const cubbyhole = await mount(createCubbyholeBackend())
  assert.equal((await cubbyhole.write('a', { k: 'v' })).status, 204)
  assert.deepEqual((await cubbyhole.read('a')).data, { k: 'v' })
})

test('refuses an empty write', async () => {
  const cubbyhole = await mount(createCubbyholeBackend())
  const answer = await write(cubbyhole, 'a', '{}')
  assert.deepEqual(
    [answer.status, answer.error],
    [500, '1 error occurred:\n\t* missing data fields\n\n'],
  )
})

test('belongs to one token', async () => {
  const cubbyhole = await mount(createCubbyholeBackend())
  await write(cubbyhole, 'a', '{"k":1}')
  const bob = { caller: { tokenId: 'bb', isRoot: true } }
  for (const [operation, path] of [
    ['read', 'a'],
    ['list', ''],
  ] as const) {
    assert.equal((await cubbyhole.request(operation, path, {}, bob)).status, 404)
  }
  await cubbyhole.request('delete', 'a', {}, bob)
  assert.equal((await cubbyhole.read('a')).status, 200)
  assert.deepEqual(await cubbyhole.dataKeys(), [`${cubbyholeFolder(ALICE.tokenId)}a`])
})

test('lists names and folders, each once', async () => {
  const cubbyhole = await mount(createCubbyholeBackend())
  assert.equal((await cubbyhole.list('')).status, 404)
  for (const path of ['b', 'a/x', 'a/y/z', 'a']) await write(cubbyhole, path, '{"k":1}')
  assert.deepEqual((await cubbyhole.list('')).data, { keys: ['a', 'a/', 'b'] })
  assert.deepEqual((await cubbyhole.list('a/')).data, { keys: ['x', 'y/'] })
  assert.equal((await cubbyhole.list('c/')).status, 404)
})

test('tells creation from update, and forgets what is deleted', async () => {
  const cubbyhole = await mount(createCubbyholeBackend())
  assert.equal(await cubbyhole.judged('a'), 'create')
  await write(cubbyhole, 'a', '{"k":1}')
  assert.equal(await cubbyhole.judged('a'), 'update')
  assert.equal((await cubbyhole.delete('a')).status, 204)
  assert.equal((await cubbyhole.delete('a')).status, 204)
  assert.equal((await cubbyhole.read('a')).status, 404)
})
