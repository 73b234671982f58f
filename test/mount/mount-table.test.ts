import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseExactJson } from '../../src/mount/exact-json.ts'
import { builtinMounts, MountTable, newMount } from '../../src/mount/mount-table.ts'
import { cpuMilliseconds } from '../support/cpu-time.ts'

const mount = (path: string) => newMount('secret', path, 'ssh', '')
const table = new MountTable([...builtinMounts(), mount('ssh/'), mount('a/b/')])

test('a path belongs to the mount that it begins with', () => {
  const routed = (path: string) => {
    const found = table.route(path)
    return found && [found.mount.path, found.rest]
  }
  assert.deepEqual(routed('ssh/creds/web'), ['ssh/', 'creds/web'])
  assert.deepEqual(routed('ssh/'), ['ssh/', ''])
  assert.deepEqual(routed('ssh'), ['ssh/', ''])
  assert.deepEqual(routed('a/b/c/d'), ['a/b/', 'c/d'])
  assert.deepEqual(routed('auth/token/create'), ['auth/token/', 'create'])
  for (const path of [
    '',
    '/',
    'a',
    'a/',
    'a/bb',
    'sshx/roles',
    'SSH/roles',
    'auth/',
    '__proto__',
  ]) {
    assert.equal(routed(path), undefined, path)
  }
})

test('paths inside one another, or equal, conflict', () => {
  for (const path of ['ssh/', 'ssh/x/', 'a/', 'a/b/', 'a/b/c/', 'sys/x/', 'auth/']) {
    assert.ok(table.conflict(path), path)
  }
  for (const path of ['sshx/', 's/', 'a/bb/', 'b/']) assert.equal(table.conflict(path), undefined)
})

test('survives being stored, and lists by path', () => {
  const again = MountTable.decode(table.encode())
  assert.deepEqual(again.all(), table.all())
  const paths = again.ofClass('secret').map(({ path }) => path)
  assert.deepEqual(paths, ['a/b/', 'cubbyhole/', 'ssh/', 'sys/'])
})

test('a path of many segments is not looked up from each of them', () => {
  const path = `${'a/'.repeat(16_000)}x`
  const taken = cpuMilliseconds(() => {
    for (let i = 0; i < 10; i++) assert.equal(table.route(`${path}${i}`), undefined)
  })
  assert.ok(taken < 100, `10 paths took ${taken} ms`)
})

test('a changed mount replaces the one of its uuid; an accessor names the type', () => {
  const [ssh] = table.all().filter(({ path }) => path === 'ssh/')
  assert.ok(ssh)
  assert.match(ssh.accessor, /^ssh_[0-9a-z]{8}$/)
  const moved = table.with({ ...ssh, path: 'other/' })
  assert.equal(moved.get('ssh/'), undefined)
  assert.equal(moved.byUuid(ssh.uuid)?.path, 'other/')
  assert.equal(table.without('ssh/').byUuid(ssh.uuid), undefined)
})

test('contract trap 10: numbers come out of exact JSON to the digit', () => {
  const text = '{"a":12345678901234567890,"b":[1.0,1e400,-0],"c":"7","d":{"e":0.10}}'
  assert.equal(JSON.stringify(parseExactJson(text)), text)
})

test('exact JSON changes nothing else', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = JSON.stringify(value)
      assert.equal(JSON.stringify(parseExactJson(text)), text)
    }),
    { numRuns: 200 },
  )
})
