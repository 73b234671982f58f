import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { issuedKeys, refusalOf, startTestCore, type TestCore, tokenOf } from '../../support/core.ts'

interface Body {
  readonly [name: string]: unknown
  readonly nonce: string
  readonly otp: string
  readonly encoded_token: string
  readonly keys_base64: readonly string[]
}

const NO_TOKEN = { token: '' }
let server: TestCore

before(async () => {
  server = await startTestCore()
})
after(() => server.close())

async function body(...request: Parameters<TestCore['send']>): Promise<Body> {
  const answer = await server.send(...request)
  return answer.kind === 'bare' ? (answer.body as Body) : assert.fail(answer.kind)
}

function decode(encoded: string, otp: string): string {
  const pad = Buffer.from(otp)
  const bytes = Buffer.from(encoded, 'base64')
  return Buffer.from(bytes.map((byte, at) => byte ^ (pad[at] as number))).toString()
}

const isRoot = async (token: string) => {
  const { data } = await server.call('read', 'auth/token/lookup-self', {}, { token })
  return assert.deepEqual(data?.['policies'], ['root'])
}

describe('sys/generate-root', () => {
  const root = 'sys/generate-root'

  test('with a token: status, start, share, and the new token is root', async () => {
    const idle = await body('read', `${root}/attempt`)
    assert.deepEqual([idle['started'], idle['required'], idle['otp_length']], [false, 1, 26])
    const begun = await body('update', `${root}/attempt`)
    assert.equal(begun.otp.length, 26)
    const share = { key: server.unsealKey, nonce: begun.nonce }
    const done = await body('update', `${root}/update`, share, NO_TOKEN)
    assert.equal(done['complete'], true)
    assert.equal(done['encoded_root_token'], done.encoded_token)
    await isRoot(decode(done.encoded_token, begun.otp))
  })

  test('CVE-2026-5807: without a token a share is needed to start, and the nonce to cancel', async () => {
    const path = `${root}/attempt`
    const refused = await refusalOf(server.send('update', path, {}, NO_TOKEN))
    assert.deepEqual(refused, { status: 403, message: 'permission denied' })
    await body('update', path)
    assert.equal((await body('read', path, {}, NO_TOKEN))['started'], false)
    await server.send('delete', path, {}, NO_TOKEN)
    assert.equal((await body('read', path))['started'], true, 'a stranger cancels nothing')
    const plain = await tokenOf(server, { policies: ['default'] })
    await server.send('delete', path, {}, { token: plain })
    assert.equal((await body('read', path))['started'], true, 'nor does a token without sudo')
    await server.send('delete', path)
    assert.equal((await body('read', path))['started'], false)
  })

  test('without a token, from the one key share', async () => {
    const done = await body('update', `${root}/attempt`, { key: server.unsealKey }, NO_TOKEN)
    await isRoot(decode(done.encoded_token, done.otp))
  })

  test('protocols 2.1: a root token whose answer has no line is deleted again', async () => {
    const before = await issuedKeys(server)
    server.audit.failResponses = true
    const start = server.send('update', `${root}/attempt`, { key: server.unsealKey }, NO_TOKEN)
    const refusal = await refusalOf(start)
    server.audit.failResponses = false
    assert.equal(refusal.status, 500)
    assert.deepEqual(await issuedKeys(server), before)
  })

  test('attempts without a token are counted for an IPv6 /64', async (t) => {
    const own = await startTestCore()
    t.after(() => own.close())
    const rekey = { secret_shares: 3, secret_threshold: 2, key: own.unsealKey }
    const rekeyed = await own.send('update', 'sys/rekey/init', rekey, NO_TOKEN)
    assert.ok(rekeyed.kind === 'bare')
    const [key] = (rekeyed.body as Body).keys_base64
    const start = (remoteAddress: string) =>
      own.send('update', `${root}/attempt`, { key }, { token: '', remoteAddress })
    for (const host of [1, 2, 3, 4]) await start(`2001:db8::${host}`)
    assert.equal((await refusalOf(start('2001:db8::5'))).status, 429)
    await start('2001:db8:0:1::1')
  })

  test('a wrong share is charged as a miss', async () => {
    const key = Buffer.alloc(32, 7).toString('base64')
    const options = { token: '', remoteAddress: '192.0.2.7' }
    const statuses = new Set<number>()
    for (let i = 0; i < 60; i++) {
      const start = server.send('update', `${root}/attempt`, { key }, options)
      statuses.add((await refusalOf(start)).status)
    }
    assert.deepEqual([...statuses], [400, 429])
  })
})

describe('the successors of OpenBao', () => {
  test('sys/generate-root-token answers in an envelope, without what is not known yet', async () => {
    const path = 'sys/generate-root-token'
    const idle = await server.call('read', `${path}/attempt`)
    const names = ['complete', 'otp', 'otp_length', 'progress', 'required', 'started']
    assert.deepEqual(Object.keys(idle.data ?? {}).sort(), names)
    const begun = await server.call('update', `${path}/attempt`)
    const { nonce, otp } = begun.data as unknown as Body
    const share = { key: server.unsealKey, nonce }
    const done = await server.call('update', `${path}/update`, share)
    await isRoot(decode((done.data as unknown as Body).encoded_token, otp))
  })

  test('sys/rotate/root replaces the key shares', async (t) => {
    const own = await startTestCore()
    t.after(() => own.close())
    const start = { secret_shares: 1, secret_threshold: 1 }
    const { data: begun } = await own.call('update', 'sys/rotate/root/init', start)
    const { data: status } = await own.call('read', 'sys/rotate/root/init')
    assert.deepEqual(status, begun)
    const share = { key: own.unsealKey, nonce: begun?.['nonce'] }
    const done = await own.call('update', 'sys/rotate/root/update', share)
    const [key] = (done.data as unknown as Body).keys_base64
    await own.core.seal.seal()
    await own.core.seal.unseal({ key: own.unsealKey }).catch(() => undefined)
    assert.equal(own.core.seal.isSealed, true)
    await own.core.seal.unseal({ key: key as string })
    assert.equal(own.core.seal.isSealed, false)
  })

  test('CVE-2026-5807: they are shut to callers without sudo, shares or not', async () => {
    const plain = await tokenOf(server, { policies: ['default'] })
    const { unsealKey: key } = server
    const shares = { secret_shares: 1, secret_threshold: 1, key }
    const paths = ['sys/generate-root-token/attempt', 'sys/rotate/root/init']
    for (const path of paths) {
      for (const token of ['', plain]) {
        for (const operation of ['read', 'update', 'delete'] as const) {
          const { status } = await refusalOf(server.send(operation, path, shares, { token }))
          assert.equal(status, 403, `${operation} ${path}`)
        }
      }
      const { data } = await server.call('read', path)
      assert.equal(data?.['started'], false)
    }
  })
})

describe('sys/rekey', () => {
  test('replaces the key shares; the old one opens nothing any more', async (t) => {
    const own = await startTestCore()
    t.after(() => own.close())
    const request = async (...parts: Parameters<TestCore['send']>) => {
      const answer = await own.send(...parts)
      return answer.kind === 'bare' ? (answer.body as Body) : assert.fail(answer.kind)
    }
    const start = { secret_shares: 3, secret_threshold: 2 }
    const begun = await request('update', 'sys/rekey/init', start)
    assert.deepEqual([begun['started'], begun['t'], begun['n'], begun['required']], [true, 2, 3, 1])
    const share = { key: own.unsealKey, nonce: begun.nonce }
    const done = await request('update', 'sys/rekey/update', share)
    assert.equal(done['complete'], true)
    assert.equal(done.keys_base64.length, 3)
    await own.core.seal.seal()
    await own.core.seal.unseal({ key: done.keys_base64[0] as string })
    assert.equal(own.core.seal.isSealed, true)
    await own.core.seal.unseal({ key: done.keys_base64[2] as string })
    assert.equal(own.core.seal.isSealed, false)
    await own.call('read', 'sys/mounts')
  })

  test('with verification the new shares count only when they were given back', async (t) => {
    const own = await startTestCore()
    t.after(() => own.close())
    const request = async (...parts: Parameters<TestCore['send']>) => {
      const answer = await own.send(...parts)
      return answer.kind === 'bare' ? (answer.body as Body) : assert.fail(answer.kind)
    }
    const start = { secret_shares: 1, secret_threshold: 1, require_verification: true }
    const { nonce } = await request('update', 'sys/rekey/init', start)
    const made = await request('update', 'sys/rekey/update', { key: own.unsealKey, nonce })
    const [key] = made.keys_base64
    const verification = { key, nonce: made['verification_nonce'] }
    const verified = await request('update', 'sys/rekey/verify', verification)
    assert.equal(verified['complete'], true)
    await own.core.seal.seal()
    await own.core.seal.unseal({ key: key as string })
    assert.equal(own.core.seal.isSealed, false)
  })

  test('CVE-2026-5807: a stranger neither sees nor cancels the attempt of an operator', async () => {
    await body('update', 'sys/rekey/init', { secret_shares: 1, secret_threshold: 1 })
    assert.equal((await body('read', 'sys/rekey/init', {}, NO_TOKEN))['started'], false)
    await server.send('delete', 'sys/rekey/init', {}, NO_TOKEN)
    assert.equal((await body('read', 'sys/rekey/init'))['started'], true)
    await server.send('delete', 'sys/rekey/init')
    assert.equal((await body('read', 'sys/rekey/init'))['started'], false)
    const start = { secret_shares: 1, secret_threshold: 1 }
    const refused = await refusalOf(server.send('update', 'sys/rekey/init', start, NO_TOKEN))
    assert.deepEqual(refused, { status: 403, message: 'permission denied' })
  })
})

describe('key-status and rotate', () => {
  test('a rotation makes a new term, and what was sealed before still opens', async () => {
    await server.send('update', 'cubbyhole/x', { a: 1 })
    const before = await server.call('read', 'sys/key-status')
    assert.deepEqual(Object.keys(before.data ?? {}), ['encryptions', 'install_time', 'term'])
    assert.ok(Number(before.data?.['encryptions']) > 1, 'the first records count too')
    assert.deepEqual(await server.send('update', 'sys/rotate'), { kind: 'empty', status: 204 })
    await server.send('update', 'sys/rotate/keyring')
    const { data } = await server.call('read', 'sys/key-status')
    assert.equal(data?.['term'], Number(before.data?.['term']) + 2)
    const kept = await server.call('read', 'cubbyhole/x')
    assert.equal(JSON.stringify(kept.data), '{"a":1}')
  })
})
