import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { describe, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { KrlServer } from '../../../../../src/engine/ssh/inventory/krl/server.ts'
import { putHead, readHead } from '../../../../../src/engine/ssh/inventory/krl/store.ts'
import { openStatement } from '../../../../../src/ssh/host/statement.ts'
import { parseAuthorizedKey } from '../../../../../src/ssh/key/authorized-keys.ts'
import { openSqliteStore } from '../../../../../src/storage/sqlite/sqlite.ts'
import { StoreView } from '../../../../../src/storage/view.ts'
import { refusalOf, type TestCore } from '../../../../support/core.ts'
import { InterposedStore } from '../../../../support/interposed-store.ts'
import { fetchKrl, krlOf, signed, startCa } from '../support.ts'

async function etagOf(core: TestCore): Promise<string> {
  const response = await fetchKrl(core)
  assert.ok(response.kind === 'bytes')
  return new Map(response.headers).get('ETag') ?? ''
}

/** How long it takes, in milliseconds of the wall clock. */
async function timed(work: Promise<unknown>): Promise<number> {
  const begun = performance.now()
  await work
  return performance.now() - begun
}

describe('krl', () => {
  test('is an empty list of version 0 before anything was revoked', async (t) => {
    const core = await startCa(t)
    const krl = await krlOf(core)
    assert.equal(krl.version, 0n)
    assert.equal(krl.issuers.size, 0)
    assert.equal(await etagOf(core), '"0"')
  })

  test('needs no token, may be cached, and gives its version as ETag', async (t) => {
    const core = await startCa(t)
    await core.send('update', 'ssh/revoke', { serial_number: await signed(core) })
    const response = await fetchKrl(core)
    assert.ok(response.kind === 'bytes')
    const { version } = await krlOf(core)
    assert.deepEqual(response.headers, [
      ['Cache-Control', 'public, no-cache'],
      ['ETag', `"${version}"`],
    ])
    assert.equal(response.contentType, 'application/octet-stream')
  })

  test('answers 304 to who has it, weak and listed tags included, and bytes to others', async (t) => {
    const core = await startCa(t)
    await core.send('update', 'ssh/revoke', { serial_number: await signed(core) })
    const tag = await etagOf(core)
    for (const known of [tag, `W/${tag}`, `"1", ${tag}`]) {
      const response = await fetchKrl(core, {}, { 'if-none-match': known })
      assert.ok(response.kind === 'bytes')
      assert.deepEqual([response.status, response.bytes.length], [304, 0])
    }
    for (const other of ['"1"', tag.slice(1, -1), '*', '']) {
      const response = await fetchKrl(core, {}, { 'if-none-match': other })
      assert.equal(response.status, 200, other)
    }
  })

  test('protocols 5.6: its bytes are a function of what is stored, and versions only rise', async (t) => {
    const core = await startCa(t)
    const versions: bigint[] = []
    for (let round = 0; round < 3; round++) {
      await core.send('update', 'ssh/revoke', { serial_number: await signed(core) })
      const [one, again] = [await fetchKrl(core), await fetchKrl(core)]
      assert.deepEqual(one, again)
      versions.push((await krlOf(core)).version)
    }
    assert.deepEqual(
      versions.toSorted((a, b) => Number(a - b)),
      versions,
    )
    assert.equal(new Set(versions).size, 3)
  })

  test('writes no audit line, and a device that fails does not hold it up', async (t) => {
    const core = await startCa(t)
    const lines = () => core.audit.requests.length + core.audit.responses.length
    const before = lines()
    core.audit.failRequests = true
    core.audit.failResponses = true
    assert.equal((await fetchKrl(core)).status, 200)
    assert.equal(lines(), before)
  })

  test('writes nothing, however often it is asked for', async (t) => {
    const raw = new InterposedStore(await openSqliteStore({ path: ':memory:' }))
    const core = await startCa(t, { raw })
    await core.send('update', 'ssh/revoke', { serial_number: await signed(core) })
    let commits = 0
    raw.beforeCommit = () => void commits++
    for (let i = 0; i < 5; i++) await fetchKrl(core)
    assert.equal(commits, 0)
  })

  test('is 503 while the server is sealed', async (t) => {
    const core = await startCa(t)
    await core.core.seal.seal()
    assert.equal((await refusalOf(fetchKrl(core))).status, 503)
  })
})

describe('a long poll', () => {
  test('ends with the next version', async (t) => {
    const core = await startCa(t)
    const serial = await signed(core)
    const waiting = fetchKrl(core, { wait: '55s' }, { 'if-none-match': await etagOf(core) })
    await nextTurn()
    await core.send('update', 'ssh/revoke', { serial_number: serial })
    assert.ok((await timed(waiting)) < 5000)
    assert.equal((await waiting).status, 200)
  })

  test('ends with 304 when its time is over, and at once without If-None-Match', async (t) => {
    const core = await startCa(t)
    const known = { 'if-none-match': await etagOf(core) }
    assert.equal((await fetchKrl(core, { wait: '1s' }, known)).status, 304)
    assert.ok((await timed(fetchKrl(core, { wait: '55s' }))) < 5000)
  })

  test('ends when the server is sealed', async (t) => {
    const core = await startCa(t)
    const known = { 'if-none-match': await etagOf(core) }
    const waiting = refusalOf(fetchKrl(core, { wait: '55s' }, known))
    await nextTurn()
    await core.core.seal.seal()
    assert.equal((await waiting).status, 503)
  })

  test('ends with 404 when the mount is removed, and not with an empty list', async (t) => {
    const core = await startCa(t)
    await core.send('update', 'ssh/revoke', { serial_number: await signed(core) })
    const known = { 'if-none-match': await etagOf(core) }
    const waiting = refusalOf(fetchKrl(core, { wait: '55s' }, known))
    await nextTurn()
    await core.send('delete', 'sys/mounts/ssh')
    assert.equal((await waiting).status, 404)
  })

  test('ends at once when the server closes, and none begins then', async (t) => {
    const core = await startCa(t)
    const known = { 'if-none-match': await etagOf(core) }
    const waiting = fetchKrl(core, { wait: '55s' }, known)
    await nextTurn()
    core.core.endWaiting()
    assert.ok((await timed(waiting)) < 5000)
    assert.equal((await waiting).status, 304)
    assert.ok((await timed(fetchKrl(core, { wait: '55s' }, known))) < 5000)
  })
})

describe('those who wait', () => {
  const open = async () => {
    const store = new InterposedStore(await openSqliteStore({ path: ':memory:' }))
    return { store, view: new StoreView(store, 'data/m/') }
  }
  const nobodyGoes = () => {}

  test('share one look at the store, whatever their number', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval', 'setTimeout'] })
    const { store, view } = await open()
    const server = new KrlServer(new AbortController().signal)
    const waiting = Array.from({ length: 500 }, () => server.changed(view, 0, 50_000, nobodyGoes))
    let reads = 0
    store.afterGet = () => void reads++
    t.mock.timers.tick(10_000)
    await nextTurn()
    assert.equal(reads, 10)
    const { head } = await readHead(view)
    await view.commit([putHead(view, head, [], 5)], [])
    t.mock.timers.tick(1000)
    await Promise.all(waiting)
    assert.equal(server.waiters, 0)
  })

  test('are 10,000 at most: others are answered at once', async () => {
    const { view } = await open()
    const closing = new AbortController()
    const server = new KrlServer(closing.signal)
    const waiting = Array.from({ length: 10_000 }, () =>
      server.changed(view, 0, 50_000, nobodyGoes),
    )
    assert.equal(server.waiters, 10_000)
    const oneMore = server.changed(view, 0, 50_000, nobodyGoes)
    assert.equal(server.waiters, 10_000)
    await oneMore
    closing.abort()
    await Promise.all(waiting)
    assert.equal(server.waiters, 0)
  })

  test('free their place when their client hangs up', async () => {
    const { view } = await open()
    const server = new KrlServer(new AbortController().signal)
    let hangUp = () => {}
    const waiting = server.changed(view, 0, 50_000, (listener) => {
      hangUp = listener
    })
    assert.equal(server.waiters, 1)
    hangUp()
    await waiting
    assert.equal(server.waiters, 0)
  })
})

describe('krl.sig', () => {
  async function statement(core: TestCore) {
    const response = await core.send('read', 'ssh/krl.sig', {}, { token: '' })
    assert.ok(response.kind === 'bare')
    return response.body as { statement: string; signature: string }
  }

  test('protocols 5.6: names the list that krl answers, for 24 hours, signed by the identity key', async (t) => {
    const core = await startCa(t)
    await core.send('update', 'ssh/config/hosts', { host_scope: true })
    await core.send('update', 'ssh/revoke', { serial_number: await signed(core) })
    const { data } = await core.call('read', 'ssh/identity', {}, { token: '' })
    const keys = [parseAuthorizedKey(data?.['public_key'] as string)]
    const krl = await fetchKrl(core)
    assert.ok(krl.kind === 'bytes')
    const now = Date.UTC(2026, 10, 22, 12) / 1000
    const { content } = openStatement('krl', await statement(core), keys, now)
    assert.deepEqual(content, {
      issuer: data?.['issuer'],
      version: Number((await krlOf(core)).version),
      sha256: hash('sha256', krl.bytes, 'hex'),
      issuedAt: now,
      notAfter: now + 86_400,
    })
  })

  test('protocols 5.6: is signed again each hour, and with each version', async (t) => {
    const core = await startCa(t)
    await core.send('update', 'ssh/config/hosts', { host_scope: true })
    const first = await statement(core)
    core.advance(59 * 60_000)
    assert.deepEqual(await statement(core), first)
    core.advance(60_000)
    const second = await statement(core)
    assert.notDeepEqual(second, first)
    await core.send('update', 'ssh/revoke', { serial_number: await signed(core) })
    assert.notDeepEqual(await statement(core), second)
  })

  test('is refused where the mount has no identity key', async (t) => {
    const core = await startCa(t)
    const refusal = await refusalOf(core.send('read', 'ssh/krl.sig', {}, { token: '' }))
    assert.equal(refusal.status, 400)
  })
})
