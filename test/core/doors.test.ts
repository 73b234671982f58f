import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { SEAL_KEY } from '../../src/storage/path.ts'
import { openSqliteStore } from '../../src/storage/sqlite/sqlite.ts'
import { mountSsh, refusalOf, startTestCore, type TestCore, tokenWith } from '../support/core.ts'
import { InterposedStore } from '../support/interposed-store.ts'

const MISSES = 50
const CLOSED = { status: 429, message: 'too many failed attempts; try again later' }
const UNKNOWN = '00000000-0000-4000-8000-000000000000'

async function start(t: { after(work: () => Promise<void>): void }): Promise<TestCore> {
  const server = await startTestCore()
  t.after(() => server.close())
  await mountSsh(server)
  return server
}

const verify = (server: TestCore, otp: unknown, remoteAddress = '192.0.2.1') =>
  server.send('update', 'ssh/verify', { otp }, { token: '', remoteAddress })

async function miss(server: TestCore, times: number, remoteAddress?: string): Promise<void> {
  for (let i = 0; i < times; i++) {
    const refusal = await refusalOf(verify(server, UNKNOWN, remoteAddress))
    assert.deepEqual(refusal, { status: 400, message: 'OTP not found' })
  }
}

describe('protocols 3.4: misses at unauthenticated doors', () => {
  test('beyond the burst are a 429 without an audit line, then let through again bit by bit', async (t) => {
    const server = await start(t)
    await miss(server, MISSES)
    const lines = server.audit.requests.length + server.audit.responses.length
    for (let i = 0; i < 1000; i++) {
      assert.deepEqual(await refusalOf(verify(server, UNKNOWN)), CLOSED)
    }
    assert.equal(server.audit.requests.length + server.audit.responses.length, lines)
    server.advance(500)
    await miss(server, 5)
    assert.deepEqual(await refusalOf(verify(server, UNKNOWN)), CLOSED)
  })

  test('shut the door for that address and mount only', async (t) => {
    const server = await start(t)
    await server.send('update', 'sys/mounts/other', { type: 'ssh' })
    await miss(server, MISSES)
    await miss(server, 1, '192.0.2.2')
    const options = { token: '', remoteAddress: '192.0.2.1' }
    const other = server.send('update', 'other/verify', { otp: UNKNOWN }, options)
    assert.equal((await refusalOf(other)).status, 400)
    await server.send('update', 'ssh/creds/web', { ip: '10.0.0.1' }, { remoteAddress: '192.0.2.1' })
  })

  test('an IPv6 /64 counts as one address', async (t) => {
    const server = await start(t)
    for (let i = 0; i < MISSES; i++) await miss(server, 1, `2001:db8::${i.toString(16)}`)
    assert.deepEqual(await refusalOf(verify(server, UNKNOWN, '2001:db8::ffff')), CLOSED)
    await miss(server, 1, '2001:db8:0:1::1')
  })

  test('right passwords cost nothing, however many', async (t) => {
    const server = await start(t)
    for (let i = 0; i < 2 * MISSES; i++) {
      const { data } = await server.call('update', 'ssh/creds/web', { ip: '10.0.0.1' })
      assert.equal((await verify(server, data?.['key'])).status, 200)
    }
  })

  test('a malformed password is a miss too', async (t) => {
    const server = await start(t)
    for (const otp of ['x', '', UNKNOWN.replace('4', 'A'), `${UNKNOWN}\n`, `../${UNKNOWN}`, 7]) {
      assert.equal((await refusalOf(verify(server, otp))).status, 400)
    }
    await miss(server, MISSES - 6)
    assert.deepEqual(await refusalOf(verify(server, UNKNOWN)), CLOSED)
  })

  test('a miss is one read and no write, and none of either for what is no password', async (t) => {
    const raw = new InterposedStore(await openSqliteStore({ path: ':memory:' }))
    const server = await startTestCore({ raw })
    t.after(() => server.close())
    await mountSsh(server)
    let [reads, commits] = [0, 0]
    raw.afterGet = (keys) => {
      if (keys.some((key) => key.startsWith('data/'))) reads++
    }
    raw.beforeCommit = () => void commits++
    for (const otp of ['x', UNKNOWN.replace('4', 'A'), `${UNKNOWN}\n`]) {
      assert.equal((await refusalOf(verify(server, otp))).status, 400)
    }
    assert.deepEqual([reads, commits], [0, 0])
    await miss(server, 1)
    assert.deepEqual([reads, commits], [1, 0])
  })

  test('of 2015, told as 204, are counted too', async (t) => {
    const server = await start(t)
    await server.send('update', 'sys/mounts/old', { type: 'ssh', options: { compat: '2015' } })
    const options = { token: '', remoteAddress: '192.0.2.1' }
    const old = () => server.send('update', 'old/verify', { otp: UNKNOWN }, options)
    for (let i = 0; i < MISSES; i++) assert.deepEqual(await old(), { kind: 'empty', status: 204 })
    assert.deepEqual(await refusalOf(old()), CLOSED)
  })

  test('of wrapping tokens are counted at unwrap, lookup and rewrap, and shut all three', async (t) => {
    const server = await start(t)
    const paths = ['sys/wrapping/unwrap', 'sys/wrapping/lookup', 'sys/wrapping/rewrap']
    for (const [i, path] of paths.entries()) {
      const options = { token: '', remoteAddress: `192.0.2.${i}` }
      const ask = (at: string) => refusalOf(server.send('update', at, { token: 's.x' }, options))
      for (let misses = 0; misses < MISSES; misses++) assert.equal((await ask(path)).status, 400)
      for (const shut of paths) assert.deepEqual(await ask(shut), CLOSED, `${path}, ${shut}`)
    }
  })
})

describe('protocols 3.4: wrapping without a token', () => {
  const text = 'response wrapping is not offered on unauthenticated paths'
  const paths: [Parameters<TestCore['send']>[0], string][] = [
    ['update', 'ssh/verify'],
    ['read', 'ssh/public_key'],
    ['update', 'sys/wrapping/lookup'],
    ['read', 'sys/internal/ui/mounts'],
    ['read', 'sys/internal/specs/openapi'],
    ['update', 'sys/wrapping/unwrap'],
    ['read', 'sys/rekey/init'],
  ]
  test('is a 400 on every path that needs no token, and stores nothing', async (t) => {
    const server = await start(t)
    for (const [operation, path] of paths) {
      const options = { token: '', wrapTtlSeconds: 60 }
      const refusal = await refusalOf(server.send(operation, path, {}, options))
      assert.deepEqual(refusal, { status: 400, message: text }, path)
    }
  })

  test('is offered where a token comes along', async (t) => {
    const server = await start(t)
    const { wrap_info } = await server.call(
      'read',
      'sys/internal/ui/mounts',
      {},
      { wrapTtlSeconds: 60 },
    )
    assert.equal(wrap_info?.creation_path, 'sys/internal/ui/mounts')
  })
})

test('a token that is no good is as none where a token is optional', async (t) => {
  const server = await start(t)
  const mounts = async (token: string) =>
    (await server.call('read', 'sys/internal/ui/mounts', {}, { token })).data
  assert.deepEqual(await mounts('s.nosuch'), { auth: {}, secret: {} })
  const expiring = await tokenWith(server, 'path "ssh/*" { capabilities = ["read"] }', {
    ttl: '1h',
  })
  assert.deepEqual(Object.keys((await mounts(expiring))?.['secret'] as object), ['ssh/'])
  server.advance(3_600_000)
  assert.deepEqual(await mounts(expiring), { auth: {}, secret: {} })
})

test('a request whose turn has come does not wait at the door for those who wait for their turn', async (t) => {
  const raw = new InterposedStore(await openSqliteStore({ path: ':memory:' }))
  const server = await startTestCore({ raw })
  t.after(() => server.close())
  await mountSsh(server)
  const inside = 16
  const otps: unknown[] = []
  while (otps.length <= inside) {
    otps.push((await server.call('update', 'ssh/creds/web', { ip: '10.0.0.1' })).data?.['key'])
  }
  // All that are let in read the generation once more, and the last stands before the door.
  const held: (() => void)[] = []
  let reads = 0
  raw.afterGet = (keys) => {
    if (keys.length !== 2 || keys[1] !== SEAL_KEY || ++reads <= inside) return
    return new Promise<void>((resolve) => void held.push(resolve))
  }
  const answers = otps.slice(0, inside).map((otp) => verify(server, otp))
  while (held.length < inside) await new Promise(setImmediate)
  answers.push(verify(server, otps[inside]))
  while (held.length <= inside) await new Promise(setImmediate)
  raw.heal()
  await server.send('update', 'ssh/roles/other', { key_type: 'otp', default_user: 'ubuntu' })
  await server.send('read', 'ssh/roles/other')
  held.pop()?.()
  await new Promise((resolve) => setTimeout(resolve, 20))
  for (const resume of held) resume()
  const all = Promise.all(answers)
  const late = new Promise((_, reject) => setTimeout(reject, 2000, new Error('they wait')).unref())
  await Promise.race([all, late])
  for (const { status } of await all) assert.equal(status, 200)
})
