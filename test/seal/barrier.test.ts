import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { Barrier } from '../../src/seal/barrier.ts'
import { newKey, openEnvelope, sealEnvelope } from '../../src/seal/envelope.ts'
import { Keyring } from '../../src/seal/keyring.ts'
import { GENERATION_KEY, SEAL_KEY } from '../../src/storage/path.ts'
import type { Store } from '../../src/storage/store.ts'
import { memoryStore, START } from './cluster.ts'

const secret = Buffer.from('a secret of some length')

async function rawValue(store: Store, key: string): Promise<Buffer> {
  const [entry] = await store.get([key])
  assert.ok(entry, `nothing at ${key}`)
  return Buffer.from(entry.value)
}

async function value(store: Store, key: string): Promise<string | undefined> {
  const [entry] = await store.get([key])
  return entry && Buffer.from(entry.value).toString()
}

function saltOf(sealed: Buffer): string {
  return sealed.toString('hex', 5, 21)
}

describe('a sealed value', () => {
  test('protocols 1.7: holds version, term, salt and nonce, and no plaintext', async (t) => {
    const store = await memoryStore(t)
    const barrier = new Barrier(store)
    barrier.open(Keyring.create(START))
    await barrier.commit([{ key: 'a/one', value: secret }], [])
    const raw = await rawValue(store, 'a/one')
    assert.equal(raw[0], 1)
    assert.equal(raw.readUInt32BE(1), 1)
    assert.equal(raw.length, 1 + 4 + 16 + 12 + secret.length + 16)
    assert.equal(raw.includes('secret'), false)
  })

  test('opens to what was written, whatever key and bytes', async (t) => {
    const store = await memoryStore(t)
    const barrier = new Barrier(store)
    barrier.open(Keyring.create(START))
    const key = fc.stringMatching(/^[a-z/]{1,20}$/).filter((text) => !text.startsWith('meta/'))
    await fc.assert(
      fc.asyncProperty(key, fc.uint8Array({ maxLength: 300 }), async (name, bytes) => {
        await barrier.commit([{ key: `p/${name}`, value: bytes }], [])
        const [entry] = await barrier.get([`p/${name}`])
        assert.deepEqual(entry && Buffer.from(entry.value), Buffer.from(bytes))
      }),
      { numRuns: 60 },
    )
  })

  test('protocols 1.7: does not open at another path', async (t) => {
    const store = await memoryStore(t)
    const barrier = new Barrier(store)
    barrier.open(Keyring.create(START))
    await barrier.commit([{ key: 'a/one', value: secret }], [])
    await store.commit([{ key: 'a/two', value: await rawValue(store, 'a/one') }], [])
    await assert.rejects(barrier.get(['a/two']), { code: 'internal', message: 'internal error' })
    assert.equal(await value(barrier, 'a/one'), secret.toString())
  })

  test('does not open in another cluster', async (t) => {
    const store = await memoryStore(t)
    const one = new Barrier(store)
    one.open(Keyring.create(START))
    await one.commit([{ key: 'a', value: secret }], [])
    const other = new Barrier(store)
    other.open(Keyring.create(START))
    await assert.rejects(other.get(['a']), { code: 'internal' })
  })

  test('protocols 1.7: does not open in another cluster, were its keys the same', async (t) => {
    const store = await memoryStore(t)
    const rootKey = newKey()
    const keyring = Keyring.create(START)
    const purpose = 'postern keyring'
    const bytes = openEnvelope(rootKey, keyring.seal(rootKey), purpose) ?? assert.fail()
    bytes.write('0'.repeat(36), 1)
    const other = Keyring.open(sealEnvelope(rootKey, bytes, purpose), rootKey) ?? assert.fail()
    assert.notEqual(other.clusterId, keyring.clusterId)
    const barrier = new Barrier(store)
    barrier.open(keyring)
    await barrier.commit([{ key: 'a', value: secret }], [])
    barrier.open(other)
    await assert.rejects(barrier.get(['a']), { code: 'internal' })
  })

  test('protocols 1.7: every value has a nonce of its own, in one commit and in several', async (t) => {
    const store = await memoryStore(t)
    const barrier = new Barrier(store)
    barrier.open(Keyring.create(START))
    const keys = ['a', 'b', 'c', 'd']
    await barrier.commit(
      [
        { key: 'a', value: secret },
        { key: 'b', value: secret },
      ],
      [],
    )
    await barrier.commit([{ key: 'c', value: secret }], [])
    await barrier.commit([{ key: 'd', value: secret }], [])
    const nonces = await Promise.all(
      keys.map(async (key) => (await rawValue(store, key)).toString('hex', 21, 33)),
    )
    assert.equal(new Set(nonces).size, keys.length)
  })

  test('protocols 1.8: of an unknown term has the keyring loaded once, and then fails', async (t) => {
    const store = await memoryStore(t)
    let loads = 0
    const reload = async () => void loads++
    const barrier = new Barrier(store, { reload })
    barrier.open(Keyring.create(START))
    await barrier.commit([{ key: 'a', value: secret }], [])
    const raw = await rawValue(store, 'a')
    raw.writeUInt32BE(7, 1)
    await store.commit([{ key: 'a', value: raw }], [])
    await assert.rejects(barrier.get(['a']), { code: 'internal' })
    assert.equal(loads, 1)
  })

  test('does not open when any byte was changed or cut', async (t) => {
    const store = await memoryStore(t)
    const barrier = new Barrier(store)
    barrier.open(Keyring.create(START))
    await barrier.commit([{ key: 'a', value: secret }], [])
    const raw = await rawValue(store, 'a')
    for (let at = 0; at < raw.length; at++) {
      const changed = Buffer.from(raw)
      changed.writeUInt8(changed.readUInt8(at) ^ 0x10, at)
      await store.commit([{ key: 'a', value: changed }], [])
      await assert.rejects(barrier.get(['a']), { code: 'internal' }, `byte ${at}`)
    }
    for (const length of [1, 32, 48, raw.length - 1]) {
      await store.commit([{ key: 'a', value: raw.subarray(0, length) }], [])
      await assert.rejects(barrier.get(['a']), { code: 'internal' }, `${length} bytes`)
    }
  })

  test('protocols 1.7: a new salt is taken at the limit, and old values still open', async (t) => {
    const store = await memoryStore(t)
    const keyring = Keyring.create(START)
    const barrier = new Barrier(store, { sealsPerSalt: 3 })
    barrier.open(keyring)
    const keys = Array.from({ length: 8 }, (_, at) => `v/${at}`)
    for (const key of keys) await barrier.commit([{ key, value: Buffer.from(key) }], [])
    const salts = await Promise.all(keys.map(async (key) => saltOf(await rawValue(store, key))))
    assert.deepEqual(
      salts.map((salt) => salts.indexOf(salt)),
      [0, 0, 0, 3, 3, 3, 6, 6],
    )
    const fresh = new Barrier(store)
    fresh.open(keyring)
    for (const key of keys) assert.equal(await value(fresh, key), key)
  })

  test('protocols 1.7: every process start takes a salt of its own', async (t) => {
    const store = await memoryStore(t)
    const keyring = Keyring.create(START)
    for (const key of ['a', 'b']) {
      const barrier = new Barrier(store)
      barrier.open(keyring)
      await barrier.commit([{ key, value: secret }], [])
    }
    assert.notEqual(saltOf(await rawValue(store, 'a')), saltOf(await rawValue(store, 'b')))
  })

  test('is read anew after it was written again', async (t) => {
    const store = await memoryStore(t)
    const keyring = Keyring.create(START)
    const [one, other] = [new Barrier(store), new Barrier(store)]
    one.open(keyring)
    other.open(keyring)
    for (const text of ['first', 'second', 'third']) {
      await one.commit([{ key: 'a', value: Buffer.from(text) }], [])
      assert.equal(await value(other, 'a'), text)
      assert.equal(await value(one, 'a'), text)
    }
  })
})

describe('what is not sealed', () => {
  test('keys under meta/ and empty index entries are stored as they are', async (t) => {
    const store = await memoryStore(t)
    const barrier = new Barrier(store)
    barrier.open(Keyring.create(START))
    const empty = Buffer.alloc(0)
    await barrier.commit([{ key: 'meta/note', value: secret }], [])
    await barrier.commit([{ key: 'index/one', value: empty }], [])
    assert.deepEqual(await rawValue(store, 'meta/note'), secret)
    assert.equal(await value(barrier, 'meta/note'), secret.toString())
    assert.deepEqual(await rawValue(store, 'index/one'), empty)
    assert.equal(await value(barrier, 'index/one'), '')
  })

  test('an empty value of configuration is sealed, and an emptied one does not open', async (t) => {
    const store = await memoryStore(t)
    const barrier = new Barrier(store)
    barrier.open(Keyring.create(START))
    await barrier.commit([{ key: 'cfg/flag', value: Buffer.alloc(0) }], [])
    assert.equal((await rawValue(store, 'cfg/flag')).length, 49)
    assert.equal(await value(barrier, 'cfg/flag'), '')
    await store.commit([{ key: 'cfg/flag', value: Buffer.alloc(0) }], [])
    await assert.rejects(barrier.get(['cfg/flag']), { code: 'internal' })
  })
})

describe('the generation', () => {
  test('protocols 1.3: is replaced by every commit to cfg/ and by no other', async (t) => {
    const store = await memoryStore(t)
    const barrier = new Barrier(store)
    barrier.open(Keyring.create(START))
    const seen: (string | undefined)[] = []
    const commits = [
      [{ key: 'cfg/a', value: secret }],
      [{ key: 'token/a', value: secret }],
      [{ key: 'token/b', value: secret }, { key: 'cfg/a' }],
      [{ key: 'token/a' }],
      [{ key: 'cfgs/a', value: secret }],
      [],
    ]
    for (const writes of commits) {
      await barrier.commit(writes, [])
      seen.push((await rawValue(store, GENERATION_KEY)).toString('hex'))
    }
    assert.deepEqual(
      seen.map((generation) => seen.indexOf(generation)),
      [0, 0, 2, 2, 2, 2],
    )
    assert.equal(seen[0]?.length, 32)
  })

  test('stays when the conditions of a commit to cfg/ fail', async (t) => {
    const store = await memoryStore(t)
    const barrier = new Barrier(store)
    barrier.open(Keyring.create(START))
    await barrier.commit([{ key: 'cfg/a', value: secret }], [])
    const before = await rawValue(store, GENERATION_KEY)
    const { committed } = await barrier.commit(
      [{ key: 'cfg/a', value: secret }],
      [{ key: 'cfg/a', is: 'absent' }],
    )
    assert.equal(committed, false)
    assert.deepEqual(await rawValue(store, GENERATION_KEY), before)
  })

  test('and what else belongs to the seal can not be written through the barrier', async (t) => {
    const barrier = new Barrier(await memoryStore(t))
    barrier.open(Keyring.create(START))
    for (const key of [GENERATION_KEY, SEAL_KEY, 'meta/root-key', 'cfg/keyring', 'cfg/root-key']) {
      await assert.rejects(barrier.commit([{ key, value: secret }], []), RangeError)
    }
  })
})

describe('while sealed', () => {
  test('every read and write, and every key, is refused', async (t) => {
    const barrier = new Barrier(await memoryStore(t))
    const keyring = Keyring.create(START)
    const refuses = async (): Promise<void> => {
      const sealed = { code: 'sealed', status: 503, message: 'Vault is sealed' }
      await assert.rejects(barrier.get(['meta/generation']), sealed)
      await assert.rejects(barrier.list('a/', '', 10), sealed)
      await assert.rejects(barrier.commit([{ key: 'a', value: secret }], []), sealed)
      assert.throws(() => barrier.hmac('token'), sealed)
      assert.throws(() => barrier.deriveKey('label'), sealed)
    }
    await refuses()
    barrier.open(keyring)
    await barrier.commit([{ key: 'a', value: secret }], [])
    await barrier.get(['a'])
    barrier.seal()
    await refuses()
  })

  test('a read that was under way ends as sealed', async (t) => {
    const barrier = new Barrier(await memoryStore(t))
    barrier.open(Keyring.create(START))
    await barrier.commit([{ key: 'a', value: secret }], [])
    const read = barrier.get(['a'])
    barrier.seal()
    await assert.rejects(read, { code: 'sealed' })
  })
})

test('storage ids and derived keys depend on their input and the cluster alone', async (t) => {
  const store = await memoryStore(t)
  const keyring = Keyring.create(START)
  const [one, rotated, foreign] = [new Barrier(store), new Barrier(store), new Barrier(store)]
  one.open(keyring)
  rotated.open(keyring.withNewTerm(START))
  foreign.open(Keyring.create(START))
  assert.match(one.hmac('s.token'), /^[0-9a-f]{64}$/)
  assert.equal(one.hmac('s.token'), rotated.hmac('s.token'))
  assert.notEqual(one.hmac('s.token'), one.hmac('s.other'))
  assert.notEqual(one.hmac('s.token'), foreign.hmac('s.token'))
  assert.ok(one.deriveKey('x').equals(rotated.deriveKey('x')))
  assert.equal(one.deriveKey('x').equals(one.deriveKey('y')), false)
})
