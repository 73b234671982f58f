/** Views of the store, the walks over long lists, and the records in values. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { afterPrefix } from '../../src/storage/path.ts'
import type { Store } from '../../src/storage/store.ts'
import {
  childrenOf,
  decodeRecord,
  encodeRecord,
  keysUnder,
  StoreView,
} from '../../src/storage/view.ts'
import { openInMemory } from './open-stores.ts'

async function fill(store: Store, keys: readonly string[]): Promise<void> {
  await store.commit(
    keys.map((key) => ({ key, value: encodeRecord(key) })),
    [],
  )
}

async function collect(keys: AsyncIterable<string>): Promise<string[]> {
  const all: string[] = []
  for await (const key of keys) all.push(key)
  return all
}

test('a view reads, lists and writes below its prefix alone', async () => {
  await using opened = await openInMemory()
  const { store } = opened
  await fill(store, ['mount/1/role/a', 'mount/1/role/b', 'mount/2/role/c', 'role/d'])
  const view = new StoreView(store, 'mount/1/')
  assert.deepEqual(await view.list('role/'), ['role/a', 'role/b'])
  assert.deepEqual(await view.children(''), ['role/'])
  assert.deepEqual(await view.list('role/', 'role/a'), ['role/b'])
  assert.deepEqual(await view.list('role/', '', 1), ['role/a'])
  assert.equal(await view.get('role/c'), undefined)
  const entry = await view.get('role/a')
  assert.ok(entry)
  assert.equal(decodeRecord(entry.value), 'mount/1/role/a')
  const result = await store.commit(
    [view.put('role/new', encodeRecord(1)), view.remove('role/a')],
    [view.when('role/new', 'absent'), view.when('role/a', entry.version)],
  )
  assert.equal(result.committed, true)
  assert.deepEqual(await store.list('mount/', '', 9), [
    'mount/1/role/b',
    'mount/1/role/new',
    'mount/2/role/c',
  ])
})

test('keysUnder walks every page, and stops when its reader does', async () => {
  await using opened = await openInMemory()
  const keys = Array.from({ length: 1_500 }, (_, i) => `k/${String(i).padStart(4, '0')}`)
  await fill(opened.store, ['a', 'l', ...keys])
  assert.deepEqual(await collect(keysUnder(opened.store, 'k/')), keys)
  assert.deepEqual(await collect(keysUnder(opened.store, 'none/')), [])
  for await (const key of keysUnder(opened.store, 'k/')) {
    if (key === 'k/0700') return
  }
  assert.fail('the walk went past k/0700')
})

test('childrenOf names a folder once, however many pages it fills, and a name beside it', async () => {
  await using opened = await openInMemory()
  const long = Array.from({ length: 1_200 }, (_, i) => `lease/creds/web/${i}`)
  await fill(opened.store, [
    'lease/a',
    'lease/creds',
    'lease/creds-2',
    ...long,
    'lease/creds/x',
    'lease/z/y',
    'other',
  ])
  assert.deepEqual(await childrenOf(opened.store, 'lease/'), [
    'a',
    'creds',
    'creds-2',
    'creds/',
    'z/',
  ])
  assert.deepEqual(await childrenOf(opened.store, 'lease/creds/'), ['web/', 'x'])
  assert.deepEqual(await childrenOf(opened.store, 'none/'), [])
})

test('childrenOf is the set of first parts, whatever characters they hold', async () => {
  const part = fc.string({
    unit: fc.constantFrom('a', 'b', '\u{1f511}', '\uff5e', '-', '0'),
    minLength: 1,
    maxLength: 2,
  })
  const names = fc.uniqueArray(
    fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/')),
    { maxLength: 30 },
  )
  await fc.assert(
    fc.asyncProperty(names, async (relative) => {
      await using opened = await openInMemory()
      await fill(
        opened.store,
        relative.map((name) => `p/${name}`),
      )
      const expected = new Set(relative.map((name) => name.replace(/\/.*/s, '/')))
      const children = await childrenOf(opened.store, 'p/')
      assert.deepEqual(new Set(children), expected)
      assert.equal(children.length, expected.size)
    }),
    { numRuns: 50 },
  )
})

test('afterPrefix is above every key with the prefix and below the next prefix', () => {
  const order = (one: string, other: string): number =>
    Buffer.compare(Buffer.from(one), Buffer.from(other))
  assert.equal(order(afterPrefix('a/'), 'a/\u{10fffe}zz'), 1)
  assert.equal(order(afterPrefix('a/'), 'a0'), -1)
})

test('a record comes back as it was, from a part of a larger buffer too', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 2, depthSize: 'small' }), (record) => {
      const bytes = encodeRecord(record)
      const within = new Uint8Array(bytes.length + 6)
      within.set(bytes, 3)
      assert.deepEqual(decodeRecord(within.subarray(3, -3)), JSON.parse(JSON.stringify(record)))
    }),
    { numRuns: 50 },
  )
})
