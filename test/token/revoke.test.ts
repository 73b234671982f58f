import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { leaseCreation, leaseRenewal, readLease } from '../../src/lease/lease.ts'
import { type LeaseEnds, revokeLease, revokePrefix } from '../../src/lease/revoke.ts'
import { openSqliteStore } from '../../src/storage/sqlite/sqlite.ts'
import type { Store } from '../../src/storage/store.ts'
import { resumeRevocations, revokeTokenTree, type TokenHoldings } from '../../src/token/revoke.ts'
import type { TokenRecord } from '../../src/token/token.ts'
import { readToken, takeUse, tokenCreation, tokenUpdate } from '../../src/token/token-store.ts'
import { keysIn } from '../support/core.ts'
import { InterposedStore } from '../support/interposed-store.ts'

const holdings: TokenHoldings = {
  revokeHeldLeases: () => Promise.resolve(),
  removeCubbyhole: () => Promise.resolve(),
  prefixes: () => Promise.resolve(['held/a/']),
  leaseRemoval: () => [],
  endGrants: () => Promise.reject(new Error('no token here was given anything')),
}

const start = () => openSqliteStore({ path: ':memory:' })

async function put(store: Store, id: string, changes: Partial<TokenRecord> = {}): Promise<void> {
  const { writes, conditions } = tokenCreation(id, {
    accessor: `accessor-${id}`,
    policies: ['default'],
    path: 'auth/token/create',
    displayName: 'token',
    issuedAt: 0,
    creationTtlSeconds: 1,
    expiresAt: 1000,
    maxTtlSeconds: 10,
    explicitMaxTtlSeconds: 0,
    periodSeconds: 0,
    numUses: 0,
    renewable: true,
    entityId: '',
    ...changes,
  })
  await store.commit(writes, conditions)
}

describe('the end of a token', () => {
  test('that expires spares one that was renewed since it was seen to be due', async () => {
    const store = await start()
    await put(store, 'a', { expiresAt: 1000 })
    const token = await readToken(store, 'a')
    if (token) await store.commit([tokenUpdate(token, { expiresAt: 2000 })], [])
    await revokeTokenTree(store, holdings, 'a', { dueBy: 1000 })
    assert.ok(await readToken(store, 'a'))
    await revokeTokenTree(store, holdings, 'a', { dueBy: 2000 })
    assert.deepEqual(await keysIn(store, ''), [])
  })

  test('that expires takes children along that would have lived longer', async () => {
    const store = await start()
    await put(store, 'a', { expiresAt: 1000 })
    await put(store, 'b', { expiresAt: 9000, parentId: 'a' })
    await put(store, 'c', { expiresAt: 0, parentId: 'b' })
    await revokeTokenTree(store, holdings, 'a', { dueBy: 1000 })
    assert.deepEqual(await keysIn(store, ''), [])
  })

  test('of a deep chain ends too', async () => {
    const store = await start()
    await put(store, 't0')
    for (let i = 1; i < 500; i++) await put(store, `t${i}`, { parentId: `t${i - 1}` })
    await revokeTokenTree(store, holdings, 't0')
    assert.deepEqual(await keysIn(store, ''), [])
  })

  test('protocols 1.4: after the mark nothing can be made under it', async () => {
    const store = await start()
    await put(store, 'a')
    await put(store, 'other', { parentId: 'a' })
    let isRefused = false
    const checking: TokenHoldings = {
      ...holdings,
      revokeHeldLeases: async () => {
        const { writes, conditions } = tokenCreation('child', childOf('a'))
        const parent = { key: 'tok/a', is: 'present' as const }
        const result = await store.commit(writes, [...conditions, parent])
        isRefused = !result.committed
      },
    }
    await revokeTokenTree(store, checking, 'a')
    assert.equal(isRefused, true)
    assert.deepEqual(await keysIn(store, ''), [])
  })

  test('protocols 1.4: on which nothing hangs takes one commit, without a mark', async () => {
    const store = await start()
    await put(store, 'a')
    const never = () => Promise.reject(new Error('there is nothing to end'))
    await revokeTokenTree(store, { ...holdings, revokeHeldLeases: never }, 'a')
    assert.deepEqual(await keysIn(store, ''), [])
  })

  test('protocols 1.4: finds what is added while it looks: a child, or a lease', async () => {
    for (const added of ['kin/a/late', 'held/a/late']) {
      const store = await start()
      await put(store, 'a')
      const ended: string[] = []
      const adding: TokenHoldings = {
        ...holdings,
        prefixes: async () => {
          await store.commit([{ key: added, value: new Uint8Array(0) }], [])
          return ['held/a/']
        },
        revokeHeldLeases: async (id) => {
          ended.push(id)
          await store.commit([{ key: 'held/a/late' }], [])
        },
      }
      await revokeTokenTree(store, adding, 'a')
      assert.deepEqual(ended, ['a'], added)
      assert.deepEqual(await keysIn(store, 'tok/', 'held/', 'revoking/'), [])
    }
  })

  test('protocols 1.4: a child that is committed right before the mark ends too', async () => {
    const store = new InterposedStore(await start())
    await put(store, 'a')
    await put(store, 'other', { parentId: 'a' })
    let isLate = true
    store.beforeCommit = async (writes) => {
      if (!isLate || !writes.some(({ key }) => key === 'revoking/a')) return
      isLate = false
      await put(store, 'child', { parentId: 'a' })
    }
    await revokeTokenTree(store, holdings, 'a')
    assert.equal(isLate, false)
    assert.deepEqual(await keysIn(store, ''), [])
  })

  test('that was only marked is finished by the next start', async () => {
    const store = await start()
    await put(store, 'a')
    await put(store, 'b', { parentId: 'a' })
    const failing: TokenHoldings = {
      ...holdings,
      revokeHeldLeases: () => Promise.reject(new Error('the process died')),
    }
    await assert.rejects(revokeTokenTree(store, failing, 'a'))
    assert.deepEqual(await keysIn(store, 'tok/'), [])
    assert.deepEqual(await keysIn(store, 'revoking/'), ['revoking/a', 'revoking/b'])
    await resumeRevocations(store, holdings)
    assert.deepEqual(await keysIn(store, ''), [])
  })
})

const childOf = (parentId: string): TokenRecord => ({
  accessor: 'accessor-child',
  policies: [],
  path: 'auth/token/create',
  displayName: '',
  issuedAt: 0,
  creationTtlSeconds: 0,
  expiresAt: 0,
  maxTtlSeconds: 0,
  explicitMaxTtlSeconds: 0,
  periodSeconds: 0,
  numUses: 0,
  renewable: false,
  parentId,
  entityId: '',
})

describe('uses', () => {
  test('are counted down to none, and a token without a limit stays as it is', async () => {
    const store = await start()
    await put(store, 'a', { numUses: 2 })
    await put(store, 'b')
    const use = async (id: string) => {
      const token = await readToken(store, id)
      return (token && (await takeUse(store, token)))?.numUses
    }
    assert.deepEqual([await use('a'), await use('a'), await use('a')], [1, -1, undefined])
    assert.deepEqual([await use('b'), await use('b')], [0, 0])
  })

  test('of what was read before another took it are taken from what is there', async () => {
    const store = await start()
    await put(store, 'a', { numUses: 3 })
    const read = await readToken(store, 'a')
    assert.ok(read)
    const taken = await Promise.all(Array.from({ length: 8 }, () => takeUse(store, read)))
    const left = taken.flatMap((token) => (token ? [token.numUses] : []))
    assert.deepEqual(left.sort(), [-1, 1, 2])
  })
})

describe('the end of a lease', () => {
  async function putLease(store: Store, id: string): Promise<void> {
    const { writes, condition } = leaseCreation(id, {
      kind: 'secret',
      tokenId: 'a',
      mountUuid: 'm',
      issuedAt: 0,
      expiresAt: 1000,
      maxExpiresAt: 9000,
      renewable: true,
      data: { key: 'data/m/x' },
    })
    await store.commit([...writes, { key: 'data/m/x', value: new Uint8Array(0) }], [condition])
  }
  const ends: LeaseEnds = {
    endSecret: () => Promise.resolve({ writes: [{ key: 'data/m/x' }] }),
    revokeToken: () => Promise.reject(new Error('no token here')),
    endOutside: () => Promise.reject(new Error('nothing outside here')),
  }
  const broken: LeaseEnds = { ...ends, endSecret: () => Promise.reject(new Error('engine down')) }

  test('takes what it stands for along in one commit', async () => {
    const store = await start()
    await putLease(store, 'ssh/creds/r/1')
    await revokeLease(store, ends, 'ssh/creds/r/1')
    assert.deepEqual(await keysIn(store, ''), [])
    await revokeLease(store, ends, 'ssh/creds/r/1')
  })

  test('that expires spares one that was renewed since it was seen to be due', async () => {
    const store = await start()
    await putLease(store, 'ssh/creds/r/1')
    const lease = await readLease(store, 'ssh/creds/r/1')
    if (lease) await store.commit(leaseRenewal(lease, 2000, 900), [])
    await revokeLease(store, ends, 'ssh/creds/r/1', { dueBy: 1000 })
    assert.ok(await readLease(store, 'ssh/creds/r/1'))
  })

  test('whose engine fails keeps the lease, unless it is forced', async () => {
    const store = await start()
    await putLease(store, 'ssh/creds/r/1')
    await assert.rejects(revokePrefix(store, broken, 'ssh'), /engine down/)
    assert.ok(await readLease(store, 'ssh/creds/r/1'))
    await revokePrefix(store, broken, 'ssh', { force: true })
    assert.equal(await readLease(store, 'ssh/creds/r/1'), undefined)
  })
})
