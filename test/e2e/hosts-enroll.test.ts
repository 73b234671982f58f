/** `postern-host enroll` on a real host: which servers it takes, and what it keeps (protocols 5.4). */
import assert from 'node:assert/strict'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import { apiOf } from '../support/api.ts'
import type { BoxRun } from '../support/boxes.ts'
import { type EnrolledBox, startEnrolledBox } from '../support/enrolled-box.ts'
import { startMeddler } from '../support/meddler.ts'
import { startDevServer } from '../support/server.ts'
import { eventually } from '../support/site.ts'

const HOST_BIN = path.resolve(import.meta.dirname, '../../bin/postern-host.js')
const CONFIG = '/etc/postern/host.hcl'
const STATE = '/var/lib/postern-host/state.json'

suite('enrolment of a host', () => {
  let host: EnrolledBox

  before(async () => {
    host = await startEnrolledBox('web-1')
    await host.signal('SIGTERM')
  })
  after(() => host?.[Symbol.asyncDispose]())

  const known = () => JSON.parse(host.box.read(STATE))

  function enrol(input: string, ...flags: readonly string[]): Promise<BoxRun> {
    const words = [process.execPath, HOST_BIN, 'enroll', '-dev', '-name=web-1', ...flags]
    return host.box.run(words, { input })
  }

  async function joinToken(ask: EnrolledBox['ask']): Promise<string> {
    const fields = { name_pattern: 'web-*', groups: 'web' }
    return (await ask('POST', 'ssh/join-tokens', fields)).join_token
  }

  async function refuses(run: Promise<BoxRun>, reason: RegExp): Promise<void> {
    const before = host.box.read(STATE)
    const { status, errors } = await run
    assert.equal(status, 1)
    assert.match(errors, reason)
    assert.equal(host.box.read(STATE), before)
  }

  test('a token that is none, and a server with another key than the named one, change nothing', async () => {
    await refuses(enrol('pj.nothing'), /./)
    const other = 'SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'
    const named = enrol(await joinToken(host.ask), `-server-key=${other}`)
    await refuses(named, /the server has another key: SHA256:/)
    await refuses(enrol('', '-join-token=pj.secret'), /a file with the token.*: ENOENT\n$/)
  })

  test('a server whose names would steer the terminal, over the fingerprint to compare, is refused', async () => {
    const { lies, seen } = host.meddler
    const honest = seen.get('ssh/host-enroll')!
    const { data } = JSON.parse(honest.body.toString())
    const lie = { data: { ...data, issuer: `x\nthe server's key is SHA256:good\u001b[8m` } }
    lies.set('ssh/host-enroll', { ...honest, body: Buffer.from(JSON.stringify(lie)) })
    await refuses(enrol('pj.token'), /the server's answer has an odd issuer/)
    lies.clear()
  })

  test('again at the same server it waits for approval, and keeps the versions that it has seen', async () => {
    const { krl, bundle, server_key: key } = known()
    const token = '/root/join-token'
    host.box.write(token, `${await joinToken(host.ask)}\n`, 0o600)
    const { fingerprint } = await host.ask('GET', 'ssh/identity')
    const { status, output } = await enrol('', `-join-token=${token}`, `-server-key=${fingerprint}`)
    assert.equal(status, 0)
    assert.match(output, /^enrolled as web-1 at .*\nan operator has to approve/)
    const after = known()
    assert.deepEqual([after.krl, after.bundle, after.server_key], [krl, bundle, key])
    const print = await host.box.shell('ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub')
    await host.ask('POST', 'ssh/hosts/web-1/approve', { fingerprint: print.split(' ')[1] })
    const { started } = host.status()
    host.start()
    await eventually(
      () => host.status().started > started && !host.status().errors.bundle,
      host.log,
    )
    await host.signal('SIGTERM')
  })

  test('a number that another process has by now is no running service', async () => {
    const run = () => host.box.run([process.execPath, HOST_BIN, 'status'])
    const status = host.box.read('/run/postern/status.json')
    host.box.write('/run/postern/status.json', status.replace(/"pid": \d+/, '"pid": 1'))
    const { errors, ...ended } = await run()
    assert.deepEqual([ended.status, errors], [1, 'postern-host: the service does not run\n'])
  })

  test('protocols 5.4: a host that only calls itself web-1 is told nothing', async () => {
    const text = host.box.read(STATE)
    const state = JSON.parse(text)
    host.box.write(STATE, JSON.stringify({ ...state, host_id: 'web-9' }), 0o600)
    const service = await host.box.run([process.execPath, HOST_BIN, 'service', '-dev', '-once'])
    assert.equal(service.status, 1)
    assert.match(service.errors, /bundle: .*permission denied/)
    host.box.write(STATE, text, 0o600)
  })

  test('another server is refused for good, unless the host is told to forget the one it knows', async () => {
    await using stack = new AsyncDisposableStack()
    const server = await startDevServer()
    stack.defer(async () => void (await server.stop()))
    const bridge = host.box.address.replace(/[0-9]+$/, '1')
    const { address } = stack.use(await startMeddler(bridge, server.address))
    const api = apiOf(server.address, 'root')
    const ask = async (method: string, place: string, body?: object) =>
      (await api(method, place, body)).body?.data
    await ask('POST', 'sys/mounts/ssh', { type: 'ssh' })
    await ask('POST', 'ssh/config/hosts', { host_scope: true })
    host.box.write(CONFIG, `vault_addr = "${address}"\nallowed_roles = "*"\n`)
    await refuses(enrol(await joinToken(ask)), /enrolled at a server with another key: -replace/)
    const { status, output } = await enrol(await joinToken(ask), '-replace', '-name=web-2')
    assert.equal(status, 0)
    const { fingerprint, cluster_id } = await ask('GET', 'ssh/identity')
    assert.ok(output.includes(fingerprint), output)
    // Versions of another server mean nothing.
    assert.deepEqual([known().krl, known().cluster_id], [undefined, cluster_id])
  })
})
