import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { PosternError } from '../../src/errors.ts'
import { Expiration } from '../../src/lease/expiration.ts'
import {
  type LeaseRecord,
  leaseCreation,
  leaseRemoval,
  leaseRenewal,
  parseExpiryKey,
  readLease,
} from '../../src/lease/lease.ts'
import { openSqliteStore } from '../../src/storage/sqlite/sqlite.ts'
import type { Store } from '../../src/storage/store.ts'
import { issuedKeys, keysIn, mountSsh, startTestCore, tokenOf } from '../support/core.ts'

const HOUR = 3_600_000

/** As the sweep finds it: by time, in hex. */
const expiryKey = (expiresAt: number, id: string) =>
  `exp/${expiresAt.toString(16).padStart(12, '0')}/${id}`

const record = (expiresAt: number): LeaseRecord => ({
  kind: 'secret',
  tokenId: 'owner',
  mountUuid: 'm',
  issuedAt: 0,
  expiresAt,
  maxExpiresAt: 10_000,
  renewable: true,
})

async function put(store: Store, id: string, expiresAt: number): Promise<void> {
  const { writes, condition } = leaseCreation(id, record(expiresAt))
  await store.commit(writes, [condition])
}

async function start() {
  const store = await openSqliteStore({ path: ':memory:' })
  const ended: string[] = []
  const failures: string[] = []
  const clock = {
    time: 1000,
    now() {
      return this.time
    },
  }
  let isBroken = false
  const expiration = new Expiration({
    store,
    clock,
    expire: async (id) => {
      if (isBroken) throw new PosternError('store_failed')
      const lease = await readLease(store, id)
      if (lease) await store.commit(leaseRemoval(lease), [])
      ended.push(id)
    },
    external: { isQueued: () => false, endDue: () => {} },
    onFailure: (id) => failures.push(id),
  })
  const breakDown = (broken: boolean) => {
    isBroken = broken
  }
  return { store, ended, failures, clock, expiration, breakDown }
}

describe('a sweep', () => {
  test('ends what is due, and only that', async () => {
    const { store, ended, clock, expiration } = await start()
    for (const [id, end] of [
      ['late', 1001],
      ['due', 1000],
      ['old', 1],
      ['far', 9999],
    ] as const) {
      await put(store, id, end)
    }
    await expiration.sweep()
    assert.deepEqual(ended, ['old', 'due'])
    clock.time = 1001
    await expiration.sweep()
    assert.deepEqual(ended, ['old', 'due', 'late'])
  })

  test('goes through more than a page of them', async () => {
    const { store, ended, expiration } = await start()
    const ids = Array.from({ length: 1203 }, (_, at) => `mount/creds/r/${at}`)
    await Promise.all(ids.map((id, at) => put(store, id, at % 900)))
    await expiration.sweep()
    assert.equal(new Set(ended).size, ids.length)
    assert.deepEqual(await keysIn(store, ''), [])
  })

  test('tries again later what could not be ended, and does not stop at it', async () => {
    const { store, ended, failures, clock, expiration, breakDown } = await start()
    await put(store, 'a', 1)
    await put(store, 'b', 2)
    breakDown(true)
    await expiration.sweep()
    assert.deepEqual(failures, ['a', 'b'])
    breakDown(false)
    await expiration.sweep()
    assert.deepEqual(ended, [], 'not before a pause')
    clock.time += 10_000
    await expiration.sweep()
    assert.deepEqual(ended, ['a', 'b'])
  })

  test('drops index entries that stand for nothing', async () => {
    const { store, ended, expiration } = await start()
    await put(store, 'a', 5000)
    const stray = [expiryKey(1, 'a'), expiryKey(2, 'gone')]
    await store.commit(
      stray.map((key) => ({ key, value: new Uint8Array(0) })),
      [],
    )
    await expiration.sweep()
    assert.deepEqual(ended, [])
    assert.deepEqual(await keysIn(store, 'exp/'), [expiryKey(5000, 'a')])
  })
})

describe('keys', () => {
  test('sort by time, and give time and id back', () => {
    const times = [0, 1, 15, 16, 1_795_348_800_000, 2 ** 47]
    const keys = times.map((time) => expiryKey(time, 'a/b/c'))
    assert.deepEqual([...keys].sort(), keys)
    assert.deepEqual(
      keys.map(parseExpiryKey),
      times.map((expiresAt) => ({ expiresAt, id: 'a/b/c' })),
    )
  })

  test('a renewal moves the index entry, a removal takes all entries', async () => {
    const { store } = await start()
    await put(store, 'a', 1000)
    const lease = await readLease(store, 'a')
    assert.ok(lease)
    await store.commit(leaseRenewal(lease, 2000, 500), [])
    assert.deepEqual(await keysIn(store, ''), [expiryKey(2000, 'a'), 'held/owner/a', 'lease/a'])
    const renewed = await readLease(store, 'a')
    assert.equal(renewed?.lastRenewedAt, 500)
    if (renewed) await store.commit(leaseRemoval(renewed), [])
    assert.deepEqual(await keysIn(store, ''), [])
  })
})

describe('in a server', () => {
  test('what ended while it was down is ended at the first sweep', async (t) => {
    const server = await startTestCore()
    t.after(() => server.close())
    await mountSsh(server)
    const before = await issuedKeys(server)
    const token = await tokenOf(server, { ttl: '1h', policies: ['default'] })
    await server.send('update', 'cubbyhole/a', { k: 'v' }, { token })
    await server.send('update', 'ssh/creds/web', { ip: '10.0.0.1' })
    await server.call('read', 'sys/mounts', {}, { wrapTtlSeconds: 60 })
    await server.core.seal.seal()
    server.advance(HOUR)
    await server.core.seal.unseal({ key: server.unsealKey })
    await server.core.endDueLeases()
    assert.deepEqual(await issuedKeys(server), before)
  })

  test('nothing is kept in memory for each lease', async (t) => {
    const server = await startTestCore()
    t.after(() => server.close())
    await mountSsh(server)
    server.audit.enabled = false
    const issue = async (count: number) => {
      for (let i = 0; i < count; i++)
        await server.send('update', 'ssh/creds/web', { ip: '10.0.0.1' })
    }
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    // SQLite's own memory is not part of the heap.
    const heap = () => {
      collect()
      return process.memoryUsage().heapUsed
    }
    await issue(300)
    // What is kept shows in every round; what the engine compiles or warms up shows in one of them.
    let least = Number.POSITIVE_INFINITY
    for (let round = 0; round < 4 && least >= 60; round++) {
      const before = heap()
      await issue(1000)
      least = Math.min(least, (heap() - before) / 1000)
    }
    assert.ok(least < 60, `${least.toFixed(0)} bytes a lease`)
  })
})
