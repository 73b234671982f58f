/** A KRL of 100,000 serials: made by the server, fetched over HTTP, and asked by ssh-keygen. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { hash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import {
  type RevokedCertificate,
  revokeCertificates,
} from '../../src/engine/ssh/inventory/revoke.ts'
import { startHttpServer } from '../../src/http/server.ts'
import { openStatement } from '../../src/ssh/host/statement.ts'
import { parseAuthorizedKey } from '../../src/ssh/key/authorized-keys.ts'
import { isSerialRevoked, parseKrl } from '../../src/ssh/krl/parse-krl.ts'
import { openSqliteStore } from '../../src/storage/sqlite/sqlite.ts'
import { StoreView } from '../../src/storage/view.ts'
import { apiOf } from '../support/api.ts'
import { startTestCore, type TestCore } from '../support/core.ts'

const SERIALS = 100_000

test('a KRL of 100,000 serials is made, fetched and queried', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'postern-krl-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const raw = await openSqliteStore({ path: path.join(folder, 'store.db') })
  const core = await startTestCore({ raw })
  t.after(() => core.close())
  const { send } = core
  await send('update', 'sys/mounts/ssh', { type: 'ssh' })
  await send('update', 'ssh/config/ca', { generate_signing_key: true, key_type: 'ed25519' })
  await send('update', 'ssh/config/hosts', { host_scope: true })
  await send('update', 'ssh/roles/r', {
    key_type: 'ca',
    allow_user_certificates: true,
    allowed_users: '*',
  })
  const [lost, kept] = [
    await certificate(core, folder, 'lost'),
    await certificate(core, folder, 'kept'),
  ]
  await send('update', 'ssh/revoke', { serial_number: lost.serial })
  const views = await viewsOf(core)
  const expiresAt = Math.floor(views.now / 1000) + 86_400
  const many = Array.from({ length: SERIALS - 1 }, (_, at): RevokedCertificate => {
    // Apart like those of certificates that were signed over a day.
    return {
      serial: (BigInt(views.now - 864 * at) << 22n) | 5n,
      issuerId: views.issuerId,
      expiresAt,
    }
  })
  assert.equal(await revokeCertificates(views, many, { reason: 'test' }), many.length)

  const address = await listen(core, t)
  const begun = performance.now()
  const answer = await fetch(`${address}/v1/ssh/krl`)
  const bytes = Buffer.from(await answer.arrayBuffer())
  t.diagnostic(`answered in ${Math.round(performance.now() - begun)} ms, ${bytes.length} bytes`)
  assert.equal(answer.status, 200)
  assert.equal(answer.headers.get('content-type'), 'application/octet-stream')

  const file = path.join(folder, 'revoked.krl')
  writeFileSync(file, bytes)
  const listed = execFileSync('ssh-keygen', ['-Q', '-l', '-f', file], {
    encoding: 'utf8',
    maxBuffer: 1e8,
  })
  assert.equal(listed.match(/^serial: \d+$/gm)?.length, SERIALS)
  const query = (name: string) => spawnSync('ssh-keygen', ['-Q', '-f', file, name]).status
  assert.equal(query(lost.file), 1, 'revoked')
  assert.equal(query(kept.file), 0, 'not revoked')

  const krl = parseKrl(bytes)
  const tag = `"${krl.version}"`
  assert.equal(answer.headers.get('etag'), tag)
  assert.equal(isSerialRevoked(krl, views.caKey, many.at(-1)?.serial ?? 0n), true)
  assert.equal(isSerialRevoked(krl, views.caKey, many[0]?.serial ?? 0n), true)
  const again = await fetch(`${address}/v1/ssh/krl`, { headers: { 'if-none-match': tag } })
  assert.deepEqual([again.status, await again.text()], [304, ''])

  const open = apiOf(address, '')
  const { body: signed } = await open('GET', 'ssh/krl.sig')
  const { body: identity } = await open('GET', 'ssh/identity')
  const key = parseAuthorizedKey(identity.data.public_key)
  const { content } = openStatement('krl', signed, [key], views.now / 1000)
  assert.deepEqual([content.version, content.sha256], [Number(krl.version), hash('sha256', bytes)])
})

async function listen({ core }: TestCore, t: TestContext): Promise<string> {
  const server = await startHttpServer({
    listeners: [{ kind: 'tcp', host: '127.0.0.1', port: 0 }],
    handle: (request) => core.handle(request),
    log: () => {},
  })
  t.after(() => server.close(0))
  const [address] = server.addresses
  return `http://127.0.0.1:${address?.kind === 'tcp' ? address.port : 0}`
}

interface CertificateFile {
  readonly file: string
  readonly serial: string
}

async function certificate(
  { call }: TestCore,
  folder: string,
  name: string,
): Promise<CertificateFile> {
  const file = path.join(folder, name)
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file])
  const public_key = execFileSync('cat', [`${file}.pub`], { encoding: 'utf8' })
  const { data } = await call('update', 'ssh/sign/r', { public_key, valid_principals: 'bob' })
  const { signed_key, serial_number } = data as Record<string, string>
  writeFileSync(`${file}-cert.pub`, signed_key ?? '')
  return { file: `${file}-cert.pub`, serial: serial_number ?? '' }
}

/** What the engine's own code has of the mount: so many revocations by requests would take minutes. */
async function viewsOf({ core, call }: TestCore) {
  const { data: mounts } = await call('read', 'sys/mounts')
  const { uuid } = (mounts as Record<string, { readonly uuid: string }>)['ssh/'] ?? { uuid: '' }
  const { data } = await call('read', 'ssh/config/issuers')
  const issuerId = (data as Record<string, string>)['default'] ?? ''
  const { data: publicKey } = await call('read', 'ssh/config/ca')
  const caKey = parseAuthorizedKey((publicKey as Record<string, string>)['public_key'] ?? '').blob
  const { barrier } = core.seal
  const config = new StoreView(barrier, `cfg/mount/${uuid}/`)
  return {
    store: new StoreView(barrier, `data/${uuid}/`),
    config: {
      get: async <T>(name: string, decode: (value: Uint8Array) => T): Promise<T | undefined> => {
        const entry = await config.get(name)
        return entry && decode(entry.value)
      },
      list: (under: string) => config.list(under, '', 500),
      put: config.put.bind(config),
      remove: config.remove.bind(config),
    },
    now: Date.UTC(2026, 10, 22, 12),
    issuerId,
    caKey,
  }
}
