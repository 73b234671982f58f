/** A server with its store on disk: what a restart, clean or not, must leave as it was. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { type Api, apiOf } from '../support/api.ts'
import { type RunningServer, startServer } from '../support/server.ts'

interface Site extends Disposable {
  readonly folder: string
  readonly config: string
}

function makeSite(lines: readonly string[] = []): Site {
  const folder = mkdtempSync(path.join(tmpdir(), 'postern-restart-'))
  const config = path.join(folder, 'server.hcl')
  const text = [
    `storage "sqlite" { path = "${folder}/store.db" }`,
    'listener "tcp" {',
    '  address = "127.0.0.1:0"',
    '  tls_disable = true',
    '}',
    `audit "file" "log" { options { file_path = "${folder}/audit.log" } }`,
    ...lines,
  ]
  writeFileSync(config, `${text.join('\n')}\n`)
  return {
    folder,
    config,
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  }
}

async function start(site: Site, keys: readonly string[]): Promise<RunningServer> {
  const server = await startServer([`-config=${site.config}`])
  for (const key of keys) await apiOf(server.address, '')('PUT', 'sys/unseal', { key })
  return server
}

async function init(site: Site): Promise<{ server: RunningServer; keys: string[]; root: string }> {
  const server = await start(site, [])
  const shares = { secret_shares: 3, secret_threshold: 2 }
  const { body } = await apiOf(server.address, '')('PUT', 'sys/init', shares)
  const keys: string[] = body.keys_base64.slice(1)
  for (const key of keys) await apiOf(server.address, '')('PUT', 'sys/unseal', { key })
  return { server, keys, root: body.root_token }
}

/** Makes one of everything, and gives what proves that it is there. */
async function populate(api: Api) {
  await api('POST', 'sys/mounts/ssh', { type: 'ssh' })
  await api('POST', 'ssh/config/ca', { key_type: 'ed25519' })
  await api('POST', 'ssh/roles/otp', {
    key_type: 'otp',
    default_user: 'u',
    cidr_list: '10.0.0.0/8',
    ttl: '1h',
  })
  await api('POST', 'ssh/roles/ca', {
    key_type: 'ca',
    allow_user_certificates: true,
    allowed_users: '*',
  })
  await api('PUT', 'sys/policies/acl/p', { policy: 'path "ssh/*" { capabilities = ["read"] }' })
  const token = await api('POST', 'auth/token/create', { policies: ['p'], ttl: '1h' })
  const short = await api('POST', 'auth/token/create', { policies: ['p'], ttl: '2s' })
  const otp = await api('POST', 'ssh/creds/otp', { ip: '10.1.1.1' })
  const spent = await api('POST', 'ssh/creds/otp', { ip: '10.1.1.2' })
  await api('POST', 'ssh/verify', { otp: spent.body.data.key }, '')
  return {
    publicKey: (await api('GET', 'ssh/public_key')).body as string,
    token: token.body.auth.client_token as string,
    short: short.body.auth.client_token as string,
    shortAccessor: short.body.auth.accessor as string,
    otp: otp.body.data.key as string,
    leaseId: otp.body.lease_id as string,
    spent: spent.body.data.key as string,
  }
}

for (const way of ['clean', 'kill -9'] as const) {
  test(`everything is there after a ${way} restart, and what ended meanwhile is revoked`, async () => {
    using site = makeSite()
    const first = await init(site)
    const made = await populate(apiOf(first.server.address, first.root))
    if (way === 'clean') assert.equal(await first.server.stop(), 0)
    else await first.server.kill()
    await new Promise((resolve) => setTimeout(resolve, 2100))

    const server = await start(site, first.keys)
    try {
      const api = apiOf(server.address, first.root)
      assert.equal((await api('GET', 'sys/health')).status, 200)
      assert.equal((await api('GET', 'ssh/public_key')).body, made.publicKey)
      assert.equal((await api('GET', 'ssh/roles/ca', undefined, made.token)).status, 200)
      assert.equal((await api('PUT', 'sys/leases/lookup', { lease_id: made.leaseId })).status, 200)
      assert.equal((await api('POST', 'ssh/verify', { otp: made.spent }, '')).status, 400)
      const verified = await api('POST', 'ssh/verify', { otp: made.otp }, '')
      assert.equal(verified.status, 200)
      assert.equal(verified.body.data.ip, '10.1.1.1')
      assert.equal((await api('GET', 'ssh/roles/ca', undefined, made.short)).status, 403)
      const deadline = Date.now() + 10_000
      for (;;) {
        const { body } = await api('GET', 'auth/token/accessors?list=true')
        if (!body.data.keys.includes(made.shortAccessor)) break
        assert.ok(Date.now() < deadline, 'the expired token is still stored')
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    } finally {
      await server.stop()
    }
  })
}

test('a server with a static seal opens by itself, but not after an operator sealed it', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'postern-seal-'))
  const keyFile = path.join(folder, 'key')
  const key = Buffer.alloc(32, 7)
  writeFileSync(keyFile, key.toString('hex'), { mode: 0o600 })
  using site = makeSite([
    `seal "static" {\n  current_key_id = "k1"\n  current_key = "file://${keyFile}"\n}`,
  ])
  try {
    let server = await start(site, [])
    const { body } = await apiOf(server.address, '')('PUT', 'sys/init', {})
    const root: string = body.root_token
    assert.equal((await apiOf(server.address, '')('GET', 'sys/health')).status, 200)
    await server.kill()

    server = await start(site, [])
    assert.equal((await apiOf(server.address, root)('GET', 'sys/mounts')).status, 200)
    assert.equal((await apiOf(server.address, root)('PUT', 'sys/seal')).status, 204)
    await server.stop()

    server = await start(site, [])
    assert.equal((await apiOf(server.address, root)('GET', 'sys/mounts')).status, 503)
    await apiOf(server.address, '')('PUT', 'sys/unseal', { key: key.toString('hex') })
    assert.equal((await apiOf(server.address, root)('GET', 'sys/mounts')).status, 200)
    await server.stop()
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('requests under way are answered when the server is told to stop', async () => {
  using site = makeSite()
  const { server, keys, root } = await init(site)
  const api = apiOf(server.address, root)
  await populate(api)
  let wasTold = false
  const answers: { status: number; key: string | undefined; wasTold: boolean }[] = []
  const workers = Array.from({ length: 16 }, async () => {
    for (;;) {
      try {
        const { status, body } = await api('POST', 'ssh/creds/otp', { ip: '10.9.9.9' })
        answers.push({ status, key: body.data?.key, wasTold })
      } catch {
        // No longer accepted: only that, and nothing but that, may happen.
        return
      }
    }
  })
  while (answers.length < 200) await new Promise((resolve) => setTimeout(resolve, 5))
  wasTold = true
  assert.equal(await server.stop(), 0)
  await Promise.all(workers)
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200])

  const again = await start(site, keys)
  try {
    for (const { key } of answers.slice(-50)) {
      const { status } = await apiOf(again.address, '')('POST', 'ssh/verify', { otp: key })
      assert.equal(status, 200, 'an acknowledged one-time password was lost')
    }
  } finally {
    await again.stop()
  }
})

test('no credential of the whole run stands in the audit log or the server log', async () => {
  using site = makeSite(['log_level = "trace"'])
  const { server, keys, root } = await init(site)
  const api = apiOf(server.address, root)
  const made = await populate(api)
  await api('POST', 'ssh/verify', { otp: made.otp, [made.otp]: '' }, '')
  await api('POST', `auth/token/renew/${made.token}`, {})
  await api('POST', 'auth/token/revoke', { token: made.token })
  await server.stop()
  const audit = readFileSync(path.join(site.folder, 'audit.log'), 'utf8')
  assert.ok(audit.includes('"path":"ssh/creds/otp"'))
  const secrets = [root, made.token, made.short, made.otp, made.spent, ...keys]
  for (const secret of secrets) {
    assert.ok(!audit.includes(secret), 'a secret stands in the audit log')
    assert.ok(!server.output().includes(secret), 'a secret stands in the server log')
  }
})
