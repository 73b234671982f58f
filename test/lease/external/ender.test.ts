import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { LeaseEnder } from '../../../src/lease/external/ender.ts'
import type { LeaseEngine } from '../../../src/lease/external/engine.ts'
import { renewOutside } from '../../../src/lease/external/renew.ts'
import { leaseCreation, readLease, type StoredLease } from '../../../src/lease/lease.ts'
import { openSqliteStore } from '../../../src/storage/sqlite/sqlite.ts'
import type { Store } from '../../../src/storage/store.ts'
import { keysIn } from '../../support/core.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

/** Leases that are due at 1000, on hosts that a test can stop. */
async function start() {
  const store = await openSqliteStore({ path: ':memory:' })
  const clock = {
    time: 1000,
    now() {
      return this.time
    },
  }
  const calls: string[][] = []
  const failures: string[] = []
  const state = {
    /** Runs for the host of each call; rejects where the host is down. */
    visit: (_host: string): Promise<void> => Promise.resolve(),
  }
  const engine: LeaseEngine = {
    groupOf: hostOf,
    removalOf: async ({ id }) => [{ key: `data/${id}` }],
    end: async (leases) => {
      calls.push(leases.map(({ id }) => id))
      await state.visit(hostOf(leases[0] as StoredLease))
      return leases.map(() => undefined)
    },
  }
  const newEnder = () =>
    new LeaseEnder({
      store,
      clock,
      engineOf: async (mountUuid) => (mountUuid === 'gone' ? undefined : engine),
      onFailure: (id) => failures.push(id),
    })
  return { store, clock, calls, failures, state, engine, newEnder, ender: newEnder() }
}

function hostOf({ data }: StoredLease): string {
  return data as string
}

async function put(store: Store, id: string, host: string, mountUuid = 'm'): Promise<void> {
  const { writes, condition } = leaseCreation(id, {
    kind: 'secret',
    tokenId: 'owner',
    mountUuid,
    issuedAt: 0,
    expiresAt: 1000,
    maxExpiresAt: 9 * HOUR,
    renewable: true,
    data: host,
    external: { state: 'active', dueAt: 1000 },
  })
  const beside = { key: `data/${id}`, value: new Uint8Array(0) }
  await store.commit([...writes, beside], [condition])
}

async function putMany(store: Store, count: number, host: string): Promise<string[]> {
  const ids = Array.from({ length: count }, (_, at) => `h/creds/${host}/${at}`)
  await Promise.all(ids.map((id) => put(store, id, host)))
  return ids
}

const all = (store: Store) => keysIn(store, '')

describe('ending many', () => {
  test('500 leases of one host are one call', async () => {
    const { store, ender, calls } = await start()
    const ids = await putMany(store, 500, 'a')
    ender.endDue(ids)
    await ender.settled()
    assert.deepEqual(
      calls.map((call) => call.length),
      [500],
    )
    assert.deepEqual(await all(store), [])
  })

  test('more than 500 are several calls, one after another', async () => {
    const { store, ender, calls, state } = await start()
    const ids = await putMany(store, 1203, 'a')
    let running = 0
    state.visit = async () => {
      assert.equal(++running, 1)
      await nextTurn()
      running--
    }
    await ender.endNow(ids)
    assert.equal(calls.flat().length, 1203)
    assert.ok(calls.every((call) => call.length <= 500))
    assert.deepEqual(await all(store), [])
  })

  test('one that is asked for many times is ended once', async () => {
    const { store, ender, calls } = await start()
    const [id = ''] = await putMany(store, 1, 'a')
    ender.endDue([id])
    const results = await Promise.all([ender.endNow([id]), ender.endNow([id])])
    assert.deepEqual(results, [[undefined], [undefined]])
    assert.deepEqual(calls, [[id]])
  })

  test('one that waits as due, and is renewed meanwhile, is ended for whoever wants it ended', async () => {
    const { store, clock, ender, state, engine } = await start()
    const [busy = '', id = ''] = await putMany(store, 2, 'a')
    const [visit, renewal] = [Promise.withResolvers<void>(), Promise.withResolvers<undefined>()]
    state.visit = () => visit.promise
    clock.time = 999
    const slow: LeaseEngine = { ...engine, renew: () => renewal.promise }
    const renewed = renewOutside(async () => slow, store, id, { expiresAt: HOUR, now: 999 })
    clock.time = 1000
    ender.endDue([busy])
    await nextTurn()
    ender.endDue([id])
    renewal.resolve(undefined)
    assert.equal(await renewed, true)
    const ended = ender.endNow([id])
    visit.resolve()
    assert.deepEqual(await ended, [undefined])
    assert.deepEqual(await all(store), [])
  })

  test('a host that hangs does not hold up others, and at most 16 are visited at once', async () => {
    const { store, ender, state } = await start()
    const hosts = Array.from({ length: 40 }, (_, at) => `host${at}`)
    for (const host of hosts) await putMany(store, 2, host)
    const { promise, resolve } = Promise.withResolvers<void>()
    let running = 0
    let most = 0
    state.visit = async (host) => {
      most = Math.max(most, ++running)
      await (host === 'host0' ? promise : nextTurn())
      running--
    }
    ender.endDue(hosts.flatMap((host) => [`h/creds/${host}/0`, `h/creds/${host}/1`]))
    for (;;) {
      const left = await keysIn(store, 'lease/')
      if (left.every((key) => key.startsWith('lease/h/creds/host0/'))) break
      await nextTurn()
    }
    assert.equal(most, 16)
    assert.equal((await keysIn(store, 'lease/')).length, 2)
    resolve()
    await ender.settled()
    assert.deepEqual(await all(store), [])
  })

  test('hosts that are known to fail take at most half of the places', async () => {
    const { store, clock, ender, state } = await start()
    const hosts = Array.from({ length: 30 }, (_, at) => `down${at}`)
    for (const host of hosts) await putMany(store, 1, host)
    const ids = hosts.map((host) => `h/creds/${host}/0`)
    state.visit = () => Promise.reject(new Error('down'))
    ender.endDue(ids)
    await ender.settled()
    clock.time += 10 * SECOND
    const { promise, resolve } = Promise.withResolvers<void>()
    let visits = 0
    state.visit = (host) => {
      if (host === 'up') return Promise.resolve()
      visits++
      return promise
    }
    ender.endDue(ids)
    const [up = ''] = await putMany(store, 1, 'up')
    assert.deepEqual(await ender.endNow([up]), [undefined])
    assert.equal(visits, 8)
    resolve()
    await ender.settled()
    assert.deepEqual(await all(store), [])
  })

  test('what its mount left behind is dropped', async () => {
    const { store, ender, calls } = await start()
    await put(store, 'x/1', 'a', 'gone')
    ender.endDue(['x/1'])
    await ender.settled()
    assert.deepEqual(calls, [])
    assert.deepEqual(await keysIn(store, 'lease/', 'exp/', 'held/'), [])
  })

  test('an engine that gives too few results has ended nothing', async () => {
    const { store, ender, engine, failures } = await start()
    const ids = await putMany(store, 2, 'a')
    Object.assign(engine, { end: async () => [undefined] })
    ender.endDue(ids)
    await ender.settled()
    assert.deepEqual([...failures].sort(), ids)
    assert.equal((await keysIn(store, 'lease/')).length, 2)
  })

  test('each lease has its own result', async () => {
    const { store, ender, engine } = await start()
    const ids = await putMany(store, 3, 'a')
    const bad = ids[1] as string
    const end = async (leases: readonly StoredLease[]) =>
      leases.map(({ id }) => (id === bad ? new Error('no') : undefined))
    Object.assign(engine, { end })
    const results = await ender.endNow(ids)
    assert.deepEqual(
      results.map((result) => result?.message),
      [undefined, 'no', undefined],
    )
    assert.deepEqual(await keysIn(store, 'lease/', 'data/'), [`lease/${bad}`, `data/${bad}`])
  })
})

describe('a failed try', () => {
  const pauses = [10 * SECOND, 30 * SECOND, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, HOUR, HOUR]

  test('is followed by growing pauses, and the sixth lists the lease as irrevocable', async () => {
    const { store, clock, state, newEnder } = await start()
    const [id = ''] = await putMany(store, 1, 'a')
    state.visit = () => Promise.reject(new Error(`\x1b[31mno route\n${'x'.repeat(500)}`))
    for (const [at, pause] of pauses.entries()) {
      // A new one each time: nothing of it is kept in memory.
      const ender = newEnder()
      ender.endDue([id])
      await ender.settled()
      const lease = await readLease(store, id)
      assert.equal(lease?.external?.tries, at + 1)
      assert.equal(lease.external.dueAt, clock.time + pause)
      assert.equal(lease.external.claim, undefined)
      assert.match(lease.external.lastError ?? '', /^\?\[31mno route\?x+$/)
      assert.ok((lease.external.lastError?.length ?? 0) <= 256)
      assert.equal((await keysIn(store, 'exp/')).length, 1)
      assert.equal((await keysIn(store, 'irrevocable/')).length, at >= 5 ? 1 : 0)
      clock.time += pause - 1
      ender.endDue([id])
      await ender.settled()
      assert.equal((await readLease(store, id))?.external?.tries, at + 1, 'not before the pause')
      clock.time += 1
    }
    state.visit = () => Promise.resolve()
    const ender = newEnder()
    ender.endDue([id])
    await ender.settled()
    assert.deepEqual(await all(store), [])
  })

  test('by hand does not wait for the pause, and tells why it failed', async () => {
    const { store, ender, state } = await start()
    const [id = ''] = await putMany(store, 1, 'a')
    state.visit = () => Promise.reject(new Error('down'))
    for (const tries of [1, 2]) {
      const [result] = await ender.endNow([id])
      assert.equal(result?.message, 'down')
      assert.equal((await readLease(store, id))?.external?.tries, tries)
    }
  })

  test('with force drops the lease and what is stored beside it', async () => {
    const { store, ender, calls, state } = await start()
    const ids = await putMany(store, 3, 'a')
    state.visit = () => Promise.reject(new Error('down'))
    await ender.endOrDrop(ids)
    assert.equal(calls.length, 1)
    assert.deepEqual(await all(store), [])
  })
})

describe('protocols 1.6: a claim', () => {
  test('is one of two: the other owner leaves the lease alone until the claim lapses', async () => {
    const { store, clock, calls, state, ender, newEnder } = await start()
    const [id = ''] = await putMany(store, 1, 'a')
    const stopped = Promise.withResolvers<void>()
    const claimed = Promise.withResolvers<void>()
    state.visit = () => {
      claimed.resolve()
      return stopped.promise
    }
    ender.endDue([id])
    await claimed.promise
    const other = newEnder()
    clock.time += MINUTE - 1
    other.endDue([id])
    await other.settled()
    assert.equal(calls.length, 1)
    clock.time += 1
    state.visit = () => Promise.resolve()
    other.endDue([id])
    await other.settled()
    assert.equal(calls.length, 2)
    assert.deepEqual(await all(store), [])
    // The stopped one goes on: its claim is of the past.
    stopped.resolve()
    await ender.settled()
    assert.deepEqual(await all(store), [])
  })

  test('that was lost finishes nothing: a late failure counts no try', async () => {
    const { store, clock, state, ender, newEnder } = await start()
    const [id = ''] = await putMany(store, 1, 'a')
    const stopped = Promise.withResolvers<void>()
    const claimed = Promise.withResolvers<void>()
    state.visit = () => {
      claimed.resolve()
      return stopped.promise
    }
    ender.endDue([id])
    await claimed.promise
    clock.time += MINUTE
    state.visit = () => Promise.reject(new Error('down'))
    const other = newEnder()
    other.endDue([id])
    await other.settled()
    stopped.reject(new Error('late'))
    await ender.settled()
    const lease = await readLease(store, id)
    assert.equal(lease?.external?.tries, 1)
    assert.equal(lease.external.lastError, 'down')
  })

  test('of many owners over the same leases: each lease is handed out once', async () => {
    const { store, calls, state, newEnder } = await start()
    const hosts = ['a', 'b', 'c']
    const ids = (await Promise.all(hosts.map((host) => putMany(store, 50, host)))).flat()
    state.visit = () => nextTurn()
    const owners = Array.from({ length: 4 }, newEnder)
    for (const owner of owners) owner.endDue(ids)
    await Promise.all(owners.map((owner) => owner.settled()))
    assert.deepEqual(calls.flat().sort(), [...ids].sort())
    assert.deepEqual(await all(store), [])
  })

  test('of a store that fails lapses, and the lease is ended later', async () => {
    const { store, clock, ender, engine } = await start()
    const [id = ''] = await putMany(store, 1, 'a')
    const removalOf = () => Promise.reject(new Error('config moved'))
    const before = engine.removalOf
    Object.assign(engine, { removalOf })
    ender.endDue([id])
    await ender.settled()
    assert.equal((await readLease(store, id))?.external?.lastError, 'config moved')
    Object.assign(engine, { removalOf: before })
    clock.time += MINUTE
    ender.endDue([id])
    await ender.settled()
    assert.deepEqual(await all(store), [])
  })
})

test('who stops leaves what waits in the store', async () => {
  const { store, ender, state } = await start()
  const ids = await putMany(store, 600, 'a')
  const { promise, resolve } = Promise.withResolvers<void>()
  const claimed = Promise.withResolvers<void>()
  state.visit = () => {
    claimed.resolve()
    return promise
  }
  ender.endDue(ids)
  await claimed.promise
  ender.stop()
  resolve()
  await ender.settled()
  assert.equal((await keysIn(store, 'lease/')).length, 100)
})
