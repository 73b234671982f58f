/** `postern-host verify-otp` on an enrolled host: it signs what it asks, and leaves a record for the session (protocols 5.4, 5.5). */
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, suite, test } from 'node:test'
import { type HostState, writeHostState } from '../../../src/host/enrolment/state.ts'
import { processChain, takeOtpLogin } from '../../../src/host/otp/record.ts'
import { runHost } from '../../../src/host/otp/run.ts'
import {
  HOST_NAMESPACE,
  hostHeaders,
  hostRequestMessage,
} from '../../../src/ssh/host/host-request.ts'
import { VERIFY_NAMESPACE, verifyMessageBytes } from '../../../src/ssh/host/verify-message.ts'
import { isSameKey } from '../../../src/ssh/key/public-key.ts'
import { signMessage, verifyMessage } from '../../../src/ssh/sshsig.ts'
import { type Answerer, type SeenRequest, startFakeServer } from '../../client/fake-server.ts'
import { vector, vectorPrivateKey } from '../../ssh/support.ts'

const otp = '2f7e25a2-24c9-4b7b-0d35-27d5e5203a5c'
const server = vectorPrivateKey('ed25519')
const hostKey = vectorPrivateKey('p256')
const lineOf = (name: string) => vector(`${name}.pub`).split(' ').slice(0, 2).join(' ').trim()
const enrolled: HostState = {
  hostId: 'web-1',
  clusterId: 'c-1',
  mount: 'ssh',
  issuer: 'c-1/ssh',
  serverKey: lineOf('ed25519'),
}

/** The true server's answer, with a host or without one. */
const yes =
  (hostId: string, key = server): Answerer =>
  (request) => ({ body: answer(request, hostId, key) })

async function answer({ body }: SeenRequest, hostId: string, key: typeof server) {
  const asked = JSON.parse(body)
  // Behind a gateway: no address of this host.
  const grant = { ip: '192.0.2.9', username: asked.username, role_name: 'web' }
  const time = Math.floor(Date.now() / 1000)
  const message = verifyMessageBytes({
    clusterId: 'c-1',
    mountPath: 'ssh',
    nonce: asked.nonce,
    otp: asked.otp,
    username: asked.username,
    ip: grant.ip,
    roleName: grant.role_name,
    hostId,
    unixSeconds: time,
  })
  const signature = await signMessage(key, VERIFY_NAMESPACE, message)
  return { data: { ...grant, host: hostId, lease: 'ssh/creds/web/1', time, signature } }
}

suite('verify-otp on an enrolled host', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'postern-host-'))
    writeHostState(enrolled, path.join(folder, 'state.json'))
    writeFileSync(path.join(folder, 'ssh_host_p256_key'), vector('p256.key'), { mode: 0o600 })
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  async function run(answerer: Answerer, config = '') {
    await using fake = await startFakeServer(answerer)
    const file = path.join(folder, 'config.hcl')
    writeFileSync(file, `vault_addr = "${fake.address}"\nallowed_roles = "*"\n${config}\n`)
    const lines: string[] = []
    const status = await runHost(
      ['verify-otp', '-dev', `-config=${file}`],
      {
        environment: { PAM_USER: 'alice', PAM_RHOST: '198.51.100.4' },
        stdin: (async function* () {
          yield Buffer.from(otp)
        })(),
        writeOutput: () => {},
        writeError: () => {},
        writeSyslog: (line) => lines.push(line),
        addresses: ['10.0.0.5'],
        places: {
          state: path.join(folder, 'state.json'),
          hostKeys: path.join(folder, 'ssh_host_*_key'),
          otpLogins: path.join(folder, 'run/otp'),
        },
      },
      2000,
    )
    return { status, lines: lines.join('\n'), seen: fake.seen }
  }

  const record = () => {
    const [parent] = processChain(process.ppid)
    const session = {
      user: 'alice',
      rhost: '198.51.100.4',
      process: parent ?? { pid: 0, start: 0 },
    }
    return takeOtpLogin(path.join(folder, 'run/otp'), session, Date.now())
  }

  test('signs its request with its host key, and says no addresses: the server knows them', async () => {
    const { status, seen } = await run(yes('web-1'))
    assert.equal(status, 0)
    const [request] = seen as [SeenRequest]
    const { nonce, ...body } = JSON.parse(request.body)
    assert.deepEqual(body, { otp, username: 'alice', host: 'web-1' })
    assert.match(nonce, /^[\w-]{43}$/)
    const header = (name: keyof typeof hostHeaders) => String(request.headers[hostHeaders[name]])
    assert.equal(header('host'), 'web-1')
    const message = hostRequestMessage({
      clusterId: 'c-1',
      method: 'POST',
      path: '/v1/ssh/verify',
      body: request.body,
      hostId: 'web-1',
      unixSeconds: Number(header('time')),
      nonce: Buffer.from(header('nonce'), 'base64url'),
    })
    const signature = Buffer.from(header('signature'), 'base64')
    const signer = verifyMessage(signature, { namespace: HOST_NAMESPACE, message })
    assert.ok(signer && isSameKey(signer, hostKey.publicKey))
    assert.equal(request.method, 'POST')
  })

  test('leaves user, client, processes and lease for the session', async () => {
    assert.equal((await run(yes('web-1'))).status, 0)
    const { processes, otpSha256, ...rest } = record() ?? assert.fail('no record')
    assert.deepEqual(rest, {
      user: 'alice',
      rhost: '198.51.100.4',
      role: 'web',
      lease: 'ssh/creds/web/1',
    })
    assert.match(otpSha256, /^[0-9a-f]{64}$/)
    assert.equal(processes[0]?.pid, process.ppid)
  })

  test('a record that can not be left keeps nobody out', async () => {
    mkdirSync(path.join(folder, 'run/otp'), { recursive: true })
    chmodSync(path.join(folder, 'run/otp'), 0o777)
    const { status, lines } = await run(yes('web-1'))
    assert.equal(status, 0)
    assert.match(lines, /will not be reported with its OTP/)
  })

  test('protocols 5.5: an answer that is not for this host, or not signed by its server, lets nobody in', async () => {
    for (const answerer of [
      yes('web-2'),
      yes(''),
      yes('web-1', hostKey),
      () => ({ body: { data: { ip: '10.0.0.5', username: 'alice', role_name: 'web' } } }),
    ]) {
      assert.equal((await run(answerer)).status, 1)
      assert.equal(record(), undefined)
    }
  })

  test('the key that the server announced is trusted too', async () => {
    const state = { ...enrolled, serverKey: lineOf('p384'), nextServerKey: lineOf('ed25519') }
    writeHostState(state, path.join(folder, 'state.json'))
    assert.equal((await run(yes('web-1'))).status, 0)
  })

  test("the config's key counts instead of the one from the enrolment", async () => {
    assert.equal((await run(yes('web-1'), `server_key = "${lineOf('p384')}"`)).status, 1)
    assert.equal((await run(yes('web-1'), `server_key = "${lineOf('ed25519')}"`)).status, 0)
  })

  test('a doubt about the enrolment lets nobody in, and asks nobody', async () => {
    for (const config of ['ssh_mount_point = "other"', 'cluster_id = "c-2"']) {
      const { status, seen } = await run(yes('web-1'), config)
      assert.equal(status, 1)
      assert.equal(seen.length, 0)
    }
    for (const text of ['', '{', '{}', 'null']) {
      writeFileSync(path.join(folder, 'state.json'), text)
      const { status, seen } = await run(yes('web-1'))
      assert.equal(status, 1, text)
      assert.equal(seen.length, 0)
    }
  })

  test('a host without a key of its own lets nobody in', async () => {
    rmSync(path.join(folder, 'ssh_host_p256_key'))
    const { status, lines } = await run(yes('web-1'))
    assert.equal(status, 1)
    assert.match(lines, /no host key/)
  })
})
