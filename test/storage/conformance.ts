/**
 * What every store has to do (protocols 1.1 to 1.4), driven step by step through the interface
 * alone. A store's own test file calls `testStore` with a way to open an empty one.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { CommitResult, Condition, Entry, Store, Write } from '../../src/storage/store.ts'

/**
 * An empty store and, where it can be had, a reader beside it that shares nothing with it but the
 * database.
 */
export interface OpenedStore extends AsyncDisposable {
  readonly store: Store
  readonly secondReader: () => Promise<Pick<Store, 'get'>>
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const put = (key: string, text = key): Write => ({ key, value: bytes(text) })
const remove = (key: string): Write => ({ key })
const when = (key: string, is: Condition['is']): Condition => ({ key, is })
const textOf = (entry: Entry | undefined): string | undefined =>
  entry && new TextDecoder().decode(entry.value)

async function mustCommit(
  store: Store,
  writes: Write[],
  conditions: Condition[] = [],
): Promise<void> {
  assert.deepEqual(await store.commit(writes, conditions), { committed: true })
}

async function entryAt(store: Pick<Store, 'get'>, key: string): Promise<Entry> {
  const [entry] = await store.get([key])
  assert.ok(entry, `${key} is there`)
  return entry
}

async function textsAt(store: Store, ...keys: string[]): Promise<(string | undefined)[]> {
  return (await store.get(keys)).map(textOf)
}

const winners = (results: readonly CommitResult[]): number =>
  results.filter(({ committed }) => committed).length

export function testStore(name: string, open: () => Promise<OpenedStore>): void {
  const it = (sentence: string, steps: (opened: OpenedStore) => Promise<void>): void => {
    test(sentence, async () => {
      await using opened = await open()
      await steps(opened)
    })
  }

  describe(`${name}: entries`, () => {
    it('a batch writes, replaces and removes as one', async ({ store }) => {
      await mustCommit(store, [put('a', '1'), put('b', '1')])
      await mustCommit(store, [put('a', '2'), remove('b'), put('c', '2'), remove('never there')])
      assert.deepEqual(await textsAt(store, 'a', 'b', 'c', 'never there'), [
        '2',
        undefined,
        '2',
        undefined,
      ])
    })

    it('get answers in the order of the keys, also for many and for the same twice', async ({
      store,
    }) => {
      const keys = Array.from({ length: 100 }, (_, i) => `k/${(i * 37) % 100}`)
      await mustCommit(
        store,
        keys.map((key) => put(key)),
      )
      for (const count of [0, 1, 2, 16, 17, 100]) {
        assert.deepEqual(await textsAt(store, ...keys.slice(0, count)), keys.slice(0, count))
      }
      assert.deepEqual(await textsAt(store, 'k/1', 'none', 'k/1'), ['k/1', undefined, 'k/1'])
    })

    it('any bytes are a value: none, all 256, a megabyte, a part of a larger buffer', async ({
      store,
    }) => {
      const all = Uint8Array.from({ length: 256 }, (_, i) => i)
      const values = [new Uint8Array(0), all, all.subarray(10, 20), new Uint8Array(1 << 20).fill(7)]
      await mustCommit(
        store,
        values.map((value, i) => ({ key: `v/${i}`, value })),
      )
      const entries = await store.get(values.map((_, i) => `v/${i}`))
      for (const [i, value] of values.entries()) {
        assert.deepEqual(Buffer.from(entries[i]?.value ?? 'none'), Buffer.from(value))
      }
    })

    it('names that mean something to JavaScript or SQL are ordinary keys', async ({ store }) => {
      const keys = [
        '__proto__',
        'constructor',
        "'; --",
        '%',
        '_',
        'é',
        'e\u0301',
        '\u{1f511}',
        ' ',
        '/',
      ]
      await mustCommit(
        store,
        keys.map((key) => put(key)),
      )
      assert.deepEqual(await textsAt(store, ...keys), keys)
      assert.deepEqual(await textsAt(store, 'E\u0301', 'toString'), [undefined, undefined])
    })

    it('what is read is the caller’s own: changing it changes nothing stored', async ({
      store,
    }) => {
      await mustCommit(store, [put('a', 'kept')])
      ;(await entryAt(store, 'a')).value.fill(0)
      assert.deepEqual(await textsAt(store, 'a'), ['kept'])
    })

    it('keys that stores disagree about are refused as a bad call', async ({ store }) => {
      for (const key of ['', 'a\0b', '\ud800', 'a\u{10ffff}']) {
        await assert.rejects(store.commit([put(key)], []), TypeError)
        await assert.rejects(store.commit([put('a')], [when(key, 'present')]), TypeError)
        await assert.rejects(store.get([key]), TypeError)
      }
    })
  })

  describe(`${name}: lists`, () => {
    it('keys come in the order of their bytes, not of UTF-16 units or letters', async ({
      store,
    }) => {
      const keys = ['B', 'a', 'a/', 'a/b', 'a0', 'b', 'é', '\uff5e', '\u{1f511}']
      await mustCommit(
        store,
        keys.toReversed().map((key) => put(key)),
      )
      assert.deepEqual(await store.list('', '', 100), keys)
    })

    it('a prefix holds the keys that begin with it and no others', async ({ store }) => {
      const keys = [
        'role',
        'role/',
        'role/a',
        'role/\u{1f511}',
        'role/\u{10fffe}z',
        'role0',
        'rolf',
      ]
      await mustCommit(
        store,
        keys.map((key) => put(key)),
      )
      assert.deepEqual(await store.list('role/', '', 100), keys.slice(1, 5))
      assert.deepEqual(await store.list('role', '', 100), keys.slice(0, 6))
      assert.deepEqual(await store.list('none', '', 100), [])
    })

    it('pages by the last key join to the whole list, wherever they are cut', async ({ store }) => {
      const keys = Array.from({ length: 50 }, (_, i) => `p/${String(i).padStart(2, '0')}`)
      await mustCommit(store, [put('o'), put('q'), ...keys.map((key) => put(key))])
      for (const limit of [1, 7, 49, 50, 51]) {
        const seen: string[] = []
        for (let page = await store.list('p/', '', limit); page.length > 0; ) {
          assert.ok(page.length <= limit)
          seen.push(...page)
          page = await store.list('p/', seen.at(-1) ?? '', limit)
        }
        assert.deepEqual(seen, keys)
      }
    })

    it('a page may begin after a key that is gone, before the prefix or behind it', async ({
      store,
    }) => {
      await mustCommit(store, [put('p/a'), put('p/c')])
      assert.deepEqual(await store.list('p/', 'p/b', 9), ['p/c'])
      assert.deepEqual(await store.list('p/', 'a', 9), ['p/a', 'p/c'])
      assert.deepEqual(await store.list('p/', 'q', 9), [])
      await assert.rejects(store.list('p/', '', 0), RangeError)
    })
  })

  describe(`${name}: conditions`, () => {
    it('a condition that fails is named, and nothing of its batch is written', async ({
      store,
    }) => {
      await mustCommit(store, [put('there', '1')])
      const { version } = await entryAt(store, 'there')
      const cases: Condition[][] = [
        [when('there', 'absent')],
        [when('gone', 'present')],
        [when('there', version + 1)],
        [when('gone', version)],
      ]
      for (const failing of cases) {
        const conditions = [when('there', 'present'), when('there', version), ...failing]
        const result = await store.commit([put('there', '2'), put('new')], conditions)
        assert.deepEqual(result, { committed: false, failed: failing[0] })
        assert.deepEqual(await textsAt(store, 'there', 'new'), ['1', undefined])
      }
    })

    it('conditions that hold let the batch through', async ({ store }) => {
      await mustCommit(store, [put('new'), put('role')], [when('new', 'absent')])
      const { version } = await entryAt(store, 'role')
      const conditions = [when('role', 'present'), when('role', version), when('new', 'present')]
      await mustCommit(store, [remove('new')], conditions)
      assert.deepEqual(await textsAt(store, 'new'), [undefined])
    })

    it('a batch without writes checks its conditions', async ({ store }) => {
      await mustCommit(store, [put('role')])
      await mustCommit(store, [], [when('role', 'present')])
      assert.equal((await store.commit([], [when('gone', 'present')])).committed, false)
      await mustCommit(store, [])
    })

    it('"absent" is for keys that the batch writes (protocols 1.1)', async ({ store }) => {
      await assert.rejects(store.commit([put('lease')], [when('role', 'absent')]), TypeError)
      assert.deepEqual(await textsAt(store, 'lease'), [undefined])
    })

    it('"empty" sees every key that begins so, those of its own group too', async ({ store }) => {
      await mustCommit(store, [put('kin/b/1'), put('kin/'), put('kin0'), put('owner')])
      const removal = (prefix: string) => store.commit([remove('owner')], [when(prefix, 'empty')])
      for (const prefix of ['kin/b/', 'kin/b/1', 'kin', 'own']) {
        assert.deepEqual(await removal(prefix), { committed: false, failed: when(prefix, 'empty') })
      }
      const [added, refused] = await Promise.all([
        store.commit([put('kin/a/\u{1f511}')], [when('owner', 'present')]),
        removal('kin/a/'),
      ])
      assert.deepEqual([added.committed, refused.committed], [true, false])
      await mustCommit(store, [remove('kin/a/\u{1f511}')])
      const [gone, late] = await Promise.all([
        removal('kin/a/'),
        store.commit([put('kin/a/2')], [when('owner', 'present')]),
      ])
      assert.deepEqual([gone.committed, late.committed], [true, false])
    })

    it('no lease for a role that was deleted after it was read (protocols 1.1)', async ({
      store,
    }) => {
      await mustCommit(store, [put('role')])
      const { version } = await entryAt(store, 'role')
      await mustCommit(store, [remove('role')])
      for (const is of ['present', version] as const) {
        const result = await store.commit([put('lease')], [when('role', is)])
        assert.deepEqual(result, { committed: false, failed: when('role', is) })
      }
      assert.deepEqual(await store.list('lease', '', 1), [])
    })

    it('no spend on the old version of a role, in one tick with its change (protocols 1.1)', async ({
      store,
    }) => {
      await mustCommit(store, [put('role'), put('otp')])
      const [role, otp] = [await entryAt(store, 'role'), await entryAt(store, 'otp')]
      const spend = (): Promise<CommitResult> =>
        store.commit([remove('otp')], [when('otp', otp.version), when('role', role.version)])
      const [change, late] = await Promise.all([store.commit([put('role', '2')], []), spend()])
      assert.deepEqual([change.committed, late.committed], [true, false])
      assert.deepEqual(await textsAt(store, 'otp'), ['otp'])
    })

    it('a role deleted in one tick with a lease: whoever was first stands (protocols 1.1)', async ({
      store,
    }) => {
      await mustCommit(store, [put('role')])
      const lease = (n: number): Promise<CommitResult> =>
        store.commit([put(`lease/${n}`)], [when('role', 'present')])
      const results = await Promise.all([lease(1), store.commit([remove('role')], []), lease(2)])
      assert.deepEqual(
        results.map(({ committed }) => committed),
        [true, true, false],
      )
      assert.deepEqual(await store.list('lease/', '', 9), ['lease/1'])
    })

    it('a child is refused once its parent carries the mark of a revoke (protocols 1.4)', async ({
      store,
    }) => {
      await mustCommit(store, [put('token', 'active')])
      const { version } = await entryAt(store, 'token')
      const create = (n: number): Promise<CommitResult> =>
        store.commit([put(`child/${n}`)], [when(`child/${n}`, 'absent'), when('token', version)])
      await Promise.all([create(1), store.commit([put('token', 'revoking')], [])])
      const children = await store.list('child/', '', 9)
      assert.equal((await create(2)).committed, false)
      assert.deepEqual(await store.list('child/', '', 9), children)
    })
  })

  describe(`${name}: groups`, () => {
    it('64 spends of one password in one tick have one winner (protocols 1.2)', async ({
      store,
    }) => {
      await mustCommit(store, [put('otp')])
      const { version } = await entryAt(store, 'otp')
      const spends = Array.from({ length: 64 }, () =>
        store.commit([remove('otp')], [when('otp', version)]),
      )
      assert.equal(winners(await Promise.all(spends)), 1)
    })

    it('64 creations of one key in one tick have one winner (protocols 1.2)', async ({ store }) => {
      const results = await Promise.all(
        Array.from({ length: 64 }, (_, i) =>
          store.commit([put('name', `${i}`)], [when('name', 'absent')]),
        ),
      )
      assert.equal(winners(results), 1)
      assert.deepEqual(await textsAt(store, 'name'), [
        `${results.findIndex((one) => one.committed)}`,
      ])
    })

    it('64 uses of a token with num_uses=3: three go through (protocols 1.2)', async ({
      store,
    }) => {
      await mustCommit(store, [put('token', '3')])
      const use = async (): Promise<boolean> => {
        for (;;) {
          const token = await entryAt(store, 'token')
          const left = Number(textOf(token))
          if (left === 0) return false
          const decrement = [put('token', String(left - 1))]
          const result = await store.commit(decrement, [when('token', token.version)])
          if (result.committed) return true
        }
      }
      const uses = await Promise.all(Array.from({ length: 64 }, use))
      assert.equal(uses.filter((wasAllowed) => wasAllowed).length, 3)
      assert.deepEqual(await textsAt(store, 'token'), ['0'])
    })

    it('one member that fails leaves the other 63 (protocols 1.2)', async ({ store }) => {
      const results = await Promise.all(
        Array.from({ length: 64 }, (_, i) =>
          store.commit([put(`m/${i}`)], i === 20 ? [when('gone', 'present')] : []),
        ),
      )
      assert.deepEqual(results[20], { committed: false, failed: when('gone', 'present') })
      assert.equal(winners(results), 63)
      const stored = await store.list('m/', '', 100)
      assert.equal(stored.length, 63)
      assert.ok(!stored.includes('m/20'))
    })

    it('a bad call fails alone, whoever came in the same tick', async ({ store }) => {
      const good = [store.commit([put('a')], []), store.commit([put('b')], [])]
      await assert.rejects(store.commit([put('')], []), TypeError)
      assert.equal(winners(await Promise.all(good)), 2)
    })

    it('members see those before them: a chain in one tick goes through in order', async ({
      store,
    }) => {
      const results = await Promise.all([
        store.commit([put('a')], [when('a', 'absent')]),
        store.commit([put('b')], [when('a', 'present')]),
        store.commit([remove('a')], [when('b', 'present')]),
        store.commit([put('c')], [when('a', 'present')]),
      ])
      assert.deepEqual(
        results.map(({ committed }) => committed),
        [true, true, true, false],
      )
      assert.deepEqual(await store.list('', '', 9), ['b'])
    })

    it('thousands in one tick are all answered, and one too many is told so', async ({ store }) => {
      const commits = Array.from({ length: 10_001 }, (_, i) =>
        store.commit([put(`n/${i % 100}`, `${i}`)], []),
      )
      const results = await Promise.allSettled(commits)
      assert.deepEqual(
        results.flatMap((one) => (one.status === 'rejected' ? [one.reason.code] : [])),
        ['unavailable'],
      )
      assert.deepEqual(await textsAt(store, 'n/99'), ['9999'])
      await mustCommit(store, [put('after')])
    })
  })

  describe(`${name}: reads beside writes`, () => {
    it('an uncommitted group is not read (protocols 1.2)', async ({ store }) => {
      await mustCommit(store, [put('a', '1')])
      const commit = store.commit([put('a', '2')], [])
      const before = store.get(['a'])
      await commit
      assert.deepEqual((await before).map(textOf), ['1'])
      assert.deepEqual(await textsAt(store, 'a'), ['2'])
    })

    it('keys that are always written together are never read torn (protocols 1.3)', async ({
      store,
    }) => {
      const keys = ['cfg/role', 'meta/generation', 'z']
      await mustCommit(
        store,
        keys.map((key) => put(key, '0')),
      )
      let isWriting = true
      const writing = (async () => {
        for (let i = 1; i <= 60; i++)
          await store.commit(
            keys.map((key) => put(key, `${i}`)),
            [],
          )
        isWriting = false
      })()
      let reads = 0
      for (; isWriting; reads++) {
        const texts = await textsAt(store, ...keys)
        assert.equal(new Set(texts).size, 1, `torn: ${texts}`)
        if (reads % 10 === 0) await new Promise(setImmediate)
      }
      await writing
      assert.ok(reads > 10)
    })

    it('a second reader sees every acknowledged write (protocols 1.3)', async ({
      store,
      secondReader,
    }) => {
      const reader = await secondReader()
      for (let i = 0; i < 30; i++) {
        await mustCommit(store, [put('meta/generation', `${i}`), put(`only/${i}`)])
        const entries = await reader.get(['meta/generation', `only/${i}`])
        assert.deepEqual(entries.map(textOf), [`${i}`, `only/${i}`])
      }
    })
  })

  describe(`${name}: versions`, () => {
    it('a version changes with every write and never comes back', async ({ store }) => {
      const seen = new Set<number>()
      for (let i = 0; i < 20; i++) {
        await mustCommit(store, [put('a', 'the same value')])
        seen.add((await entryAt(store, 'a')).version)
        if (i % 2) await mustCommit(store, [remove('a')])
      }
      assert.equal(seen.size, 20)
      for (const version of seen) assert.ok(Number.isSafeInteger(version) && version > 0)
    })

    it('a condition on a version is not met by a key that was removed and made again', async ({
      store,
    }) => {
      await mustCommit(store, [put('a')])
      const { version } = await entryAt(store, 'a')
      const results = await Promise.all([
        store.commit([remove('a')], []),
        store.commit([put('a')], []),
        store.commit([put('a', 'wrong')], [when('a', version)]),
      ])
      assert.deepEqual(
        results.map(({ committed }) => committed),
        [true, true, false],
      )
    })
  })

  describe(`${name}: closing`, () => {
    it('a close waits for what was begun and refuses what comes after', async ({ store }) => {
      const begun = [store.commit([put('a')], []), store.commit([put('b')], [])]
      const closing = store.close()
      await assert.rejects(store.commit([put('c')], []), { code: 'unavailable' })
      assert.equal(winners(await Promise.all(begun)), 2)
      await closing
      await store.close()
      await assert.rejects(store.get(['a']), { code: 'unavailable' })
      await assert.rejects(store.list('', '', 1), { code: 'unavailable' })
    })
  })
}
