import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { mountSsh, refusalOf, startTestCore, type TestCore, tokenOf } from '../../support/core.ts'

const SEALED = { status: 503, message: 'Vault is sealed' }
const NO_TOKEN = { token: '' }

async function start(t: { after(work: () => Promise<void>): void }): Promise<TestCore> {
  const server = await startTestCore()
  t.after(() => server.close())
  return server
}

async function bodyOf(answer: ReturnType<TestCore['send']>): Promise<Record<string, unknown>> {
  const response = await answer
  return response.kind === 'bare' ? (response.body as Record<string, unknown>) : assert.fail()
}

describe('sealing', () => {
  test('answers 204, then all but the seal’s own paths are a 503', async (t) => {
    const server = await start(t)
    await mountSsh(server)
    assert.deepEqual(await server.send('update', 'sys/seal'), { kind: 'empty', status: 204 })
    for (const [operation, path] of [
      ['read', 'sys/mounts'],
      ['read', 'nosuch/x'],
      ['update', 'ssh/verify'],
      ['read', 'ssh/public_key'],
      ['read', 'sys/internal/ui/mounts'],
      ['help', 'sys/health'],
      ['update', 'sys/rekey/init'],
      ['read', 'sys/seal'],
    ] as const) {
      for (const token of ['', server.rootToken]) {
        const refusal = await refusalOf(server.send(operation, path, {}, { token }))
        assert.deepEqual(refusal, SEALED, path)
      }
    }
    for (const path of ['sys/health', 'sys/seal-status', 'sys/leader', 'sys/init']) {
      assert.equal((await server.send('read', path, {}, NO_TOKEN)).kind, 'bare')
    }
  })

  test('again while sealed is a 204, with a token or without', async (t) => {
    const server = await start(t)
    await server.core.seal.seal()
    for (const token of ['', 's.x', server.rootToken]) {
      const answer = await server.send('update', 'sys/seal', {}, { token })
      assert.deepEqual(answer, { kind: 'empty', status: 204 })
    }
    assert.equal(server.core.seal.isSealed, true)
  })

  test('needs a token, and sudo', async (t) => {
    const server = await start(t)
    const seal = (token: string) => refusalOf(server.send('update', 'sys/seal', {}, { token }))
    assert.deepEqual(await seal(''), { status: 403, message: 'permission denied' })
    const token = await tokenOf(server, { policies: ['default'] })
    assert.equal((await seal(token)).status, 403)
    assert.equal(server.core.seal.isSealed, false)
  })

  test('is told in the audit log before it happens', async (t) => {
    const server = await start(t)
    server.audit.responses.length = 0
    await server.send('update', 'sys/seal')
    assert.equal(server.audit.responses.length, 1)
  })

  test('protocols 1.8: tokens, roles and policies are as before after the unseal', async (t) => {
    const server = await start(t)
    await mountSsh(server)
    const creds = await server.call('update', 'ssh/creds/web', { ip: '10.0.0.1' })
    const token = await tokenOf(server, { policies: ['default'] })
    await server.send('update', 'sys/seal')
    await server.send('update', 'sys/unseal', { Key: server.unsealKey }, NO_TOKEN)
    await server.call('read', 'auth/token/lookup-self', {}, { token })
    const verify = server.send('update', 'ssh/verify', { otp: creds.data?.['key'] }, NO_TOKEN)
    assert.equal((await verify).status, 200)
  })

  test('protocols 1.8: a mark of another node seals this one at its next request', async (t) => {
    const server = await start(t)
    const [mark] = await server.raw.get(['meta/seal'])
    const record = JSON.parse(Buffer.from(mark?.value ?? []).toString()) as object
    const value = Buffer.from(JSON.stringify({ ...record, sealed: true }))
    await server.raw.commit([{ key: 'meta/seal', value }], [])
    assert.deepEqual(await refusalOf(server.send('read', 'sys/mounts')), SEALED)
    assert.equal(server.core.seal.isSealed, true)
  })

  test('drops attempts at a rekey', async (t) => {
    const server = await start(t)
    await server.send('update', 'sys/rekey/init', { secret_shares: 1, secret_threshold: 1 })
    await server.core.seal.seal()
    await server.core.seal.unseal({ key: server.unsealKey })
    assert.equal((await bodyOf(server.send('read', 'sys/rekey/init')))['started'], false)
  })
})

describe('health and seal-status', () => {
  test('tell the state, in the codes that are asked for', async (t) => {
    const server = await start(t)
    const health = (data: object = {}) => server.send('read', 'sys/health', data, NO_TOKEN)
    assert.equal((await health()).status, 200)
    assert.equal((await health({ activecode: '299' })).status, 299)
    const junk = { status: 400, message: undefined }
    for (const activecode of ['x', '150', '1000']) {
      assert.deepEqual(await refusalOf(health({ activecode })), junk)
    }
    const open = await bodyOf(health())
    assert.deepEqual([open['initialized'], open['sealed'], open['standby']], [true, false, false])
    assert.match(String(open['cluster_name']), /^postern-cluster-/)
    await server.core.seal.seal()
    assert.equal((await health()).status, 503)
    assert.equal((await health({ sealedcode: '299' })).status, 299)
    const shut = await bodyOf(health())
    assert.deepEqual([shut['sealed'], shut['standby'], shut['cluster_id']], [true, true, undefined])
    const head = await server.send('header', 'sys/health', {}, NO_TOKEN)
    assert.equal(head.status, 503)
    assert.deepEqual(await refusalOf(server.send('update', 'sys/health')), {
      status: 405,
      message: undefined,
    })
  })

  test('unseal tells progress, and its refusals are in the words of this API', async (t) => {
    const server = await start(t)
    await server.core.seal.seal()
    const unseal = (data: object) => server.send('update', 'sys/unseal', data, NO_TOKEN)
    const texts: [object, string][] = [
      [{}, "'key' must be specified in request body as JSON, or 'reset' set to true"],
      [{ key: '!' }, "'key' must be a valid hex or base64 string"],
      [{ key: 'abcd' }, 'invalid key: key is shorter than minimum 16 bytes'],
    ]
    for (const [data, message] of texts) {
      assert.deepEqual(await refusalOf(unseal(data)), { status: 400, message })
    }
    const status = await bodyOf(unseal({ key: server.unsealKey }))
    assert.deepEqual([status['sealed'], status['t'], status['n']], [false, 1, 1])
    assert.deepEqual(await refusalOf(unseal({ reset: true })), {
      status: 400,
      message: 'vault is unsealed',
    })
  })

  test('protocols 3.1: odd names and values do no harm before any token is read', async (t) => {
    const server = await start(t)
    await server.core.seal.seal()
    const odd = JSON.parse('{"__proto__":{"key":"x"},"constructor":1,"Key":"!"}') as object
    assert.equal((await refusalOf(server.send('update', 'sys/unseal', odd, NO_TOKEN))).status, 400)
    for (const key of [[], {}, null, 7]) {
      assert.equal(
        (await refusalOf(server.send('update', 'sys/unseal', { key }, NO_TOKEN))).status,
        400,
      )
    }
  })
})
