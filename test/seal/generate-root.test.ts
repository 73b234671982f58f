import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import { GenerateRoot } from '../../src/seal/generate-root.ts'
import type { Seal } from '../../src/seal/seal.ts'
import { HandClock, initialized, memoryStore, refusalOf, staticNode, unsealed } from './cluster.ts'

const sudo = { hasSudo: true, source: '192.0.2.1' }
const holder = { hasSudo: false, source: '192.0.2.7' }
const TOKEN = 's.abcdefghijklmnopqrstuvwx'
const NO_ATTEMPT = '400 no root generation in progress with this nonce'

function generateRoot(seal: Seal, clock = new HandClock()): { root: GenerateRoot; made: string[] } {
  const made: string[] = []
  const createRootToken = () => {
    made.push(TOKEN)
    return Promise.resolve({ text: TOKEN, keys: ['tok/1'] })
  }
  const options = { clock, tokenLength: TOKEN.length, createRootToken }
  return { root: new GenerateRoot(seal, options), made }
}

function decode(encoded: string, otp: string): string {
  const pad = Buffer.from(otp)
  return Buffer.from(encoded, 'base64')
    .map((byte, at) => byte ^ (pad[at] as number))
    .toString()
}

describe('generate-root', () => {
  test('gives a token that only the password of the start decodes', async (t) => {
    const { seal, shares } = await unsealed(t)
    const { root, made } = generateRoot(seal)
    const begun = await root.begin(sudo, {})
    assert.match(begun.otp, /^[0-9A-Za-z]{26}$/)
    assert.deepEqual([begun.started, begun.progress, begun.required], [true, 0, 2])
    assert.equal((await root.status(sudo)).otp, '')
    const one = await root.update(holder, begun.nonce, shares[1] as string)
    assert.deepEqual([one.progress, one.complete, one.encodedToken], [1, false, ''])
    const done = await root.update(holder, begun.nonce, shares[2] as string)
    assert.deepEqual([done.complete, done.progress, done.otp], [true, 2, ''])
    assert.equal(done.encodedToken.includes('='), false)
    assert.equal(decode(done.encodedToken, begun.otp), TOKEN)
    assert.deepEqual(made, [TOKEN])
    assert.equal((await root.status(sudo)).started, false)
  })

  test('without any token works from shares alone', async (t) => {
    const { seal, shares } = await unsealed(t)
    const { root, made } = generateRoot(seal)
    assert.equal(await refusalOf(root.begin(holder, {})), '403 permission denied')
    const begun = await root.begin(holder, { key: shares[0] as string })
    assert.equal(begun.progress, 1)
    const done = await root.update(holder, begun.nonce, shares[1] as string)
    assert.equal(decode(done.encodedToken, begun.otp), TOKEN)
    assert.equal(made.length, 1)
  })

  test('takes the static key as its one share', async (t) => {
    const key = randomBytes(32)
    const seal = staticNode(await memoryStore(t), key)
    await initialized(seal, {})
    const { root, made } = generateRoot(seal)
    const wrong = await refusalOf(root.begin(holder, { key: '11'.repeat(32) }))
    assert.match(wrong, /^400 root generation failed: invalid key/)
    const done = await root.begin(holder, { key: key.toString('hex') })
    assert.deepEqual([done.complete, made.length], [true, 1])
    assert.equal(decode(done.encodedToken, done.otp), TOKEN)
  })

  test('takes a password of the caller, of the right length only, and no PGP key', async (t) => {
    const { seal, shares } = await unsealed(t)
    const { root } = generateRoot(seal)
    assert.equal(
      await refusalOf(root.begin(sudo, { otp: 'short' })),
      '400 otp string is wrong length',
    )
    assert.match(
      await refusalOf(root.begin(sudo, { pgpKey: 'a' })),
      /^400 pgp_key is not supported/,
    )
    const otp = 'x'.repeat(TOKEN.length)
    const begun = await root.begin(sudo, { otp })
    assert.equal(begun.otp, '')
    await root.update(sudo, begun.nonce, shares[0] as string)
    const done = await root.update(sudo, begun.nonce, shares[1] as string)
    assert.equal(decode(done.encodedToken, otp), TOKEN)
  })

  test('with a wrong quorum creates no token, and ends what was started without one', async (t) => {
    const { seal, shares } = await unsealed(t)
    const { root, made } = generateRoot(seal)
    const wrong = randomBytes(33).toString('hex')
    const begun = await root.begin(holder, { key: wrong })
    assert.match(
      await refusalOf(root.update(holder, begun.nonce, shares[0] as string)),
      /^400 root generation failed: invalid key/,
    )
    assert.equal(await refusalOf(root.update(holder, begun.nonce, wrong)), NO_ATTEMPT)
    assert.deepEqual(made, [])
  })

  test('on a sealed server is refused', async (t) => {
    const { seal, shares } = await unsealed(t)
    const { root } = generateRoot(seal)
    const { nonce } = await root.begin(sudo, {})
    await seal.seal()
    const sealed = '503 Vault is sealed'
    assert.equal(await refusalOf(root.begin(holder, { key: shares[0] as string })), sealed)
    assert.equal(await refusalOf(root.update(holder, nonce, shares[0] as string)), sealed)
    assert.equal(await refusalOf(root.status(sudo)), sealed)
  })
})

describe('a stranger (CVE-2026-5807)', () => {
  test('can neither see, cancel nor go on with an attempt without its nonce', async (t) => {
    const { seal, shares } = await unsealed(t)
    const { root } = generateRoot(seal)
    for (const begun of [
      await root.begin(sudo, {}),
      await root.begin(holder, { key: shares[0] as string }),
    ]) {
      const stranger = { hasSudo: false, source: '198.51.100.9' }
      for (const nonce of [undefined, '', '00000000-0000-4000-8000-000000000000']) {
        const seen = await root.status(stranger, nonce)
        assert.deepEqual([seen.started, seen.nonce, seen.progress], [false, '', 0])
        await root.cancel(stranger, nonce)
        const update = root.update(stranger, nonce ?? '', shares[1] as string)
        assert.equal(await refusalOf(update), NO_ATTEMPT)
      }
      assert.equal((await root.status(holder, begun.nonce)).started, true)
      await root.cancel(holder, begun.nonce)
      assert.equal((await root.status(holder, begun.nonce)).started, false)
    }
  })

  test('can not hinder others by attempts of its own', async (t) => {
    const { seal, shares } = await unsealed(t)
    const { root } = generateRoot(seal)
    const [first = '', second = ''] = shares
    const genuine = await root.begin(holder, { key: first })
    for (let at = 0; at < 250; at++) {
      const stranger = { hasSudo: false, source: `198.51.100.${at}` }
      for (let n = 0; n < 4; n++) await root.begin(stranger, { key: '22'.repeat(33) })
      const more = await refusalOf(root.begin(stranger, { key: '22'.repeat(33) }))
      assert.match(more, /^429 /)
    }
    const bySudo = await root.begin(sudo, {})
    assert.equal(bySudo.started, true)
    const done = await root.update(holder, genuine.nonce, second)
    assert.equal(done.complete, true)
  })

  test('from many addresses makes room by the attempt that was idle longest', async (t) => {
    const { seal, shares } = await unsealed(t)
    const { root } = generateRoot(seal)
    const bySudo = await root.begin(sudo, {})
    const idle = await root.begin(holder, { key: shares[0] as string })
    for (let at = 0; at < 1024; at++) {
      await root.begin({ hasSudo: false, source: `host-${at}` }, { key: '22'.repeat(33) })
    }
    assert.equal((await root.status(holder, idle.nonce)).started, false)
    assert.equal((await root.status(sudo)).nonce, bySudo.nonce)
  })
})

describe('an attempt', () => {
  test('ends after ten minutes without progress', async (t) => {
    const { seal, shares } = await unsealed(t)
    const clock = new HandClock()
    const { root } = generateRoot(seal, clock)
    const { nonce } = await root.begin(sudo, {})
    clock.advance(9 * 60_000)
    await root.update(holder, nonce, shares[0] as string)
    clock.advance(9 * 60_000)
    // The same share again is no progress.
    await root.update(holder, nonce, shares[0] as string)
    clock.advance(60_000)
    assert.equal(await refusalOf(root.update(holder, nonce, shares[1] as string)), NO_ATTEMPT)
    assert.equal((await root.begin(sudo, {})).started, true)
  })

  test('of a sudo caller is the only one of its kind, and any of them may cancel it', async (t) => {
    const { seal } = await unsealed(t)
    const { root } = generateRoot(seal)
    await root.begin(sudo, {})
    const second = { hasSudo: true, source: '192.0.2.2' }
    assert.equal(await refusalOf(root.begin(second, {})), '400 root generation already in progress')
    await root.cancel(second)
    assert.equal((await root.begin(second, {})).started, true)
  })
})
