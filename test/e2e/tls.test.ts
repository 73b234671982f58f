/** TLS of a running server: the certificate of `-dev-tls`, and what SIGHUP opens anew. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import path from 'node:path'
import { test } from 'node:test'
import { connect } from 'node:tls'
import { firstCertificate, secondCertificate } from '../http/tls-material.ts'
import { runPostern } from '../support/cli.ts'
import { startDevServer } from '../support/server.ts'
import { eventually, makeSite, type Site } from '../support/site.ts'

const TLS_FILES = {
  'cert.pem': String(firstCertificate.certificate),
  'key.pem': String(firstCertificate.key),
}
const TLS_LINES = ['tls_cert_file = "FOLDER/cert.pem"', 'tls_key_file = "FOLDER/key.pem"']
const FIRST = String(firstCertificate.certificate)
const SECOND = String(secondCertificate.certificate)
const CA = [FIRST, SECOND]

/** A request that trusts both certificates. */
function send(method: string, url: string, body: object, token?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = token === undefined ? {} : { 'x-vault-token': token }
    const options = { method, headers, ca: CA, agent: false as const }
    const sent = request(url, options, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')))
    })
    sent.on('error', reject)
    sent.end(method === 'GET' ? undefined : JSON.stringify(body))
  })
}

/** The certificate that a new connection is shown. */
function served(address: string): Promise<string> {
  const { port } = new URL(address)
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: Number(port), ca: CA }, () => {
      resolve(socket.getPeerX509Certificate()?.fingerprint256 ?? '')
      socket.destroy()
    })
    socket.on('error', reject)
  })
}

const fingerprint = (pem: string): string => new X509Certificate(pem).fingerprint256

async function startUnsealed(site: Site) {
  const server = await site.start()
  const shares = { secret_shares: 1, secret_threshold: 1 }
  const init = await send('PUT', `${server.address}/v1/sys/init`, shares)
  const { keys_base64: keys, root_token: root } = JSON.parse(init)
  await send('PUT', `${server.address}/v1/sys/unseal`, { key: keys[0] })
  /** Makes two audit lines. */
  const look = () => send('GET', `${server.address}/v1/sys/mounts`, {}, root)
  return { server, look }
}

test('-dev-tls: a client with the printed CA is served, one without refuses the server', async () => {
  const server = await startDevServer(['-dev-tls'])
  try {
    const ca = /CA certificate: (\S+)/.exec(server.output())?.[1]
    assert.ok(ca !== undefined && existsSync(ca), server.output())
    assert.match(server.address, /^https:/)
    const env = { POSTERN_ADDR: server.address, POSTERN_TOKEN: 'root', NODE_EXTRA_CA_CERTS: '' }
    const trusting = await runPostern(['token', 'lookup'], { ...env, POSTERN_CACERT: ca })
    assert.equal(trusting.status, 0, trusting.errors)
    assert.match(trusting.output, /root/)
    const other = await runPostern(['token', 'lookup'], env)
    assert.notEqual(other.status, 0)
    assert.match(other.errors, /self-signed|certificate/)
    assert.doesNotMatch(other.output, /root/)
    const plain = await fetch(server.address.replace('https', 'http')).catch(() => undefined)
    assert.equal(plain?.ok ?? false, false)
    await server.stop()
    assert.equal(existsSync(ca), false, 'the key stays behind')
  } finally {
    await server.stop()
  }
})

test('SIGHUP: a new certificate is served, and a log that was moved away is written anew', async () => {
  await using site = makeSite({ listener: TLS_LINES, files: TLS_FILES })
  const { server, look } = await startUnsealed(site)
  assert.equal(await served(server.address), fingerprint(FIRST))
  writeFileSync(path.join(site.folder, 'cert.pem'), secondCertificate.certificate)
  writeFileSync(path.join(site.folder, 'key.pem'), secondCertificate.key)
  renameSync(site.auditFile, `${site.auditFile}.1`)
  const before = readFileSync(`${site.auditFile}.1`, 'utf8')
  process.kill(server.pid, 'SIGHUP')
  await eventually(() => existsSync(site.auditFile), 'the log was not opened anew')
  assert.equal(await served(server.address), fingerprint(SECOND))
  await look()
  assert.equal(readFileSync(site.auditFile, 'utf8').trimEnd().split('\n').length, 2)
  assert.equal(readFileSync(`${site.auditFile}.1`, 'utf8'), before)
})

test('SIGHUP: a certificate that is broken keeps the old one served, and the log is opened anew all the same', async () => {
  await using site = makeSite({ listener: TLS_LINES, files: TLS_FILES })
  const { server, look } = await startUnsealed(site)
  writeFileSync(path.join(site.folder, 'cert.pem'), 'no certificate')
  renameSync(site.auditFile, `${site.auditFile}.1`)
  process.kill(server.pid, 'SIGHUP')
  await eventually(() => existsSync(site.auditFile), 'the log was not opened anew')
  await eventually(() => server.output().includes('reload failed'), 'the failure was not logged')
  await look()
  assert.equal(readFileSync(site.auditFile, 'utf8').trimEnd().split('\n').length, 2)
  assert.equal(await served(server.address), fingerprint(FIRST))
  assert.doesNotMatch(server.output(), /PRIVATE KEY/)
})
