import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { openSqliteStore } from '../../src/storage/sqlite/sqlite.ts'
import type { SendOptions } from '../support/core.ts'
import {
  ISSUED,
  issuedKeys,
  keysIn,
  mountSsh,
  refusalOf,
  startTestCore,
  type TestCore,
  tokenOf,
} from '../support/core.ts'
import { InterposedStore } from '../support/interposed-store.ts'

/** More than any of the operations here commits. */
const MANY = 60

type Server = TestCore & { readonly raw: InterposedStore }

async function start(): Promise<Server> {
  const raw = new InterposedStore(await openSqliteStore({ path: ':memory:' }))
  const server = await startTestCore({ raw })
  await mountSsh(server)
  const policy =
    'path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }'
  await server.send('update', 'sys/policies/acl/all', { policy })
  return { ...server, raw }
}

/** Seals and unseals: what a crash left is resumed. */
async function restart({ core, unsealKey, send }: Server): Promise<void> {
  await core.seal.seal()
  await core.seal.unseal({ key: unsealKey })
  await send('read', 'sys/mounts')
  await core.stop()
}

async function succeeds(answer: Promise<unknown>): Promise<boolean> {
  return answer.then(
    () => true,
    () => false,
  )
}

interface Tree {
  readonly parent: string
  readonly child: string
  readonly grandchild: string
  readonly otps: readonly string[]
}

/** A token with two below it, one-time passwords and cubbyholes. */
async function plantTree(server: Server): Promise<Tree> {
  const parent = await tokenOf(server, { policies: ['all'] })
  const child = await tokenOf(server, {}, { token: parent })
  const grandchild = await tokenOf(server, {}, { token: child })
  const otps: string[] = []
  for (const token of [parent, child, grandchild]) {
    const { data } = await server.call('update', 'ssh/creds/web', { ip: '10.0.0.1' }, { token })
    otps.push(data?.['key'] as string)
    await server.send('update', 'cubbyhole/mine', { k: 'v' }, { token })
  }
  return { parent, child, grandchild, otps }
}

describe('protocols 1.4: a crash at any commit of a revoke', () => {
  test('of a tree ends, after the restart, like no crash at all', async (t) => {
    const server = await start()
    t.after(() => server.close())
    const before = await issuedKeys(server)
    let crashes = 0
    for (let n = 1; n < MANY; n++) {
      const { parent, child, grandchild } = await plantTree(server)
      server.raw.failFrom(n)
      const done = await succeeds(server.send('update', 'auth/token/revoke', { token: parent }))
      server.raw.heal()
      const isMarked = (await keysIn(server.raw, 'revoking/')).length > 0
      await restart(server)
      if (done) break
      crashes++
      if (!isMarked) {
        // Nothing had begun: the first commit found that more hangs on the token, the second is the mark.
        assert.ok(n <= 2, `commit ${n}`)
        await server.send('update', 'auth/token/revoke', { token: parent })
      }
      assert.deepEqual(await issuedKeys(server), before, `crash at commit ${n}`)
      for (const token of [parent, child, grandchild]) {
        const look = server.send('read', 'auth/token/lookup-self', {}, { token })
        assert.equal((await refusalOf(look)).status, 403)
      }
    }
    assert.ok(crashes > 8, `${crashes} places to crash at`)
    assert.deepEqual(await issuedKeys(server), before)
  })

  test('of a token alone leaves the children alive, as orphans', async (t) => {
    const server = await start()
    t.after(() => server.close())
    const before = await issuedKeys(server)
    let crashes = 0
    for (let n = 1; n < MANY; n++) {
      const { parent, child } = await plantTree(server)
      const revoke = () => server.send('update', 'auth/token/revoke-orphan', { token: parent })
      server.raw.failFrom(n)
      const done = await succeeds(revoke())
      server.raw.heal()
      await restart(server)
      if (!done) {
        crashes++
        if (n === 1) await revoke()
      }
      assert.equal(
        (await refusalOf(server.send('read', 'auth/token/lookup-self', {}, { token: parent })))
          .status,
        403,
      )
      const { data } = await server.call('read', 'auth/token/lookup-self', {}, { token: child })
      assert.equal(data?.['orphan'], true, `crash at commit ${n}`)
      await server.send('update', 'auth/token/revoke', { token: child })
      assert.deepEqual(await issuedKeys(server), before, `crash at commit ${n}`)
      if (done) break
    }
    assert.ok(crashes > 3, `${crashes} places to crash at`)
  })

  test('keeps an own id taken until the rest of the token is gone', async (t) => {
    const server = await start()
    t.after(() => server.close())
    const id = 'my-own-id'
    const token = await tokenOf(server, { id, policies: ['all'] })
    await server.send('update', 'cubbyhole/mine', { k: 'v' }, { token })
    server.raw.failFrom(3)
    assert.equal(await succeeds(server.send('update', 'auth/token/revoke', { token: id })), false)
    server.raw.heal()
    const again = () => server.send('update', 'auth/token/create', { id, policies: ['all'] })
    const text = 'cannot create a token with a duplicate ID'
    assert.deepEqual(await refusalOf(again()), { status: 400, message: text })
    await restart(server)
    assert.equal((await again()).status, 200)
  })

  test('of a mount removes the rest of it after the restart', async (t) => {
    const server = await start()
    t.after(() => server.close())
    const clean = await keysIn(server.raw, 'cfg/', ...ISSUED)
    const role = { key_type: 'otp', default_user: 'ubuntu', cidr_list: '10.0.0.0/8' }
    let crashes = 0
    for (let n = 1; n < MANY; n++) {
      await server.send('update', 'sys/mounts/brief', { type: 'ssh' })
      await server.send('update', 'brief/roles/web', role)
      for (const ip of ['10.0.0.1', '10.0.0.2'])
        await server.send('update', 'brief/creds/web', { ip })
      server.raw.failFrom(n)
      const done = await succeeds(server.send('delete', 'sys/mounts/brief'))
      server.raw.heal()
      if (!done && n > 1) {
        const refusal = await refusalOf(
          server.send('update', 'brief/creds/web', { ip: '10.0.0.3' }),
        )
        assert.equal(refusal.status, 404, 'a mount that is being removed answers nothing')
      }
      await restart(server)
      if (!done) crashes++
      if (!done && n === 1) await server.send('delete', 'sys/mounts/brief')
      assert.deepEqual(await keysIn(server.raw, 'cfg/', ...ISSUED), clean, `crash at commit ${n}`)
      if (done) break
    }
    assert.ok(crashes > 2, `${crashes} places to crash at`)
  })
})

describe('style 2.8: a store that fails at the n-th write', () => {
  /** Runs a request with the n-th commit failing, for n = 1, 2, … until it succeeds. */
  async function untilItWorks(
    server: Server,
    send: () => Promise<unknown>,
    check: (n: number) => Promise<void>,
  ): Promise<void> {
    for (let n = 1; n < MANY; n++) {
      server.raw.failOnly(n)
      const done = await succeeds(send())
      server.raw.heal()
      if (done) return assert.ok(n > 1)
      await check(n)
    }
    assert.fail('it never worked')
  }

  const issuing: [string, string, object, SendOptions][] = [
    ['creds', 'ssh/creds/web', { ip: '10.0.0.1' }, {}],
    ['wrapped creds', 'ssh/creds/web', { ip: '10.0.0.1' }, { wrapTtlSeconds: 60 }],
    ['token creation', 'auth/token/create', { policies: ['all'] }, {}],
    ['an orphan', 'auth/token/create-orphan', { policies: ['all'], ttl: '1h' }, {}],
    ['a wrapped token', 'auth/token/create', { policies: ['all'] }, { wrapTtlSeconds: 60 }],
  ]
  for (const [name, path, data, options] of issuing) {
    test(`leaves nothing half of ${name}`, async (t) => {
      const server = await start()
      t.after(() => server.close())
      const before = await issuedKeys(server)
      await untilItWorks(
        server,
        () => server.send('update', path, data, options),
        async (n) => {
          assert.deepEqual(await issuedKeys(server), before, `failure at commit ${n}`)
        },
      )
    })
  }

  test('does not spend a password without answering', async (t) => {
    const server = await start()
    t.after(() => server.close())
    const { data } = await server.call('update', 'ssh/creds/web', { ip: '10.0.0.1' })
    const otp = data?.['key']
    const held = await issuedKeys(server)
    const verify = () => server.send('update', 'ssh/verify', { otp }, { token: '' })
    await untilItWorks(server, verify, async () => {
      assert.deepEqual(await issuedKeys(server), held)
    })
    assert.deepEqual(await refusalOf(verify()), { status: 400, message: 'OTP not found' })
  })

  test('does not spend a wrapped answer without giving it', async (t) => {
    const server = await start()
    t.after(() => server.close())
    const { wrap_info } = await server.call('read', 'sys/mounts', {}, { wrapTtlSeconds: 60 })
    const token = wrap_info?.token as string
    const held = await issuedKeys(server)
    const unwrap = () => server.send('update', 'sys/wrapping/unwrap', {}, { token })
    await untilItWorks(server, unwrap, async () => {
      assert.deepEqual(await issuedKeys(server), held)
    })
    assert.equal((await refusalOf(unwrap())).status, 400)
  })

  test('an answer on the last use stands although the used-up token could not be revoked', async (t) => {
    const server = await start()
    t.after(() => server.close())
    const before = await issuedKeys(server)
    const token = await tokenOf(server, { policies: ['all'], num_uses: 1, ttl: '1h' })
    // The first commit takes the use, the second marks the token.
    server.raw.failFrom(2)
    const { data } = await server.call('read', 'sys/mounts', {}, { token })
    assert.ok(data)
    server.raw.heal()
    const refusal = await refusalOf(server.send('read', 'sys/mounts', {}, { token }))
    assert.deepEqual(refusal, { status: 403, message: 'permission denied' })
    server.advance(3_600_000)
    await server.core.endDueLeases()
    assert.deepEqual(await issuedKeys(server), before)
  })
})
