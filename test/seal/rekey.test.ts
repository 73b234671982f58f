import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import { Rekey } from '../../src/seal/rekey.ts'
import type { Seal } from '../../src/seal/seal.ts'
import { GENERATION_KEY } from '../../src/storage/path.ts'
import {
  HandClock,
  initialized,
  memoryStore,
  refusalOf,
  shamirNode,
  staticNode,
  unsealed,
  unsealWith,
} from './cluster.ts'

const sudo = { hasSudo: true, source: '192.0.2.1' }
const stranger = { hasSudo: false, source: '192.0.2.7' }
const NOT_A_QUORUM = '400 rekey failed: invalid key: the shares given are not a quorum'

function hex(keys: readonly Buffer[] | undefined): string[] {
  return (keys ?? []).map((key) => key.toString('hex'))
}

async function put(seal: Seal, key: string, text: string): Promise<void> {
  await seal.barrier.commit([{ key, value: Buffer.from(text) }], [])
}

async function value(seal: Seal, key: string): Promise<string | undefined> {
  const [entry] = await seal.barrier.get([key])
  return entry && Buffer.from(entry.value).toString()
}

/** A whole rekey by a sudo caller; gives the new shares. */
async function rekeyed(seal: Seal, shares: readonly string[], threshold = 2): Promise<string[]> {
  const rekey = new Rekey(seal, new HandClock())
  const { nonce } = await rekey.begin(sudo, { shares: 3, threshold })
  await rekey.update(stranger, nonce, shares[0] as string)
  const { keys, install } = await rekey.update(stranger, nonce, shares[1] as string)
  await install?.()
  return hex(keys)
}

describe('rekey', () => {
  test('gives new shares, after which the old ones are refused and values still open', async (t) => {
    const { store, seal, shares } = await unsealed(t)
    await put(seal, 'a', 'kept')
    const rekey = new Rekey(seal, new HandClock())
    const begun = await rekey.begin(sudo, { shares: 5, threshold: 3 })
    const { nonce } = begun
    assert.deepEqual(begun, {
      ...{ started: true, nonce, threshold: 3, shares: 5, progress: 0, required: 2 },
      ...{ requireVerification: false, verificationNonce: '', complete: false },
    })
    const one = await rekey.update(sudo, nonce, shares[2] as string)
    assert.deepEqual([one.progress, one.complete, one.keys], [1, false, undefined])
    const again = await rekey.update(sudo, nonce, shares[2] as string)
    assert.equal(again.progress, 1)
    const [before] = await store.get([GENERATION_KEY])
    const done = await rekey.update(sudo, nonce, shares[0] as string)
    await done.install?.()
    const made = hex(done.keys)
    assert.deepEqual([done.complete, new Set(made).size], [true, 5])
    const [after] = await store.get([GENERATION_KEY])
    assert.notDeepEqual(after?.value, before?.value, 'a new generation')
    assert.equal((await rekey.status(sudo)).started, false)
    assert.equal(await value(seal, 'a'), 'kept')

    const restarted = shamirNode(store)
    const { threshold, shares: count } = await restarted.status()
    assert.deepEqual([threshold, count], [3, 5])
    await unsealWith(restarted, shares.slice(0, 2))
    assert.match(await refusalOf(unsealWith(restarted, shares.slice(2))), /^400 unable to retrieve/)
    await unsealWith(restarted, made.slice(1, 4))
    assert.equal(await value(restarted, 'a'), 'kept')
  })

  test('with a wrong quorum makes no shares, and the attempt begins again', async (t) => {
    const { seal, shares } = await unsealed(t)
    const rekey = new Rekey(seal, new HandClock())
    const { nonce } = await rekey.begin(sudo, { shares: 1, threshold: 1 })
    await rekey.update(stranger, nonce, shares[0] as string)
    const wrong = randomBytes(33).toString('hex')
    assert.equal(await refusalOf(rekey.update(stranger, nonce, wrong)), NOT_A_QUORUM)
    const status = await rekey.status(sudo)
    assert.deepEqual([status.started, status.progress], [true, 0])
    await rekey.update(stranger, nonce, shares[0] as string)
    assert.equal((await rekey.update(stranger, nonce, shares[1] as string)).complete, true)
  })

  test('refuses shares that make no sense, PGP keys, a static seal and a sealed server', async (t) => {
    const { seal } = await unsealed(t)
    const rekey = new Rekey(seal, new HandClock())
    const begin = (fields: { shares: number; threshold: number; pgpKeys?: string[] }) =>
      refusalOf(rekey.begin(sudo, fields))
    assert.equal(
      await begin({ shares: 1, threshold: 2 }),
      '400 invalid rekey seal configuration: threshold cannot be larger than shares',
    )
    assert.match(await begin({ shares: 1, threshold: 1, pgpKeys: ['a'] }), /pgp_keys is not supp/)
    await seal.seal()
    assert.equal(await begin({ shares: 1, threshold: 1 }), '503 Vault is sealed')
    const automatic = staticNode(await memoryStore(t), randomBytes(32))
    await initialized(automatic, {})
    const refusal = new Rekey(automatic, new HandClock()).begin(sudo, { shares: 1, threshold: 1 })
    assert.equal(await refusalOf(refusal), '400 rekey is not applicable to seal type static')
  })

  test('ends with a seal of the server', async (t) => {
    const { seal, shares } = await unsealed(t)
    const rekey = new Rekey(seal, new HandClock())
    await rekey.begin(sudo, { shares: 1, threshold: 1 })
    await seal.seal()
    await unsealWith(seal, shares.slice(0, 2))
    assert.equal((await rekey.status(sudo)).started, false)
  })

  test('of two attempts, the one that completes makes the other worthless', async (t) => {
    const { seal, shares } = await unsealed(t)
    const rekey = new Rekey(seal, new HandClock())
    const [first = '', second = ''] = shares
    const verified = await rekey.begin(sudo, { shares: 1, threshold: 1, requireVerification: true })
    await rekey.update(sudo, verified.nonce, first)
    const waiting = await rekey.update(sudo, verified.nonce, second)
    const other = await rekey.begin(stranger, { shares: 1, threshold: 1, key: first })
    const replaced = await rekey.update(stranger, other.nonce, second)
    assert.equal(replaced.complete, true)
    await replaced.install?.()
    const [key = ''] = hex(waiting.keys)
    assert.equal(
      await refusalOf(rekey.verify(sudo, waiting.verificationNonce, key)),
      '400 rekey failed: the key shares were replaced meanwhile',
    )
  })
})

describe('rekey with verification', () => {
  test('keeps the old shares valid until a quorum of the new ones was given back', async (t) => {
    const { store, seal, shares } = await unsealed(t)
    const rekey = new Rekey(seal, new HandClock())
    const request = { shares: 3, threshold: 2, requireVerification: true }
    const { nonce } = await rekey.begin(sudo, request)
    await rekey.update(sudo, nonce, shares[0] as string)
    const waiting = await rekey.update(sudo, nonce, shares[1] as string)
    const made = hex(waiting.keys)
    assert.equal(made.length, 3)
    await unsealWith(shamirNode(store), shares.slice(0, 2))
    const extra = rekey.update(sudo, nonce, shares[2] as string)
    assert.equal(await refusalOf(extra), '400 rekey waits for the verification of new shares')

    const { verificationNonce } = waiting
    assert.equal((await rekey.verificationStatus(stranger)).started, false)
    assert.equal((await rekey.verificationStatus(sudo)).nonce, verificationNonce)
    const wrongNonce = await refusalOf(rekey.verify(sudo, nonce, made[0] as string))
    assert.equal(wrongNonce, '400 no rekey verification in progress with this nonce')
    await rekey.verify(stranger, verificationNonce, made[0] as string)
    assert.equal(
      await refusalOf(rekey.verify(stranger, verificationNonce, shares[0] as string)),
      '400 rekey verification failed: incorrect root key reconstruction',
    )
    await rekey.verify(stranger, verificationNonce, made[0] as string)
    const restarted = await rekey.restartVerification(sudo)
    assert.equal(restarted.progress, 0)
    assert.notEqual(restarted.nonce, verificationNonce)
    const one = await rekey.verify(stranger, restarted.nonce, made[2] as string)
    assert.deepEqual([one.progress, one.complete], [1, false])
    const done = await rekey.verify(stranger, restarted.nonce, made[0] as string)
    assert.equal(done.complete, true)

    const next = shamirNode(store)
    assert.match(await refusalOf(unsealWith(next, shares.slice(0, 2))), /^400 unable to retrieve/)
    await unsealWith(next, made.slice(0, 2))
    assert.equal(next.isSealed, false)
  })
})

describe('rekey between nodes (protocols 1.8)', () => {
  test('a node that missed a rekey and a rotation still opens new values', async (t) => {
    const { store, seal, shares } = await unsealed(t)
    const other = shamirNode(store)
    await unsealWith(other, shares.slice(0, 2))
    await rekeyed(seal, shares)
    await seal.rotate()
    await put(seal, 'a', 'under term 2')
    assert.equal(await value(other, 'a'), 'under term 2')
    await other.rotate()
    await put(other, 'b', 'under term 3')
    assert.equal(await value(seal, 'b'), 'under term 3')
  })

  test('shares of a rekey by one node open the keyring that another rotated', async (t) => {
    const { store, seal, shares } = await unsealed(t)
    const other = shamirNode(store)
    await unsealWith(other, shares.slice(0, 2))
    const made = await rekeyed(seal, shares)
    await other.rotate()
    await put(other, 'a', 'value')
    const restarted = shamirNode(store)
    await unsealWith(restarted, made.slice(0, 2))
    assert.equal(await value(restarted, 'a'), 'value')
  })

  test('a node whose keys are obsolete seals itself', async (t) => {
    const { store, seal, shares } = await unsealed(t)
    const idle = shamirNode(store)
    await unsealWith(idle, shares.slice(0, 2))
    const second = await rekeyed(seal, shares)
    await seal.rotate()
    const third = await rekeyed(seal, second)
    await seal.rotate()
    await put(seal, 'a', 'under term 3')
    let calls = 0
    idle.onSealed(() => calls++)
    assert.equal(await refusalOf(value(idle, 'a')), '503 Vault is sealed')
    assert.deepEqual([idle.isSealed, calls], [true, 1])
    await unsealWith(idle, third.slice(0, 2))
    assert.equal(await value(idle, 'a'), 'under term 3')
  })
})
