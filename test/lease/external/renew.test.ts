import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { PosternError } from '../../../src/errors.ts'
import { CLAIM_MS } from '../../../src/lease/external/claim.ts'
import { LeaseEnder } from '../../../src/lease/external/ender.ts'
import type { LeaseEngine } from '../../../src/lease/external/engine.ts'
import { renewOutside } from '../../../src/lease/external/renew.ts'
import { type ExternalState, leaseCreation, readLease } from '../../../src/lease/lease.ts'
import { openSqliteStore } from '../../../src/storage/sqlite/sqlite.ts'
import { keysIn } from '../../support/core.ts'

const MINUTE = 60_000
const END = 1000
const LATER = 5000

async function start() {
  const store = await openSqliteStore({ path: ':memory:' })
  const clock = {
    time: 500,
    now() {
      return this.time
    },
  }
  const lines = new Set<string>()
  const hooks = { beforeRenew: async () => {}, beforeEnd: async () => {} }
  const engine: LeaseEngine = {
    groupOf: ({ id }) => id,
    removalOf: async () => [],
    end: async (leases) => {
      await hooks.beforeEnd()
      for (const { id } of leases) lines.delete(id)
      return leases.map(() => undefined)
    },
    renew: async ({ id }, expiresAt) => {
      await hooks.beforeRenew()
      lines.add(id)
      return { data: { expiresAt } }
    },
  }
  const engineOf = async () => engine
  const ender = new LeaseEnder({ store, clock, engineOf, onFailure: () => {} })
  const put = async (id: string, external: Partial<ExternalState> = {}) => {
    const { writes, condition } = leaseCreation(id, {
      kind: 'secret',
      tokenId: 'owner',
      mountUuid: 'm',
      issuedAt: 0,
      expiresAt: END,
      maxExpiresAt: 90_000,
      renewable: true,
      external: { state: 'active', dueAt: END, ...external },
    })
    await store.commit(writes, [condition])
    lines.add(id)
  }
  const renew = (id: string) =>
    renewOutside(engineOf, store, id, { expiresAt: LATER, now: clock.now() })
  const endDue = async (id: string) => {
    ender.endDue([id])
    await ender.settled()
  }
  return { store, clock, lines, hooks, ender, put, renew, endDue }
}

describe('renewing outside the store', () => {
  test('moves the end there and here, and keeps what the engine gives', async () => {
    const { store, put, renew } = await start()
    await put('a')
    assert.equal(await renew('a'), true)
    const lease = await readLease(store, 'a')
    assert.equal(lease?.expiresAt, LATER)
    assert.deepEqual(lease.data, { expiresAt: LATER })
    assert.deepEqual(lease.external, { state: 'active', dueAt: LATER })
    assert.equal(lease.periodMs, END)
    const [due, ...others] = await keysIn(store, 'exp/')
    assert.match(due ?? '', /001388\/a$/)
    assert.deepEqual(others, [])
  })

  test('that the host refuses leaves the lease as it was', async () => {
    const { store, hooks, put, renew } = await start()
    await put('a')
    const before = await readLease(store, 'a')
    hooks.beforeRenew = () => Promise.reject(new Error('down'))
    await assert.rejects(renew('a'), /down/)
    const { version: _after, ...after } = (await readLease(store, 'a')) ?? {}
    const { version: _before, ...expected } = before ?? {}
    assert.deepEqual(after, expected)
  })

  test('that may still be under way on the host keeps an end waiting', async () => {
    const { store, clock, lines, hooks, ender, put, renew, endDue } = await start()
    await put('a')
    const text = 'the connection was cut'
    hooks.beforeRenew = () => Promise.reject(new PosternError('refused', text, { mayGoOn: true }))
    await assert.rejects(renew('a'), /cut/)
    await ender.retire(['a'])
    await endDue('a')
    assert.deepEqual([...lines], ['a'], 'the host is left alone')
    clock.time += CLAIM_MS
    await endDue('a')
    assert.deepEqual([...lines], [])
    assert.deepEqual(await keysIn(store, ''), [])
  })

  const claim = (until: number) => ({ id: 'x', owner: 'y', until })
  const refused: [string, Partial<ExternalState>][] = [
    ['pending', { state: 'pending' }],
    ['on its way out', { ending: true }],
    ['claimed by another', { claim: claim(501) }],
  ]
  for (const [name, external] of refused) {
    test(`is refused for a lease that is ${name} (protocols 1.6)`, async () => {
      const { lines, put, renew } = await start()
      await put('a', external)
      lines.clear()
      assert.equal(await renew('a'), false)
      assert.equal(lines.size, 0, 'and no host is asked')
    })
  }

  test('goes on where another renewal was stopped and its claim has lapsed', async () => {
    const { put, renew } = await start()
    await put('a', { claim: claim(500) })
    assert.equal(await renew('a'), true)
  })

  test('is refused at the end, and for what is gone', async () => {
    const { clock, put, renew } = await start()
    await put('a')
    clock.time = END
    assert.equal(await renew('a'), false)
    assert.equal(await renew('b'), false)
  })

  test('that is overtaken by a revoke is refused, and the lease is ended', async () => {
    const { store, lines, hooks, ender, put, renew, endDue } = await start()
    await put('a')
    hooks.beforeRenew = () => ender.retire(['a'])
    assert.equal(await renew('a'), false)
    await endDue('a')
    assert.deepEqual([...lines], [])
    assert.deepEqual(await keysIn(store, ''), [])
  })

  test('of a process that was stopped past its claim: what it makes anew is ended once more', async () => {
    const { store, clock, lines, hooks, put, renew, endDue } = await start()
    await put('a')
    hooks.beforeRenew = async () => {
      clock.time = END + MINUTE
      await endDue('a')
      assert.deepEqual([...lines], [])
    }
    assert.equal(await renew('a'), false)
    await endDue('a')
    assert.deepEqual([...lines], [])
    assert.deepEqual(await keysIn(store, ''), [])
  })
})

test('protocols 1.6: renew racing expiry 1,000 times never ends with "renewed" and no line on the host', async () => {
  const { store, clock, lines, hooks, put, renew, endDue } = await start()
  const outcomes = new Map<boolean, number>()
  // Each pair of lengths, from none to a handful of turns, comes up as often.
  let round = 0
  const turns = async (count: number) => {
    for (let at = 0; at < count; at++) await nextTurn()
  }
  hooks.beforeRenew = () => turns(round % 5)
  hooks.beforeEnd = () => turns(Math.floor(round / 5) % 5)
  for (; round < 1000; round++) {
    const id = `r${round}`
    clock.time = END - 1
    await put(id)
    const expire = async () => {
      await turns(Math.floor(round / 25) % 8)
      clock.time = END
      await endDue(id)
    }
    const renewLate = async () => {
      await turns(Math.floor(round / 200) % 5)
      return renew(id)
    }
    const [isRenewed] = await Promise.all([renewLate(), expire()])
    outcomes.set(isRenewed, (outcomes.get(isRenewed) ?? 0) + 1)
    if (!isRenewed) await endDue(id)
    assert.equal(lines.has(id), isRenewed, `round ${round}`)
    assert.equal((await readLease(store, id))?.expiresAt, isRenewed ? LATER : undefined)
  }
  assert.ok((outcomes.get(true) ?? 0) > 50 && (outcomes.get(false) ?? 0) > 50, 'both sides win')
})
