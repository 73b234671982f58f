import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { RESTORED_KEY } from '../../../../src/storage/path.ts'
import { openSqliteStore } from '../../../../src/storage/sqlite/sqlite.ts'
import { issuedKeys, keysIn, refusalOf, type TestCore, tokenOf } from '../../../support/core.ts'
import { InterposedStore } from '../../../support/interposed-store.ts'
import { krlOf, PUBLIC_KEY, revokedOf, signed, signer, startCa } from './support.ts'

/** A token with two below it, each with a certificate; the last one has none. */
async function family(core: TestCore) {
  const parent = await signer(core)
  const child = await tokenOf(core, {}, { token: parent })
  const grandchild = await tokenOf(core, {}, { token: child })
  const serials: string[] = []
  for (const token of [parent, child, grandchild]) serials.push(await signed(core, { token }))
  return { parent, child, grandchild, serials }
}

async function accessorOf(core: TestCore, token: string): Promise<string> {
  const { data } = await core.call('update', 'auth/token/lookup', { token })
  return data?.['accessor'] as string
}

describe('a revoked token takes its certificates along', () => {
  const ways: [string, (core: TestCore, token: string, more: object) => Promise<unknown>][] = [
    ['revoke', (core, token, more) => core.send('update', 'auth/token/revoke', { token, ...more })],
    [
      'revoke-self',
      (core, token, more) => core.send('update', 'auth/token/revoke-self', more, { token }),
    ],
    [
      'revoke-accessor',
      async (core, token, more) => {
        const accessor = await accessorOf(core, token)
        return core.send('update', 'auth/token/revoke-accessor', { accessor, ...more })
      },
    ],
  ]
  for (const [name, end] of ways) {
    test(`by ${name}, with those of its children, where that is asked for`, async (t) => {
      const core = await startCa(t)
      const { parent, serials } = await family(core)
      const other = await signed(core)
      await end(core, parent, { revoke_certificates: true })
      assert.deepEqual(await revokedOf(core, [...serials, other]), serials)
    })

    test(`by ${name}, where the mount says so and the request nothing`, async (t) => {
      const core = await startCa(t)
      await core.send('update', 'ssh/config/certificates', { revoke_with_token: true })
      const [one, other] = [await family(core), await family(core)]
      await end(core, one.parent, {})
      await end(core, other.parent, { revoke_certificates: false })
      assert.deepEqual(await revokedOf(core, [...one.serials, ...other.serials]), one.serials)
    })

    test(`by ${name}: not where nobody says so`, async (t) => {
      const core = await startCa(t)
      const { parent, serials } = await family(core)
      await end(core, parent, {})
      assert.deepEqual(await revokedOf(core, serials), [])
      assert.equal((await krlOf(core)).version, 0n)
    })
  }

  test('by revoke-orphan its own alone', async (t) => {
    const core = await startCa(t)
    const { parent, child, serials } = await family(core)
    const body = { token: parent, revoke_certificates: true }
    await core.send('update', 'auth/token/revoke-orphan', body)
    assert.deepEqual(await revokedOf(core, serials), serials.slice(0, 1))
    assert.ok(await signed(core, { token: child }))
  })

  test('by its lease, where the mount says so', async (t) => {
    const core = await startCa(t)
    await core.send('update', 'ssh/config/certificates', { revoke_with_token: true })
    const { parent, serials } = await family(core)
    assert.ok(parent)
    await core.send('update', 'sys/leases/revoke-prefix/auth/token/create')
    assert.deepEqual(await revokedOf(core, serials), serials)
  })

  test('but never when it expires or is used up', async (t) => {
    const core = await startCa(t)
    await core.send('update', 'ssh/config/certificates', { revoke_with_token: true })
    const brief = await signer(core, { ttl: '60s' })
    const once = await signer(core, { num_uses: 1 })
    const serials = [await signed(core, { token: brief }), await signed(core, { token: once })]
    core.advance(120_000)
    await core.core.endDueLeases()
    assert.equal((await refusalOf(signed(core, { token: brief }))).status, 403)
    assert.equal((await refusalOf(signed(core, { token: once }))).status, 403)
    assert.deepEqual(await revokedOf(core, serials), [])
  })

  test('in every SSH mount, each with a list of its own', async (t) => {
    const core = await startCa(t)
    await core.send('update', 'sys/mounts/ssh2', { type: 'ssh' })
    await core.send('update', 'ssh2/config/ca', { generate_signing_key: true, key_type: 'ed25519' })
    const role = { key_type: 'ca', allow_user_certificates: true, allowed_users: 'ubuntu' }
    await core.send('update', 'ssh2/roles/r', { ...role, default_user: 'ubuntu' })
    const token = await tokenOf(core, { policies: ['root'] })
    const [one] = [await signed(core, { token })]
    const body = { public_key: PUBLIC_KEY }
    const { data } = await core.call('update', 'ssh2/sign/r', body, { token })
    await core.send('update', 'auth/token/revoke', { token, revoke_certificates: true })
    for (const path of [`ssh/cert/${one}`, `ssh2/cert/${data?.['serial_number']}`]) {
      assert.equal((await core.call('read', path)).data?.['revoked'], true, path)
    }
  })

  test('long after its own end, where that is asked for', async (t) => {
    const core = await startCa(t)
    const { parent, serials } = await family(core)
    await core.send('update', 'auth/token/revoke', { token: parent })
    await core.send('update', 'auth/token/revoke', { token: parent, revoke_certificates: true })
    assert.deepEqual(await revokedOf(core, serials), serials.slice(0, 1))
  })
})

test('protocols 1.4: a crash at any commit of such a revocation loses no certificate', async (t) => {
  const raw = new InterposedStore(await openSqliteStore({ path: ':memory:' }))
  const core = await startCa(t, { raw })
  const before = (await issuedKeys(core)).length
  let crashes = 0
  for (let n = 1; ; n++) {
    const { parent, serials } = await family(core)
    raw.failFrom(n)
    const body = { token: parent, revoke_certificates: true }
    const done = await core.send('update', 'auth/token/revoke', body).then(
      () => true,
      () => false,
    )
    raw.heal()
    const hasBegun = (await keysIn(raw, 'revoking/')).length > 0
    await core.core.seal.seal()
    await core.core.seal.unseal({ key: core.unsealKey })
    await core.core.stop()
    const revoked = await revokedOf(core, serials)
    assert.deepEqual(revoked, done || hasBegun ? serials : [], `a crash at commit ${n}`)
    if (done) break
    crashes++
    if (!hasBegun) await core.send('update', 'auth/token/revoke', { token: parent })
  }
  assert.ok(crashes >= 4, `${crashes} crashes`)
  assert.equal((await issuedKeys(core)).length, before)
})

test('protocols 1.4: a certificate whose token is revoked right before the commit is refused', async (t) => {
  const raw = new InterposedStore(await openSqliteStore({ path: ':memory:' }))
  const core = await startCa(t, { raw })
  const token = await signer(core)
  let isRevoked = false
  raw.beforeCommit = async () => {
    if (isRevoked) return
    isRevoked = true
    await core.send('update', 'auth/token/revoke', { token, revoke_certificates: true })
  }
  assert.equal((await refusalOf(signed(core, { token }))).status, 403)
  assert.ok(isRevoked)
  assert.equal((await refusalOf(core.send('list', 'ssh/certs'))).status, 404)
})

test('protocols 1.3: a certificate whose role was changed right before the commit follows the new one', async (t) => {
  const raw = new InterposedStore(await openSqliteStore({ path: ':memory:' }))
  const core = await startCa(t, { raw })
  const token = await signer(core)
  let isGone = false
  raw.beforeCommit = async () => {
    if (isGone) return
    isGone = true
    await core.send('delete', 'ssh/roles/sign')
  }
  assert.equal((await refusalOf(signed(core, { token }))).status, 400)
  assert.equal((await refusalOf(core.send('list', 'ssh/certs'))).status, 404)
})

test('protocols 1.10: after a restore the list goes on above every version of before', async (t) => {
  const core = await startCa(t)
  const serial = await signed(core)
  await core.send('update', 'ssh/revoke', { serial_number: serial })
  const { version } = await krlOf(core)
  core.advance(3_600_000)
  // What the backup does not know: versions that hosts have seen since.
  const seen = version + 3_500_000n
  await core.core.seal.seal()
  const mark = Buffer.from(JSON.stringify({ keep_tokens: true }))
  await core.raw.commit([{ key: RESTORED_KEY, value: mark }], [])
  await core.core.seal.unseal({ key: core.unsealKey })
  const krl = await krlOf(core)
  assert.ok(krl.version > seen)
  assert.deepEqual(await revokedOf(core, [serial]), [serial])
})
