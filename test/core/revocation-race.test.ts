import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Envelope } from '../../src/core/request/response.ts'
import { openSqliteStore } from '../../src/storage/sqlite/sqlite.ts'
import {
  issuedKeys,
  keysIn,
  mountCa,
  mountSsh,
  refusalOf,
  type SendOptions,
  startTestCore,
  type TestCore,
  tokenOf,
  tokenWith,
} from '../support/core.ts'
import { InterposedStore } from '../support/interposed-store.ts'

/** Loops of each kind, and a bound on their length: a revoke ends them long before. */
const SIDE_BY_SIDE = 16
const LONGEST = 1000
const PUBLIC_KEY =
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f a'
let server: TestCore

before(async () => {
  server = await startTestCore()
  await mountSsh(server)
  await mountCa(server)
  const policy = 'path "*" { capabilities = ["create", "read", "update", "delete", "list"] }'
  await server.send('update', 'sys/policies/acl/all', { policy })
})
after(() => server.close())

interface Loop {
  readonly answers: Envelope[]
  /** Status of the refusal that ended it; undefined when none did. */
  readonly end: Promise<number | undefined>
  /** Resolves when it has got so many answers. */
  reached(count: number): Promise<void>
}

/** Sends requests one after another until one is refused. */
function repeat(send: () => Promise<Envelope>): Loop {
  const answers: Envelope[] = []
  const waiting: { count: number; resolve: () => void }[] = []
  const run = async () => {
    for (let i = 0; i < LONGEST; i++) {
      try {
        answers.push(await send())
      } catch (error) {
        return (error as { status: number }).status
      }
      for (const { count, resolve } of waiting) if (answers.length >= count) resolve()
      // As between requests from a socket: commits are grouped by turns of the event loop.
      await nextTurn()
    }
    return undefined
  }
  const reached = (count: number) =>
    new Promise<void>((resolve) => void waiting.push({ count, resolve }))
  return { answers, end: run(), reached }
}

test('protocols 1.4: 64 loops of token-create, creds, sign and cubbyhole against a revoke leave nothing usable', async () => {
  const before = await issuedKeys(server)
  const otps: string[] = []
  const children: string[] = []
  const serials: string[] = []
  for (const length of [1, 4]) {
    const token = await tokenOf(server, { policies: ['all'] })
    const as = { token }
    let value = 0
    const kinds = {
      create: () => server.call('update', 'auth/token/create', {}, as),
      creds: () => server.call('update', 'ssh/creds/web', { ip: '10.0.0.1' }, as),
      sign: () => server.call('update', 'ssh/sign/sign', { public_key: PUBLIC_KEY }, as),
      cubbyhole: async () => {
        await server.send('update', `cubbyhole/c${value++}`, { k: 'v' }, as)
        return {} as Envelope
      },
    }
    const start = (send: () => Promise<Envelope>) =>
      Array.from({ length: SIDE_BY_SIDE }, () => repeat(send))
    const [creates, creds, signs, writes] = Object.values(kinds).map(start) as Loop[][]
    const wraps = start(() => server.call('read', 'sys/mounts', {}, { token, wrapTtlSeconds: 60 }))
    const all = [creates, creds, signs, writes, wraps].flatMap((loops) => loops ?? [])
    await creds?.at(-1)?.reached(length)
    await server.send('update', 'auth/token/revoke', { token, revoke_certificates: true })
    const ends = await Promise.all(all.map(({ end }) => end))
    assert.deepEqual(new Set(ends), new Set([403]), 'each loop ran into the revoke')
    const answersOf = (loops: Loop[] = []) => loops.flatMap(({ answers }) => answers)
    for (const { auth } of answersOf(creates)) children.push(auth?.client_token as string)
    for (const { data } of answersOf(signs)) serials.push(data?.['serial_number'] as string)
    for (const { data } of answersOf(creds)) otps.push(data?.['key'] as string)
    // A wrapped answer is not the token's: who got it may still unwrap it.
    for (const { wrap_info } of answersOf(wraps)) {
      await server.send('update', 'sys/wrapping/unwrap', {}, { token: wrap_info?.token as string })
    }
  }
  assert.ok(children.length > 0 && otps.length > 0 && serials.length > 0, 'the loops got somewhere')
  for (const serial of serials) {
    const { data } = await server.call('read', `ssh/cert/${serial}`)
    assert.equal(data?.['revoked'], true, `certificate ${serial} got out`)
  }
  assert.deepEqual(await issuedKeys(server), before)
  for (const token of children) {
    const refusal = await refusalOf(server.send('read', 'auth/token/lookup-self', {}, { token }))
    assert.equal(refusal.status, 403)
  }
  for (const [at, otp] of otps.entries()) {
    // Misses are limited by address.
    const options = { token: '', remoteAddress: `10.9.${at >> 4}.1` }
    const refusal = await refusalOf(server.send('update', 'ssh/verify', { otp }, options))
    assert.deepEqual(refusal, { status: 400, message: 'OTP not found' })
  }
})

const held: [string, string, object, SendOptions][] = [
  ['a token', 'auth/token/create', {}, {}],
  ['a wrapped token', 'auth/token/create', {}, { wrapTtlSeconds: 60 }],
  ['a one-time password', 'ssh/creds/web', { ip: '10.0.0.1' }, {}],
  ['a value of a cubbyhole', 'cubbyhole/a', { k: 'v' }, {}],
  ['a role', 'ssh/roles/new', { key_type: 'otp', default_user: 'u' }, {}],
]
for (const [name, path, data, options] of held) {
  test(`protocols 1.4: ${name} whose token is revoked right before the commit is refused`, async (t) => {
    const raw = new InterposedStore(await openSqliteStore({ path: ':memory:' }))
    const slow = await startTestCore({ raw })
    t.after(() => slow.close())
    await mountSsh(slow)
    const all = '["create", "read", "update", "delete", "list"]'
    const before = await keysIn(raw, '')
    const token = await tokenWith(slow, `path "*" { capabilities = ${all} }`)
    let isRevoked = false
    // The first commit is the request's own: all that the revoke writes is let through.
    raw.beforeCommit = async () => {
      if (isRevoked) return
      isRevoked = true
      await slow.send('update', 'auth/token/revoke', { token })
    }
    const refusal = await refusalOf(slow.send('update', path, data, { ...options, token }))
    assert.deepEqual(refusal, { status: 403, message: 'permission denied' })
    assert.ok(isRevoked)
    const left = (await keysIn(raw, '')).filter((key) => !key.startsWith('cfg/policy/'))
    assert.deepEqual(
      left,
      before.filter((key) => !key.startsWith('cfg/policy/')),
    )
  })
}

test('protocols 1.4: loops of creds and role writes against an unmount leave nothing of the mount', async () => {
  const before = await keysIn(server.raw, '')
  await server.send('update', 'sys/mounts/brief', { type: 'ssh' })
  const role = { key_type: 'otp', default_user: 'ubuntu', cidr_list: '10.0.0.0/8' }
  await server.send('update', 'brief/roles/web', role)
  let count = 0
  const loops = [
    repeat(() => server.call('update', 'brief/creds/web', { ip: '10.0.0.1' })),
    repeat(() =>
      server.call('update', 'brief/creds/web', { ip: '10.0.0.2' }, { wrapTtlSeconds: 60 }),
    ),
    repeat(async () => {
      await server.send('update', `brief/roles/r${count++}`, role)
      return {} as Envelope
    }),
  ]
  await loops[0]?.reached(2)
  await server.send('delete', 'sys/mounts/brief')
  const ends = await Promise.all(loops.map(({ end }) => end))
  // 503 where the ground moved too often under a request that lost to the role writes.
  assert.ok(ends.every((end) => end === 404 || end === 503))
  assert.deepEqual(await keysIn(server.raw, ''), before)
})

test('protocols 1.4: two revokes of one tree at once both succeed and leave nothing', async () => {
  const before = await issuedKeys(server)
  const parent = await tokenOf(server, { policies: ['all'] })
  const child = await tokenOf(server, {}, { token: parent })
  await tokenOf(server, {}, { token: child })
  await server.send('update', 'ssh/creds/web', { ip: '10.0.0.1' }, { token: child })
  const revoke = (token: string) => server.send('update', 'auth/token/revoke', { token })
  await Promise.all([revoke(parent), revoke(child), revoke(parent)])
  assert.deepEqual(await issuedKeys(server), before)
})

for (const [waited, outcome] of [
  [1000, 'signed'],
  [1001, 'refused'],
] as const) {
  test(`protocols 1.4: a token revoked while a signature waits ${waited} ms: ${outcome}`, async (t) => {
    const raw = new InterposedStore(await openSqliteStore({ path: ':memory:' }))
    const slow = await startTestCore({ raw })
    t.after(() => slow.close())
    await mountSsh(slow)
    await mountCa(slow, { no_store: true })
    const policy = 'path "ssh/sign/*" { capabilities = ["update"] }'
    const token = await tokenWith(slow, policy)
    let isRevoked = false
    raw.afterGet = async (keys) => {
      if (isRevoked || !keys.some((key) => /^cfg\/mount\/.*sign$/.test(key))) return
      isRevoked = true
      await slow.send('update', 'auth/token/revoke', { token })
      slow.advance(waited)
    }
    const sign = slow.call('update', 'ssh/sign/sign', { public_key: PUBLIC_KEY }, { token })
    if (outcome === 'signed') assert.ok((await sign).data?.['signed_key'])
    else assert.equal((await refusalOf(sign)).status, 403)
    assert.ok(isRevoked)
  })
}
