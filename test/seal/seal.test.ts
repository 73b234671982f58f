import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import type { Seal } from '../../src/seal/seal.ts'
import { operatorSealWrite } from '../../src/seal/seal-config.ts'
import { GENERATION_KEY, SEAL_KEY } from '../../src/storage/path.ts'
import type { Store } from '../../src/storage/store.ts'
import {
  HandClock,
  initialized,
  memoryStore,
  noRecords,
  refusalOf,
  START,
  shamirNode,
  staticNode,
  unsealed,
  unsealWith,
} from './cluster.ts'

const WRONG_KEY =
  '400 unable to retrieve stored keys: invalid key: failed to decrypt keys from storage: cipher: message authentication failed'

/** What core does at the beginning of each request. */
async function request(seal: Seal): Promise<string> {
  return refusalOf(seal.barrier.get([SEAL_KEY]).then(([entry]) => seal.observe(entry)))
}

async function put(seal: Seal, key: string, text: string): Promise<void> {
  await seal.barrier.commit([{ key, value: Buffer.from(text) }], [])
}

async function value(seal: Seal, key: string): Promise<string | undefined> {
  const [entry] = await seal.barrier.get([key])
  return entry && Buffer.from(entry.value).toString()
}

describe('init', () => {
  const refusals = [
    [
      { shares: 1, threshold: 2 },
      'invalid seal configuration: threshold cannot be larger than shares',
    ],
    [{ shares: 0, threshold: 0 }, 'invalid seal configuration: shares must be at least one'],
    [{}, 'invalid seal configuration: shares must be at least one'],
    [
      { shares: 3, threshold: 1 },
      'invalid seal configuration: threshold must be greater than one for multiple shares',
    ],
    [
      { shares: 3, threshold: 2, pgpKeys: ['a'] },
      'invalid seal configuration: count mismatch between number of provided PGP keys and number of shares',
    ],
    [
      { shares: 1, threshold: 1, pgpKeys: ['a'] },
      'invalid seal configuration: pgp_keys is not supported: key shares are returned unencrypted',
    ],
    [
      { shares: 1, threshold: 1, rootTokenPgpKey: 'a' },
      'root_token_pgp_key is not supported: the root token is returned unencrypted',
    ],
    [
      { shares: 3, threshold: 2, recoveryShares: 1, recoveryThreshold: 1 },
      'parameters recovery_shares,recovery_threshold not applicable to seal type shamir',
    ],
  ] as const
  for (const [fields, message] of refusals) {
    test(`with ${JSON.stringify(fields)} is refused and stores nothing`, async (t) => {
      const store = await memoryStore(t)
      const seal = shamirNode(store)
      await assert.rejects(seal.initialize(fields, noRecords), { status: 400, message })
      assert.deepEqual(await store.list('', '', 10), [])
    })
  }

  test('gives shares, leaves the server sealed, and is refused a second time', async (t) => {
    const seal = shamirNode(await memoryStore(t))
    assert.equal(await seal.isInitialized(), false)
    const before = await seal.status()
    const empty = { threshold: 0, shares: 0, progress: 0, nonce: '' }
    assert.deepEqual(before, { type: 'shamir', initialized: false, sealed: true, ...empty })
    const shares = await initialized(seal, { shares: 3, threshold: 2 })
    assert.equal(new Set(shares).size, 3)
    assert.deepEqual(await seal.status(), {
      ...{ type: 'shamir', initialized: true, sealed: true },
      ...{ threshold: 2, shares: 3, progress: 0, nonce: '' },
    })
    assert.equal(await seal.isInitialized(), true)
    const again = await refusalOf(initialized(seal, { shares: 1, threshold: 1 }))
    assert.equal(again, '400 Vault is already initialized')
  })

  test('by two nodes at once makes one cluster', async (t) => {
    const store = await memoryStore(t)
    const nodes = [shamirNode(store), shamirNode(store)]
    const outcomes = await Promise.allSettled(nodes.map((seal) => initialized(seal)))
    const made = outcomes.filter((outcome) => outcome.status === 'fulfilled')
    assert.equal(made.length, 1)
    await unsealWith(nodes[1] as Seal, made[0]?.value.slice(1) ?? [])
    assert.equal(nodes[1]?.isSealed, false)
  })

  test('stores the first records in the same batch, or nothing when they fail', async (t) => {
    const store = await memoryStore(t)
    const seal = shamirNode(store)
    const failing = seal.initialize({ shares: 1, threshold: 1 }, () =>
      Promise.reject(new Error('no')),
    )
    await assert.rejects(failing, /no/)
    assert.deepEqual(await store.list('', '', 10), [])
    let tokenId = ''
    const { keys } = await seal.initialize({ shares: 1, threshold: 1 }, async (barrier) => {
      tokenId = barrier.hmac('s.root')
      return [
        { key: `token/${tokenId}`, value: Buffer.from('root') },
        { key: 'cfg/mounts', value: Buffer.from('mounts') },
      ]
    })
    assert.equal(seal.barrier.isOpen, false)
    assert.deepEqual(
      keys.map((key) => key.length),
      [32],
    )
    await unsealWith(
      seal,
      keys.map((key) => key.toString('base64')),
    )
    assert.equal(await value(seal, `token/${seal.barrier.hmac('s.root')}`), 'root')
    assert.equal(await value(seal, 'cfg/mounts'), 'mounts')
  })
})

describe('unseal', () => {
  test('before init is refused', async (t) => {
    const seal = shamirNode(await memoryStore(t))
    const refusal = await refusalOf(seal.unseal({ key: '00'.repeat(32) }))
    assert.equal(refusal, '400 Vault is not initialized')
  })

  test('without a key, or with none that could be one, is refused', async (t) => {
    const seal = shamirNode(await memoryStore(t))
    await initialized(seal)
    assert.equal(
      await refusalOf(seal.unseal({})),
      "400 'key' must be specified in request body as JSON, or 'reset' set to true",
    )
    const bad = await refusalOf(seal.unseal({ key: '!!!' }))
    assert.equal(bad, "400 'key' must be a valid hex or base64 string")
    const short = await refusalOf(seal.unseal({ key: 'abcd' }))
    assert.equal(short, '400 invalid key: key is shorter than minimum 16 bytes')
  })

  test('counts shares under one nonce, the same share once, and begins again after a reset', async (t) => {
    const seal = shamirNode(await memoryStore(t))
    const [first = '', second = ''] = await initialized(seal, { shares: 5, threshold: 3 })
    const one = await seal.unseal({ key: first })
    assert.equal(one.progress, 1)
    assert.match(one.nonce, /^[0-9a-f-]{36}$/)
    const again = await seal.unseal({ key: Buffer.from(first, 'hex').toString('base64') })
    assert.deepEqual(again, one)
    const two = await seal.unseal({ key: second })
    assert.deepEqual([two.progress, two.nonce], [2, one.nonce])
    const reset = await seal.unseal({ reset: true })
    assert.deepEqual([reset.progress, reset.nonce, reset.sealed], [0, '', true])
    assert.notEqual((await seal.unseal({ key: first })).nonce, one.nonce)
  })

  test('with a quorum opens the barrier, and further keys change nothing', async (t) => {
    const seal = shamirNode(await memoryStore(t))
    const shares = await initialized(seal)
    await unsealWith(seal, shares.slice(1))
    const status = await seal.status()
    const expected = { type: 'shamir', initialized: true, sealed: false, threshold: 2, shares: 3 }
    const { clusterId, ...rest } = status
    assert.deepEqual(rest, { ...expected, progress: 0, nonce: '' })
    assert.match(clusterId ?? '', /^[0-9a-f-]{36}$/)
    assert.deepEqual(await seal.unseal({ key: shares[0] as string }), status)
    assert.equal(await refusalOf(seal.unseal({ reset: true })), '400 vault is unsealed')
  })

  test('with a wrong quorum is refused, and progress is 0 again', async (t) => {
    const seal = shamirNode(await memoryStore(t))
    const shares = await initialized(seal)
    const wrong = Buffer.from(shares[0] as string, 'hex')
    wrong.writeUInt8(wrong.readUInt8(3) ^ 1, 3)
    for (const key of [wrong.toString('hex'), shares[0] as string, '00'.repeat(32)]) {
      await seal.unseal({ key: shares[1] as string })
      const refusal = await refusalOf(seal.unseal({ key }))
      if (key === shares[0]) assert.equal(refusal, 'accepted')
      else assert.equal(refusal, WRONG_KEY)
      assert.equal((await seal.status()).progress, 0)
      if (!seal.isSealed) await seal.seal()
    }
  })

  test('of shares that come all at once counts each', async (t) => {
    const seal = shamirNode(await memoryStore(t))
    const shares = await initialized(seal, { shares: 5, threshold: 5 })
    await Promise.all(shares.map((key) => seal.unseal({ key })))
    assert.equal(seal.isSealed, false)
  })

  test('lets nobody in before its listeners are done, and stays sealed when one fails', async (t) => {
    const seal = shamirNode(await memoryStore(t))
    const shares = await initialized(seal)
    const seen: string[] = []
    let isFailing = true
    seal.onSealed(() => seen.push('sealed'))
    seal.onUnsealed(async () => {
      seen.push(`${seal.isSealed} ${seal.barrier.isOpen}`)
      if (isFailing) throw new Error('no audit device')
    })
    await assert.rejects(unsealWith(seal, shares.slice(0, 2)), /no audit device/)
    assert.deepEqual([seal.isSealed, seal.barrier.isOpen], [true, false])
    isFailing = false
    await unsealWith(seal, shares.slice(0, 2))
    assert.equal(seal.isSealed, false)
    assert.deepEqual(seen, ['true true', 'sealed', 'true true'])
  })
})

describe('seal', () => {
  test('drops the keys, tells listeners, and is nothing new when sealed', async (t) => {
    const { seal, shares } = await unsealed(t)
    await put(seal, 'a', 'kept')
    let calls = 0
    seal.onSealed(() => calls++)
    await seal.seal()
    await seal.seal()
    assert.deepEqual([calls, seal.isSealed], [1, true])
    assert.equal(await refusalOf(value(seal, 'a')), '503 Vault is sealed')
    await unsealWith(seal, shares.slice(0, 2))
    assert.equal(await value(seal, 'a'), 'kept')
  })

  test('seals even where the mark can not be stored', async (t) => {
    const { store, shares } = await unsealed(t)
    const full: Store = {
      get: (keys) => store.get(keys),
      list: (prefix, after, limit) => store.list(prefix, after, limit),
      commit: () => Promise.reject(new Error('disk full')),
      close: () => store.close(),
    }
    const seal = shamirNode(full)
    await unsealWith(seal, shares.slice(0, 2))
    await assert.rejects(seal.seal(), /disk full/)
    assert.deepEqual([seal.isSealed, seal.barrier.isOpen], [true, false])
  })

  test('protocols 1.8: of one node seals every other at its next request', async (t) => {
    const { store, seal, shares } = await unsealed(t)
    const other = shamirNode(store)
    await unsealWith(other, shares.slice(0, 2))
    assert.equal(await request(other), 'accepted')
    await seal.seal()
    assert.equal(await request(other), '503 Vault is sealed')
    assert.deepEqual([other.isSealed, other.barrier.isOpen], [true, false])
  })

  test('protocols 1.8: reaches a node that was idle until after the unseal', async (t) => {
    const { store, seal, shares } = await unsealed(t)
    const idle = shamirNode(store)
    await unsealWith(idle, shares.slice(0, 2))
    await seal.seal()
    await unsealWith(seal, shares.slice(0, 2))
    assert.equal(await request(seal), 'accepted')
    assert.equal(await request(idle), '503 Vault is sealed')
  })

  test('protocols 1.10: a restore marks the store, and a missing mark counts as sealed', async (t) => {
    const { store, seal, shares } = await unsealed(t)
    await store.commit([operatorSealWrite()], [])
    assert.equal(await request(seal), '503 Vault is sealed')
    await unsealWith(seal, shares.slice(0, 2))
    assert.equal(await request(seal), 'accepted')
    await store.commit([{ key: SEAL_KEY }], [])
    assert.equal(await request(seal), '503 Vault is sealed')
    await unsealWith(seal, shares.slice(0, 2))
    assert.equal(await request(seal), 'accepted')
  })
})

describe('a static seal', () => {
  const key = randomBytes(32)

  test('is unsealed right after init, and by itself after a restart', async (t) => {
    const store = await memoryStore(t)
    const seal = staticNode(store, key)
    assert.equal(await seal.autoUnseal(), false)
    assert.deepEqual(await initialized(seal, {}), [])
    assert.equal(seal.isSealed, false)
    await put(seal, 'a', 'kept')
    const restarted = staticNode(store, key)
    assert.equal(restarted.isSealed, true)
    assert.equal(await restarted.autoUnseal(), true)
    assert.equal(await value(restarted, 'a'), 'kept')
    assert.equal(await request(restarted), 'accepted')
    const { type, threshold, shares } = await restarted.status()
    assert.deepEqual([type, threshold, shares], ['static', 1, 1])
  })

  test('has no shares to be asked for', async (t) => {
    const seal = staticNode(await memoryStore(t), key)
    assert.equal(
      await refusalOf(seal.initialize({ shares: 5, threshold: 3 }, noRecords)),
      '400 parameters secret_shares,secret_threshold not applicable to seal type static',
    )
  })

  test('protocols 1.8: stays sealed after an operator sealed, until the operator gives the key', async (t) => {
    const store = await memoryStore(t)
    const seal = staticNode(store, key)
    await initialized(seal, {})
    await seal.seal()
    const restarted = staticNode(store, key)
    assert.equal(await restarted.autoUnseal(), false)
    assert.equal(restarted.isSealed, true)
    assert.equal(await refusalOf(restarted.unseal({ key: '11'.repeat(32) })), WRONG_KEY)
    await unsealWith(restarted, [key.toString('base64')])
    assert.equal(restarted.isSealed, false)
    assert.equal(await staticNode(store, key).autoUnseal(), true)
  })

  test('refuses to start with another key, key id or kind of seal', async (t) => {
    const store = await memoryStore(t)
    await initialized(staticNode(store, key), {})
    const starts = [
      staticNode(store, randomBytes(32)),
      staticNode(store, key, 'second'),
      staticNode(store, randomBytes(31)),
      shamirNode(store),
    ]
    const refusals = await Promise.all(starts.map((seal) => refusalOf(seal.autoUnseal())))
    assert.deepEqual(refusals, [
      '500 the static key "first" does not open the store',
      '500 the store is sealed with the static key "first", the configuration names "second"',
      '500 the static seal key is not 32 bytes long',
      '500 the store was initialised with seal "static", the configuration says "shamir"',
    ])
  })
})

describe('rotate', () => {
  test('seals under a new term, and earlier values still open, also after a restart', async (t) => {
    const clock = new HandClock()
    const { store, seal, shares } = await unsealed(t, { clock })
    await put(seal, 'old', 'old')
    const before = await seal.keyStatus()
    assert.deepEqual([before.term, before.installTime], [1, START])
    clock.advance(60_000)
    await seal.rotate()
    await put(seal, 'new', 'new')
    const after = await seal.keyStatus()
    assert.deepEqual(after, { term: 2, installTime: START + 60_000, encryptions: 1 })
    const [raw] = await store.get(['new'])
    assert.equal(raw && Buffer.from(raw.value).readUInt32BE(1), 2)
    const restarted = shamirNode(store)
    await unsealWith(restarted, shares.slice(0, 2))
    assert.deepEqual([await value(restarted, 'old'), await value(restarted, 'new')], ['old', 'new'])
  })

  test('protocols 1.3: takes a new generation: the keyring is configuration', async (t) => {
    const { store, seal } = await unsealed(t)
    const generation = async () => (await store.get([GENERATION_KEY]))[0]?.value
    const before = await generation()
    await seal.rotate()
    const after = await generation()
    assert.equal(after?.length, 16)
    assert.notDeepEqual(after, before)
  })

  test('protocols 1.8: another node loads the keyring at an unknown term, once', async (t) => {
    const { store, seal, shares } = await unsealed(t)
    const other = shamirNode(store)
    await unsealWith(other, shares.slice(0, 2))
    await seal.rotate()
    await put(seal, 'new', 'new')
    assert.equal(await value(other, 'new'), 'new')
    assert.equal((await other.keyStatus()).term, 2)
    const [raw] = await store.get(['new'])
    const foreign = Buffer.from(raw?.value ?? [])
    foreign.writeUInt32BE(77, 1)
    await store.commit([{ key: 'new', value: foreign }], [])
    assert.equal(await refusalOf(value(other, 'new')), '500 internal error')
    assert.equal(other.isSealed, false)
  })

  test('by several nodes at once gives one term each', async (t) => {
    const { store, seal, shares } = await unsealed(t)
    const other = shamirNode(store)
    await unsealWith(other, shares.slice(0, 2))
    await Promise.all([seal.rotate(), other.rotate(), seal.rotate()])
    await put(other, 'a', 'sealed by the other')
    await put(seal, 'b', 'sealed by the first')
    assert.equal(await value(seal, 'a'), 'sealed by the other')
    assert.equal(await value(other, 'b'), 'sealed by the first')
    assert.equal(Math.max((await seal.keyStatus()).term, (await other.keyStatus()).term), 4)
  })

  test('under a seal that comes while it is stored leaves the keys dropped', async (t) => {
    const { store, shares } = await unsealed(t)
    let afterCommit = (): void => undefined
    const observed: Store = {
      get: (keys) => store.get(keys),
      list: (prefix, after, limit) => store.list(prefix, after, limit),
      commit: async (writes, conditions) => {
        const result = await store.commit(writes, conditions)
        afterCommit()
        return result
      },
      close: () => store.close(),
    }
    const seal = shamirNode(observed)
    await unsealWith(seal, shares.slice(0, 2))
    afterCommit = () => assert.throws(() => seal.observe(undefined), { code: 'sealed' })
    await seal.rotate()
    assert.deepEqual([seal.isSealed, seal.barrier.isOpen], [true, false])
    await unsealWith(seal, shares.slice(0, 2))
    assert.equal((await seal.keyStatus()).term, 2)
  })

  test('counts of sealed values are summed over nodes and restarts', async (t) => {
    const { store, seal, shares } = await unsealed(t)
    const before = (await seal.keyStatus()).encryptions
    await put(seal, 'a', '1')
    await seal.seal()
    const restarted = shamirNode(store)
    await unsealWith(restarted, shares.slice(0, 2))
    await put(restarted, 'a', '2')
    await put(restarted, 'b', '')
    assert.equal((await restarted.keyStatus()).encryptions, before + 2)
    await restarted.saveEncryptions()
    assert.equal((await restarted.keyStatus()).encryptions, before + 2)
  })
})
