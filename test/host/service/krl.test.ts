/** Which KRLs take the place of the one that sshd reads, and which never do (protocols 5.6). */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, afterEach, before, beforeEach, suite, test } from 'node:test'
import { type HostState, readHostState, writeHostState } from '../../../src/host/enrolment/state.ts'
import { type KrlRefresh, refreshKrl } from '../../../src/host/service/krl.ts'
import type { KrlStatement } from '../../../src/ssh/host/statement.ts'
import type { SigningKey } from '../../../src/ssh/signature.ts'
import {
  type FakeServer,
  krlOf,
  krlStatement,
  NOW_SECONDS,
  newKey,
  startFakeServer,
  stateOf,
} from '../../support/fake-host-server.ts'

suite('the KRL of a host', () => {
  let fake: FakeServer
  let key: SigningKey
  let ca: SigningKey
  let folder: string
  let file: string
  let state: HostState

  before(async () => {
    fake = await startFakeServer()
    key = await newKey()
    ca = await newKey()
  })
  after(() => fake[Symbol.asyncDispose]())

  afterEach(() => rmSync(folder, { recursive: true }))
  beforeEach(async () => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'postern-krl-'))
    file = path.join(folder, 'revoked.krl')
    writeFileSync(file, '')
    state = stateOf(key)
    await says(5)
    assert.equal(await refresh(), true)
    fake.asked.length = 0
  })

  async function says(
    version: number,
    options: {
      readonly bytes?: Uint8Array
      readonly signer?: SigningKey
      readonly changes?: Partial<KrlStatement>
    } = {},
  ): Promise<Buffer> {
    const whole = krlOf(ca, version)
    const { bytes = whole, signer = key, changes = {} } = options
    const signed = await krlStatement(signer, whole, version, changes)
    const headers = { ETag: `"${version}"` }
    fake.answers.set('krl', (known) =>
      known === `"${version}"` ? { status: 304, body: '' } : { body: bytes, headers },
    )
    fake.answers.set('krl.sig', () => ({ body: JSON.stringify(signed) }))
    return whole
  }

  function refresh(more: Partial<KrlRefresh> = {}): Promise<boolean> {
    return refreshKrl({
      server: fake.server,
      state: () => state,
      keep: (krl) => {
        state = { ...state, krl }
      },
      waits: false,
      now: () => NOW_SECONDS * 1000,
      file,
      ...more,
    })
  }

  /** The file and what the host knows of it are those of before. */
  async function refuses(reason: RegExp, more: Partial<KrlRefresh> = {}): Promise<void> {
    const [bytes, known] = [readFileSync(file), state]
    await assert.rejects(refresh(more), reason)
    assert.deepEqual(readFileSync(file), bytes)
    assert.equal(state, known)
    assert.deepEqual(readdirSync(folder), ['revoked.krl'])
  }

  test('a newer one that the server has signed is put in place, for sshd to read', async () => {
    const bytes = await says(6)
    assert.equal(await refresh(), true)
    assert.deepEqual(readFileSync(file), bytes)
    assert.equal(statSync(file).mode & 0o7777, 0o644)
    assert.equal(state.krl?.version, 6)
  })

  test('protocols 5.6: the version is stored before the KRL is used', async () => {
    const before = readFileSync(file)
    await says(6)
    const keep = () => {
      assert.deepEqual(readFileSync(file), before)
      throw new Error('the disk is full')
    }
    await refuses(/the disk is full/, { keep })
  })

  test('nothing is fetched while there is nothing new, and the statement is asked for each hour', async () => {
    assert.equal(await refresh(), false)
    assert.deepEqual(fake.asked, ['krl'])
    const later = NOW_SECONDS + 3 * 3600
    await says(5, { changes: { issuedAt: later, notAfter: later + 86_400 } })
    assert.equal(await refresh({ now: () => later * 1000 }), false)
    assert.deepEqual(fake.asked, ['krl', 'krl', 'krl.sig'])
    assert.equal(state.krl?.notAfter, later + 86_400)
  })

  test('protocols 5.6: an older one never replaces it', async () => {
    await says(4)
    await refuses(/version 4, older than 5/)
  })

  test('protocols 5.6: one below what a bundle has named never replaces it, and is complained of', async () => {
    state = { ...state, leastKrlVersion: 8 }
    await refuses(/version 5, older than 8/)
    await says(7)
    await refuses(/version 7, older than 8/)
  })

  test('protocols 5.6: a frozen one never replaces it', async () => {
    const over = { issuedAt: NOW_SECONDS - 90_000, notAfter: NOW_SECONDS - 3600 }
    await says(6, { changes: over })
    await refuses(/signature has expired/)
  })

  test('protocols 5.6: a truncated one, or one with other bytes, never replaces it', async () => {
    const whole = krlOf(ca, 6)
    for (const bytes of [whole.subarray(0, -1), Buffer.alloc(0), krlOf(ca, 6, [8n])]) {
      await says(6, { bytes })
      await refuses(/not the one that the server has signed/)
    }
  })

  test('one that is signed and can not be parsed never replaces it', async () => {
    const broken = krlOf(ca, 6).subarray(0, -1)
    const signed = await krlStatement(key, broken, 6)
    fake.answers.set('krl', () => ({ body: broken }))
    fake.answers.set('krl.sig', () => ({ body: JSON.stringify(signed) }))
    await refuses(/./)
  })

  test('one whose own version is another than the signed one never replaces it', async () => {
    const bytes = krlOf(ca, 6)
    const signed = await krlStatement(key, bytes, 7)
    fake.answers.set('krl', () => ({ body: bytes }))
    fake.answers.set('krl.sig', () => ({ body: JSON.stringify(signed) }))
    await refuses(/another version than its signature/)
  })

  test('protocols 5.6: an unknown key, or a statement of another issuer, counts for nothing', async () => {
    await says(6, { signer: await newKey() })
    await refuses(/unknown key/)
    await says(6, { changes: { issuer: 'cluster/other' } })
    await refuses(/for cluster\/other, not cluster\/ssh/)
  })

  test('a changed statement, none at all, and an error page count for nothing', async () => {
    const bytes = await says(6)
    const { signature } = await krlStatement(key, bytes, 6)
    const { statement } = await krlStatement(key, bytes, 7)
    fake.answers.set('krl.sig', () => ({ body: JSON.stringify({ statement, signature }) }))
    await refuses(/signature is wrong/)
    fake.answers.set('krl.sig', () => ({ body: '{}' }))
    await refuses(/no signed statement/)
    fake.answers.set('krl.sig', () => ({ status: 503, body: '' }))
    await refuses(/503/)
    await says(6)
    fake.answers.set('krl', () => ({ status: 204, body: '' }))
    await refuses(/no KRL/)
  })

  test('one that changes between list and statement is fetched again at once', async () => {
    const newest = await says(7)
    const [older, answer] = [krlOf(ca, 6), fake.answers.get('krl')]
    let calls = 0
    fake.answers.set('krl', (known) =>
      calls++ === 0 ? { body: older } : (answer?.(known) ?? { body: '' }),
    )
    assert.equal(await refresh(), true)
    assert.deepEqual(readFileSync(file), newest)
    assert.deepEqual(fake.asked, ['krl', 'krl.sig', 'krl', 'krl.sig'])
  })

  test('a server that knows no ETag has nothing written again', async () => {
    const whole = krlOf(ca, 5)
    fake.answers.set('krl', () => ({ body: whole }))
    const { ino } = statSync(file)
    assert.equal(await refresh(), false)
    assert.equal(statSync(file).ino, ino)
  })

  test('a file that somebody emptied, changed or removed is fetched again', async () => {
    const whole = krlOf(ca, 5)
    for (const harm of [
      () => writeFileSync(file, ''),
      () => writeFileSync(file, whole.subarray(0, 20)),
      () => rmSync(file),
    ]) {
      harm()
      assert.equal(await refresh(), true)
      assert.deepEqual(readFileSync(file), whole)
    }
  })

  test('a server that announced another key is believed with it, and then with the old one no more', async () => {
    const [next, other] = [await newKey(), await newKey()]
    state = { ...state, nextServerKey: stateOf(next).serverKey }
    await says(6, { signer: next })
    assert.equal(await refresh(), true)
    state = { ...stateOf(next), ...(state.krl && { krl: state.krl }) }
    await says(7, { signer: key })
    await refuses(/unknown key/)
    await says(7, { signer: other })
    await refuses(/unknown key/)
  })

  test('what is known of it is read from disk as it was written', () => {
    const place = path.join(folder, 'state.json')
    writeHostState(state, place)
    assert.deepEqual(readHostState(place), state)
    assert.equal(statSync(place).mode & 0o7777, 0o600)
    const text = readFileSync(place, 'utf8')
    for (const bad of ['', '{}', text.slice(0, -3), text.replace('"sha256"', '"sha"')]) {
      writeFileSync(place, bad)
      assert.throws(() => readHostState(place), TypeError)
    }
  })
})
