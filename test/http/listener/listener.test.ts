import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls'
import type { UnixListener } from '../../../src/http/listener/listener.ts'
import { tlsFiles } from '../../../src/http/listener/tls.ts'
import { startHttpServer } from '../../../src/http/server.ts'
import { Client, echo, head, start } from '../harness.ts'
import { firstCertificate, secondCertificate } from '../tls-material.ts'

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'postern-http-'))
  t.after(() => rmSync(path, { recursive: true }))
  return path
}

/** Connects with TLS; gives the socket, or the code of what stopped it. */
function handshake(port: number, options: ConnectionOptions): Promise<TLSSocket | string> {
  return new Promise((resolve) => {
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
    socket.once('secureConnect', () => resolve(socket))
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'))
  })
}

async function peerName(port: number): Promise<string | string[] | undefined> {
  const socket = await handshake(port, {})
  assert.ok(typeof socket !== 'string')
  const { subject } = socket.getPeerCertificate()
  socket.destroy()
  return subject.CN
}

test('TLS is 1.2 or later and offers HTTP/1.1 only', async (t) => {
  const { port } = await start(t, { listener: { tls: { load: () => firstCertificate } } })
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const socket = await handshake(port, { maxVersion: version, ALPNProtocols: ['h2', 'http/1.1'] })
    assert.ok(typeof socket !== 'string')
    assert.equal(socket.getProtocol(), version)
    assert.equal(socket.alpnProtocol, 'http/1.1')
    socket.destroy()
  }
  const old = {
    minVersion: 'TLSv1.1',
    maxVersion: 'TLSv1.1',
    ciphers: 'DEFAULT@SECLEVEL=0',
  } as const
  assert.equal(typeof (await handshake(port, old)), 'string')
  assert.equal(typeof (await handshake(port, { ALPNProtocols: ['h2'] })), 'string')
})

test('a client certificate is asked for when a CA is named, and its serial reaches the core', async (t) => {
  const { certificate, key } = firstCertificate
  const load = () => ({ certificate, key, clientCa: certificate })
  const { port } = await start(t, {
    listener: { tls: { load } },
    handle: async ({ clientCertificateSerial }) => ({
      kind: 'bare',
      status: 200,
      body: { clientCertificateSerial },
    }),
  })
  const serialOf = async (material?: { certificate: string | Buffer; key: string | Buffer }) => {
    const socket = await handshake(
      port,
      material ? { cert: material.certificate, key: material.key } : {},
    )
    assert.ok(typeof socket !== 'string')
    const client = new Client(socket)
    await client.send(head('GET /v1/a'))
    const answer = await client.json()
    client.close()
    return (answer as { clientCertificateSerial?: string }).clientCertificateSerial
  }
  assert.equal(
    await serialOf(firstCertificate),
    BigInt('0x5E2045CCBCF6C6C0986C4FC831A112B132DC9E2A').toString(),
  )
  assert.equal(await serialOf(secondCertificate), undefined)
  assert.equal(await serialOf(), undefined)
})

test('without a required client certificate there is no answer', async (t) => {
  const { certificate, key } = firstCertificate
  const load = () => ({ certificate, key, clientCa: certificate })
  const { port } = await start(t, { listener: { tls: { load, requireClientCertificate: true } } })
  const ask = async (options: ConnectionOptions) => {
    const socket = await handshake(port, options)
    if (typeof socket === 'string') return undefined
    const client = new Client(socket)
    await client.send(head('GET /v1/a'))
    const answer = await client.answer()
    client.close()
    return answer?.status
  }
  assert.equal(await ask({}), undefined)
  assert.equal(
    await ask({ cert: secondCertificate.certificate, key: secondCertificate.key }),
    undefined,
  )
  assert.equal(await ask({ cert: certificate, key }), 200)
})

test('a reload takes a new certificate, and keeps the old one when the new is of no use', async (t) => {
  const path = folder(t)
  const [certificate, key] = [join(path, 'cert.pem'), join(path, 'key.pem')]
  writeFileSync(certificate, firstCertificate.certificate)
  writeFileSync(key, firstCertificate.key)
  const tls = { load: tlsFiles(certificate, key) }
  const more = [
    { kind: 'tcp', host: '127.0.0.1', port: 0, tls: { load: () => firstCertificate } },
  ] as const
  const { server, port } = await start(t, { listener: { tls }, more })
  assert.equal(await peerName(port), 'first')
  writeFileSync(certificate, secondCertificate.certificate)
  assert.throws(() => server.reloadTls())
  assert.equal(await peerName(port), 'first')
  writeFileSync(key, secondCertificate.key)
  server.reloadTls()
  assert.equal(await peerName(port), 'second')
})

test('a TLS listener without a usable certificate does not start, and none stays open', async () => {
  const load = () => ({ certificate: 'none', key: 'none' })
  const first = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const
  const starting = startHttpServer({
    listeners: [first, { ...first, tls: { load } }],
    handle: echo,
    log: () => {},
  })
  await assert.rejects(starting)
})

test('a port that is taken is an error that names it', async (t) => {
  const { port } = await start(t)
  const again = start(t, { listener: { port } })
  await assert.rejects(again, { code: 'EADDRINUSE', port })
})

test('a Unix socket has its mode and owner, and its peers count as local', async (t) => {
  const path = join(folder(t), 'postern.sock')
  const listener: UnixListener = { kind: 'unix', path, mode: 0o660 }
  const { server } = await start(t, {
    more: [listener],
    handle: async ({ remoteAddress }) => ({ kind: 'bare', status: 200, body: { remoteAddress } }),
  })
  assert.deepEqual(server.addresses[1], { kind: 'unix', path })
  const { mode, uid } = statSync(path)
  assert.equal(mode & 0o777, 0o660)
  assert.equal(uid, process.getuid?.())
  const client = new Client(connect(path))
  await client.send(head('LIST /v1/a'))
  assert.deepEqual(await client.json(), { remoteAddress: '127.0.0.1' })
  await assert.rejects(start(t, { more: [listener] }), { code: 'EADDRINUSE' })
  client.close()
})

test('a Unix socket that a killed server left is taken over', async (t) => {
  const path = join(folder(t), 'postern.sock')
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 9))`
  spawnSync(process.execPath, ['-e', script])
  assert.ok(statSync(path).isSocket())
  const { server } = await start(t, { more: [{ kind: 'unix', path }] })
  assert.equal(statSync(path).mode & 0o777, 0o600)
  await server.close(0)
  assert.throws(() => statSync(path), { code: 'ENOENT' })
})
