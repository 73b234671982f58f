import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigCache, StaleGeneration } from '../../src/core/config/config-cache.ts'
import type { Envelope } from '../../src/core/request/response.ts'
import { CONFIG_PREFIX, GENERATION_KEY, SEAL_KEY } from '../../src/storage/path.ts'
import { openSqliteStore } from '../../src/storage/sqlite/sqlite.ts'
import {
  mountSsh,
  RecordingAudit,
  refusalOf,
  startSecondCore,
  startTestCore,
  tokenWith,
} from '../support/core.ts'
import { InterposedStore } from '../support/interposed-store.ts'

const ROLE = { key_type: 'otp', default_user: 'ubuntu', cidr_list: '10.0.0.0/8' }
const MOUNTS = 'cfg/mounts'

async function startInterposed() {
  const raw = new InterposedStore(await openSqliteStore({ path: ':memory:' }))
  return { ...(await startTestCore({ raw })), raw }
}

/** Runs `work` after the first read that holds a key fitting `wanted` and before its result is used. */
function pauseAtRead(raw: InterposedStore, wanted: RegExp, work: () => Promise<unknown>) {
  let hits = 0
  raw.afterGet = async (keys) => {
    if (!keys.some((key) => wanted.test(key))) return
    if (++hits === 1) await work()
  }
  return { hits: () => hits }
}

test('protocols 1.3: config written between the reading of the generation and the fill of the cache is seen', async (t) => {
  const server = await startInterposed()
  t.after(() => server.close())
  await mountSsh(server)
  const write = (user: string) =>
    server.send('update', 'ssh/roles/web', { ...ROLE, default_user: user })
  await write('first')
  const pause = pauseAtRead(server.raw, /\/role.*\/web$/, async () => {
    await write('second')
    await write('third')
  })
  const answer = server.call('update', 'ssh/creds/web', { ip: '10.0.0.1' })
  const { data } = await answer
  assert.equal(data?.['username'], 'third')
  assert.ok(pause.hits() > 1, 'the request started again')
})

test('protocols 1.3: what one request read from its generation is not served to a later one', async (t) => {
  const server = await startInterposed()
  t.after(() => server.close())
  await mountSsh(server)
  let late: Promise<Envelope> | undefined
  // The slow request holds its old generation while two writes and a faster reader pass it.
  pauseAtRead(server.raw, /^meta\/generation$/, async () => {
    await server.send('update', 'ssh/roles/web', { ...ROLE, default_user: 'second' })
    late = server.call('read', 'ssh/roles/web')
    assert.equal((await late).data?.['default_user'], 'second')
    await server.send('update', 'ssh/roles/web', { ...ROLE, default_user: 'third' })
  })
  await server.call('read', 'ssh/roles/web')
  server.raw.heal()
  const { data } = await server.call('read', 'ssh/roles/web')
  assert.equal(data?.['default_user'], 'third')
})

test('protocols 1.3: generation, seal and token of a request are one snapshot, with and without a token', async (t) => {
  const server = await startInterposed()
  t.after(() => server.close())
  await mountSsh(server)
  const firstKeysOf = async (request: () => Promise<unknown>): Promise<readonly string[]> => {
    const reads: (readonly string[])[] = []
    server.raw.afterGet = (keys) => void reads.push(keys)
    await request().catch(() => {})
    server.raw.heal()
    return reads[0] ?? []
  }
  const withToken = await firstKeysOf(() => server.send('read', 'ssh/roles/web'))
  assert.deepEqual(withToken.slice(0, 2), [GENERATION_KEY, SEAL_KEY])
  assert.match(withToken[2] ?? '', /^tok\//)
  const otp = '00000000-0000-4000-8000-000000000000'
  const open = await firstKeysOf(() => server.send('update', 'ssh/verify', { otp }, { token: '' }))
  assert.deepEqual(open, [GENERATION_KEY, SEAL_KEY])
})

test('protocols 1.3: a role that is deleted before the commit issues nothing', async (t) => {
  const server = await startInterposed()
  t.after(() => server.close())
  await mountSsh(server)
  await server.call('update', 'ssh/creds/web', { ip: '10.0.0.1' })
  let deleted = false
  server.raw.beforeCommit = async (writes) => {
    if (deleted || !writes.some(({ key }) => key.startsWith('lease/'))) return
    deleted = true
    await server.send('delete', 'ssh/roles/web')
  }
  const refusal = await refusalOf(server.send('update', 'ssh/creds/web', { ip: '10.0.0.1' }))
  assert.deepEqual(refusal, { status: 400, message: 'Role "web" not found' })
})

test('protocols 1.3: a policy that loses a rule denies from the next request on', async (t) => {
  const server = await startTestCore()
  t.after(() => server.close())
  await server.send('update', 'sys/policies/acl/p', {
    policy: 'path "sys/mounts" { capabilities = ["read"] }',
  })
  const { auth } = await server.call('update', 'auth/token/create', { policies: ['p'] })
  const token = auth?.client_token as string
  await server.send('read', 'sys/mounts', {}, { token })
  await server.send('update', 'sys/policies/acl/p', { policy: 'path "sys/auth" {}' })
  assert.equal((await refusalOf(server.send('read', 'sys/mounts', {}, { token }))).status, 403)
})

test('a policy that expires stops granting although nothing is written', async (t) => {
  const server = await startTestCore()
  t.after(() => server.close())
  const policy = 'path "sys/mounts" { capabilities = ["read"] }'
  await server.send('update', 'sys/policies/acl/brief', { policy, ttl: '1h' })
  const { auth } = await server.call('update', 'auth/token/create', { policies: ['brief'] })
  const token = auth?.client_token as string
  await server.send('read', 'sys/mounts', {}, { token })
  server.advance(3_599_000)
  await server.send('read', 'sys/mounts', {}, { token })
  server.advance(1000)
  assert.equal((await refusalOf(server.send('read', 'sys/mounts', {}, { token }))).status, 403)
})

test('a rule of a policy that expires stops granting although nothing is written', async (t) => {
  const server = await startTestCore()
  t.after(() => server.close())
  const rule = 'capabilities = ["read"] expiration = "2026-11-22T13:00:00Z"'
  const token = await tokenWith(server, `path "sys/mounts" { ${rule} }`)
  await server.send('read', 'sys/mounts', {}, { token })
  server.advance(3_600_000)
  assert.equal((await refusalOf(server.send('read', 'sys/mounts', {}, { token }))).status, 403)
})

test('a request whose ground never holds is a 503, and the audit log says so', async (t) => {
  const server = await startInterposed()
  await mountSsh(server)
  // Another server over the same store: within one, configuration is not written during a request's last tries.
  const second = await startSecondCore(server)
  t.after(async () => {
    await second.close()
    await server.close()
  })
  let other = 0
  const interfere = async (writes: readonly { readonly key: string }[]) => {
    if (!writes.some(({ key }) => key.startsWith('lease/'))) return
    await second.send('update', `sys/policies/acl/p${other++}`, { policy: 'path "a" {}' })
  }
  server.raw.beforeCommit = interfere
  const refusal = await refusalOf(server.send('update', 'ssh/creds/web', { ip: '10.0.0.1' }))
  assert.equal(refusal.status, 503)
  assert.equal(other, 4, 'one try and three restarts')
  assert.match(String(server.audit.responses.at(-1)?.error), /try again/)
  const lines = server.audit.requests.filter(({ request }) => request.path === 'ssh/creds/web')
  assert.equal(lines.length, 1, 'restarts write no second request line')
})

test('ten that write configuration and ten that issue, without a pause, all get through', async (t) => {
  const server = await startTestCore()
  t.after(() => server.close())
  await mountSsh(server)
  const workers = Array.from({ length: 10 }, async (_, worker) => {
    for (let round = 0; round < 20; round++) {
      await server.send('update', `ssh/roles/r${worker}-${round}`, ROLE)
    }
  })
  const clients = Array.from({ length: 10 }, async () => {
    for (let round = 0; round < 20; round++) {
      await server.send('update', 'ssh/creds/web', { ip: '10.0.0.1' })
    }
  })
  await Promise.all([...workers, ...clients])
  const { data } = await server.call('list', 'ssh/roles/')
  assert.equal(new Set(data?.['keys'] as string[]).size, 201)
})

test('protocols 1.8: nothing decoded outlives a seal', async (t) => {
  const server = await startInterposed()
  t.after(() => server.close())
  await mountSsh(server)
  const readsOfRole = async (): Promise<number> => {
    let reads = 0
    server.raw.afterGet = (keys) => {
      if (keys.some((key) => /\/role.*\/web$/.test(key))) reads++
    }
    await server.call('read', 'ssh/roles/web')
    server.raw.heal()
    return reads
  }
  assert.equal(await readsOfRole(), 1)
  assert.equal(await readsOfRole(), 0)
  await server.core.seal.seal()
  await server.core.seal.unseal({ key: server.unsealKey })
  assert.equal(await readsOfRole(), 1)
})

test('protocols 1.8: salts and hashes of the audit devices do not outlive a seal', async (t) => {
  let clears = 0
  class CountingAudit extends RecordingAudit {
    override clear(): void {
      clears++
    }
  }
  const server = await startTestCore({ audit: new CountingAudit() })
  t.after(() => server.close())
  assert.equal(clears, 0)
  await server.core.seal.seal()
  assert.equal(clears, 1)
})

test('protocols 1.3: a fill reads generation and value in one snapshot', async () => {
  const store = new InterposedStore(await openSqliteStore({ path: ':memory:' }))
  await store.commit([{ key: MOUNTS, value: Buffer.from('a') }], [])
  const snapshot = new ConfigCache(store).at(undefined)
  const reads: (readonly string[])[] = []
  store.afterGet = (keys) => void reads.push(keys)
  await snapshot.get(MOUNTS, String)
  await snapshot.get(MOUNTS, String)
  assert.deepEqual(reads, [[GENERATION_KEY, MOUNTS]])
  await store.close()
})

test('the cache refuses to fill an old snapshot with newer values', async () => {
  const store = await openSqliteStore({ path: ':memory:' })
  const generation = (text: string) => ({ key: GENERATION_KEY, value: Buffer.from(text) })
  await store.commit([generation('one'), { key: MOUNTS, value: Buffer.from('a') }], [])
  const cache = new ConfigCache(store)
  const [first] = await store.get([GENERATION_KEY])
  const old = cache.at(first)
  const text = (value: Uint8Array) => Buffer.from(value).toString()
  await store.commit([generation('two'), { key: MOUNTS, value: Buffer.from('b') }], [])
  await assert.rejects(old.get(MOUNTS, text), StaleGeneration)
  await assert.rejects(old.list(CONFIG_PREFIX), StaleGeneration)
  const [second] = await store.get([GENERATION_KEY])
  assert.equal(await cache.at(second).get(MOUNTS, text), 'b')
  assert.deepEqual(await cache.at(second).list(CONFIG_PREFIX), ['mounts'])
  await store.close()
})
