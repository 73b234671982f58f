import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { addSerials, putHead, readHead } from '../../../../src/engine/ssh/inventory/krl/store.ts'
import { parseAuthorizedKey } from '../../../../src/ssh/key/authorized-keys.ts'
import { isKeyRevoked } from '../../../../src/ssh/krl/parse-krl.ts'
import { openSqliteStore } from '../../../../src/storage/sqlite/sqlite.ts'
import { StoreView } from '../../../../src/storage/view.ts'
import { refusalOf, type TestCore, tokenOf, tokenWith } from '../../../support/core.ts'
import { InterposedStore } from '../../../support/interposed-store.ts'
import {
  caBlob,
  fetchKrl,
  krlOf,
  MAY_SIGN,
  PUBLIC_KEY,
  revokedOf,
  signed,
  signer,
  startCa,
} from './support.ts'

const NO_STORE = {
  key_type: 'ca',
  allow_user_certificates: true,
  allowed_users: 'ubuntu',
  default_user: 'ubuntu',
  no_store: true,
}

async function revoke(core: TestCore, body: object): Promise<Record<string, unknown>> {
  const { data, warnings } = await core.call('update', 'ssh/revoke', body)
  return { ...data, warned: warnings !== null }
}

async function accessorOf(core: TestCore, token: string): Promise<string> {
  const { data } = await core.call('update', 'auth/token/lookup', { token })
  return data?.['accessor'] as string
}

describe('revoke', () => {
  test('by serial number, in hex or decimal, puts one certificate on the list', async (t) => {
    const core = await startCa(t)
    const serials = [await signed(core), await signed(core), await signed(core)]
    const [one = '', other = '', kept = ''] = serials
    assert.equal((await revoke(core, { serial_number: one }))['revoked'], 1)
    await revoke(core, { serial_number: BigInt(`0x${other}`).toString() })
    assert.deepEqual(await revokedOf(core, serials), [one, other])
    const { data } = await core.call('read', `ssh/cert/${one}`)
    assert.equal(data?.['revoked'], true)
    assert.equal(data?.['revoked_by'], 'token')
    assert.equal((await core.call('read', `ssh/cert/${kept}`)).data?.['revoked'], false)
  })

  test('a second time changes nothing, not even the version', async (t) => {
    const core = await startCa(t)
    const serial = await signed(core)
    const first = await revoke(core, { serial_number: serial })
    core.advance(5000)
    const second = await revoke(core, { serial_number: serial })
    assert.deepEqual(second, { revoked: 0, version: first['version'], warned: true })
  })

  test('of a serial without a record needs the issuer, and the entry stays as long as is said', async (t) => {
    const core = await startCa(t)
    await core.send('update', 'ssh/roles/bare', NO_STORE)
    const [brief, forGood] = [await signed(core, {}, 'bare'), await signed(core, {}, 'bare')]
    const alone = await refusalOf(core.send('update', 'ssh/revoke', { serial_number: brief }))
    assert.equal(alone.status, 400)
    assert.match(alone.message ?? '', /issuer_ref/)
    await revoke(core, { serial_number: brief, issuer_ref: 'default', ttl: '1h' })
    await revoke(core, { serial_number: forGood, issuer_ref: 'default' })
    assert.deepEqual(await revokedOf(core, [brief, forGood]), [brief, forGood])
    core.advance(3 * 3_600_000)
    await core.send('update', 'ssh/tidy/certificates')
    assert.deepEqual(await revokedOf(core, [brief, forGood]), [forGood])
    const unknown = { serial_number: '1234', issuer_ref: 'nobody' }
    assert.equal((await refusalOf(core.send('update', 'ssh/revoke', unknown))).status, 400)
  })

  test('of a serial without a record lasts as long as the longest of them says', async (t) => {
    const core = await startCa(t)
    await core.send('update', 'ssh/roles/bare', NO_STORE)
    const serials = [await signed(core, {}, 'bare'), await signed(core, {}, 'bare')]
    for (const [at, serial_number] of serials.entries()) {
      const one = { serial_number, issuer_ref: 'default' }
      const ttls = at === 0 ? [{ ttl: '1h' }, { ttl: '24h' }, { ttl: '2h' }] : [{ ttl: '1h' }, {}]
      const answers: unknown[] = []
      for (const ttl of ttls) answers.push((await revoke(core, { ...one, ...ttl }))['revoked'])
      assert.deepEqual(answers, at === 0 ? [1, 1, 0] : [1, 1])
    }
    core.advance(3 * 3_600_000)
    await core.send('update', 'ssh/tidy/certificates')
    assert.deepEqual(await revokedOf(core, serials), serials)
    core.advance(23 * 3_600_000)
    await core.send('update', 'ssh/tidy/certificates')
    assert.deepEqual(await revokedOf(core, serials), serials.slice(1))
  })

  test('of a serial without a record by the default issuer counts for the scoped one too', async (t) => {
    const core = await startCa(t)
    await core.send('update', 'ssh/config/hosts', { host_scope: true })
    const scoped = { ...NO_STORE, host_scope: 'required', allowed_groups: 'web' }
    await core.send('update', 'ssh/roles/scoped', scoped)
    const body = { public_key: PUBLIC_KEY, group: 'web' }
    const { data } = await core.call('update', 'ssh/sign/scoped', body)
    const serial = data?.['serial_number'] as string
    const issuer = await core.call('read', `ssh/issuer/${data?.['issuer_id']}`)
    const ca = parseAuthorizedKey(issuer.data?.['public_key'] as string).blob
    await revoke(core, { serial_number: serial, issuer_ref: 'default' })
    assert.deepEqual(await revokedOf(core, [serial], ca), [serial])
    assert.deepEqual(await revokedOf(core, [serial]), [serial])
  })

  test('by key refuses the key alone and in every certificate, recorded or not', async (t) => {
    const core = await startCa(t)
    const serial = await signed(core)
    assert.equal((await revoke(core, { public_key: PUBLIC_KEY }))['revoked'], 1)
    assert.equal((await revoke(core, { public_key: PUBLIC_KEY }))['revoked'], 0)
    const { blob } = parseAuthorizedKey(PUBLIC_KEY)
    assert.ok(isKeyRevoked(await krlOf(core), blob))
    assert.equal((await core.call('read', `ssh/cert/${serial}`)).data?.['revoked'], true)
  })

  test('by accessor takes what the token and those below it were given, and lets them live', async (t) => {
    const core = await startCa(t)
    const [mine, theirs] = [await signer(core), await signer(core)]
    const child = await tokenOf(core, {}, { token: mine })
    const grandchild = await tokenOf(core, {}, { token: child })
    const own = [
      await signed(core, { token: mine }),
      await signed(core, { token: child }),
      await signed(core, { token: grandchild }),
    ]
    const other = await signed(core, { token: theirs })
    const { revoked } = await revoke(core, { accessor: await accessorOf(core, mine) })
    assert.equal(revoked, 3)
    assert.deepEqual(await revokedOf(core, [...own, other]), own)
    assert.ok(await signed(core, { token: grandchild }))
    await revoke(core, { token: theirs })
    assert.deepEqual(await revokedOf(core, [other]), [other])
  })

  test('by accessor or token finds what a token was given that has ended since', async (t) => {
    const core = await startCa(t)
    const [one, other] = [await signer(core), await signer(core)]
    const accessor = await accessorOf(core, one)
    const serials = [await signed(core, { token: one }), await signed(core, { token: other })]
    for (const token of [one, other]) await core.send('update', 'auth/token/revoke', { token })
    assert.deepEqual(await revokedOf(core, serials), [])
    assert.equal((await revoke(core, { accessor }))['revoked'], 1)
    assert.equal((await revoke(core, { token: other }))['revoked'], 1)
    assert.deepEqual(await revokedOf(core, serials), serials)
  })

  test('of what has ended is not listed', async (t) => {
    const core = await startCa(t)
    const token = await signer(core)
    await signed(core, { token })
    core.advance(31 * 60_000)
    assert.equal((await revoke(core, { token }))['revoked'], 0)
  })

  test('names one thing, and that has to be there', async (t) => {
    const core = await startCa(t)
    const serial = await signed(core)
    const bad = [
      {},
      { serial_number: serial, public_key: PUBLIC_KEY },
      { serial_number: 'zz' },
      { serial_number: '0', issuer_ref: 'default' },
      { public_key: 'ssh-ed25519 AAAA' },
      { host: 'no host' },
      { serial_number: serial, issuer_ref: 'nobody' },
    ]
    for (const body of bad) {
      const refusal = await refusalOf(core.send('update', 'ssh/revoke', body))
      assert.equal(refusal.status, 400, JSON.stringify(body))
    }
    assert.equal((await fetchKrl(core)).status, 200)
    assert.deepEqual(await revokedOf(core, [serial]), [])
  })

  test('concurrent revocations all succeed, and each is on the list', async (t) => {
    const core = await startCa(t)
    const serials = await Promise.all(Array.from({ length: 40 }, () => signed(core)))
    const answers = await Promise.all(
      serials.map((serial_number) => revoke(core, { serial_number })),
    )
    assert.deepEqual(new Set(answers.map(({ revoked }) => revoked)), new Set([1]))
    assert.deepEqual(await revokedOf(core, serials), serials)
  })

  test('protocols 5.6: what another server revokes right before the commit is kept', async (t) => {
    const raw = new InterposedStore(await openSqliteStore({ path: ':memory:' }))
    const core = await startCa(t, { raw })
    const [mine, theirs] = [await signed(core), await signed(core)]
    const { data } = await core.call('read', 'sys/mounts/ssh')
    const other = new StoreView(core.core.seal.barrier, `data/${data?.['uuid']}/`)
    const { data: issuer } = await core.call('read', 'ssh/config/ca')
    const issuerId = issuer?.['issuer_id'] as string
    const expiresAt = Date.UTC(2026, 10, 22, 13) / 1000
    let version = 0
    raw.beforeCommit = async () => {
      raw.heal()
      const { head } = await readHead(other)
      const serial = BigInt(`0x${theirs}`)
      const { writes, chunk } = await addSerials(other, head, issuerId, [{ serial, expiresAt }])
      const now = Date.UTC(2026, 10, 22, 14)
      await other.commit([...writes, putHead(other, head, [[issuerId, chunk]], now)], [])
      version = (await readHead(other)).head.version
    }
    const answer = await revoke(core, { serial_number: mine })
    assert.ok(version > 0 && (answer['version'] as number) > version)
    assert.deepEqual(await revokedOf(core, [mine, theirs]), [mine, theirs])
  })

  test('two of one certificate at once count once', async (t) => {
    const core = await startCa(t)
    const serial_number = await signed(core)
    const answers = await Promise.all([
      revoke(core, { serial_number }),
      revoke(core, { serial_number }),
    ])
    assert.deepEqual(answers.map(({ revoked }) => revoked).sort(), [0, 1])
  })

  test('works for an issuer that was deleted before anything of it was revoked', async (t) => {
    const core = await startCa(t)
    await core.send('update', 'ssh/roles/bare', NO_STORE)
    const serials = [await signed(core), await signed(core, {}, 'bare')]
    const ca = await caBlob(core)
    const { data } = await core.call('read', 'ssh/config/ca')
    await core.send('delete', 'ssh/issuer/default')
    await core.send('update', 'ssh/config/ca', { generate_signing_key: true, key_type: 'ed25519' })
    const wrong = { serial_number: serials[0], issuer_ref: 'default' }
    assert.equal((await refusalOf(core.send('update', 'ssh/revoke', wrong))).status, 400)
    await revoke(core, { serial_number: serials[0] })
    await revoke(core, { serial_number: serials[1], issuer_ref: data?.['issuer_id'] })
    assert.deepEqual(await revokedOf(core, serials, ca), serials)
  })

  test('works for certificates of an issuer that was deleted, and its entries stay', async (t) => {
    const core = await startCa(t)
    const [before, after] = [await signed(core), await signed(core)]
    const ca = await caBlob(core)
    await revoke(core, { serial_number: before })
    await core.send('delete', 'ssh/config/ca')
    await core.send('update', 'ssh/config/ca', { generate_signing_key: true, key_type: 'ed25519' })
    await revoke(core, { serial_number: after })
    const next = await signed(core)
    await revoke(core, { serial_number: next })
    assert.deepEqual(await revokedOf(core, [before, after, next], ca), [before, after])
    assert.deepEqual(await revokedOf(core, [before, after, next]), [next])
  })
})

describe('step-ca PR 2491: who may sign may not revoke', () => {
  const verbs: [string, object][] = [
    ['by serial number', { serial_number: '' }],
    ['by serial number and issuer', { serial_number: '1234', issuer_ref: 'default' }],
    ['by key', { public_key: PUBLIC_KEY }],
    ['by accessor', { accessor: '' }],
    ['by token', { token: '' }],
    ['by host', { host: 'web-1' }],
  ]
  for (const [name, body] of verbs) {
    test(name, async (t) => {
      const core = await startCa(t)
      const token = await signer(core)
      const serial = await signed(core, { token })
      const own = { serial_number: serial, token, accessor: await accessorOf(core, token) }
      const filled = Object.fromEntries(
        Object.entries(body).map(([key, value]) => [key, value || own[key as keyof typeof own]]),
      )
      const refusal = await refusalOf(core.send('update', 'ssh/revoke', filled, { token }))
      assert.equal(refusal.status, 403)
      assert.equal((await krlOf(core)).version, 0n)
    })
  }

  test('nor read the inventory, tidy or configure it', async (t) => {
    const core = await startCa(t)
    const token = await tokenWith(core, MAY_SIGN)
    const serial = await signed(core, { token })
    for (const [operation, path] of [
      ['list', 'ssh/certs'],
      ['read', `ssh/cert/${serial}`],
      ['update', 'ssh/tidy/certificates'],
      ['update', 'ssh/config/certificates'],
      ['read', 'ssh/config/certificates'],
    ] as const) {
      const refusal = await refusalOf(core.send(operation, path, {}, { token }))
      assert.equal(refusal.status, 403, path)
    }
  })

  test('nobody revokes without a token', async (t) => {
    const core = await startCa(t)
    const body = { serial_number: await signed(core) }
    const refusal = await refusalOf(core.send('update', 'ssh/revoke', body, { token: '' }))
    assert.equal(refusal.status, 403)
  })
})
