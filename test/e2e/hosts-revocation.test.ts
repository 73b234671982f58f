/** Revocation that arrives: what is on the KRL that a box has fetched logs in no more (hosts.md 3, protocols 5.6). */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import { type Api, apiOf } from '../support/api.ts'
import { type Box, startBoxes } from '../support/boxes.ts'
import { startDevServer } from '../support/server.ts'

const USER = 'ec2-user'
const KRL_FILE = '/etc/ssh/postern/revoked.krl'

suite('revocation', () => {
  const resources = new AsyncDisposableStack()
  let api: Api
  let address: string
  let folder: string
  let box: Box
  let made = 0

  before(async () => {
    folder = resources.adopt(mkdtempSync(path.join(os.tmpdir(), 'postern-revoke-')), (one) =>
      rmSync(one, { recursive: true }),
    )
    const server = await startDevServer()
    resources.defer(async () => void (await server.stop()))
    address = server.address
    api = apiOf(address, 'root')
    await done('POST', 'sys/mounts/ssh', { type: 'ssh' })
    await done('POST', 'ssh/config/ca', { key_type: 'ed25519' })
    await done('POST', 'ssh/config/hosts', { host_scope: true })
    await done('POST', 'ssh/hosts/web-1', {})
    await done('POST', 'ssh/roles/web', {
      key_type: 'ca',
      allow_user_certificates: true,
      allowed_users: '*',
      default_user: USER,
      host_scope: 'required',
      allowed_hosts: '*',
    })
    const site = resources.use(await startBoxes({ names: ['web-1'] }))
    box = site.boxes[0] as Box
    await box.shell(`useradd --create-home --shell /bin/sh --password '*' ${USER}`)
    const text = async (place: string) => String((await api('GET', place)).body)
    box.write('/etc/ssh/postern/user_ca.pub', await text('ssh/public_key?usage=scoped'))
    box.write('/etc/ssh/sshd_config.d/00-postern.conf', await text('ssh/hosts/web-1/sshd_config'))
    await fetchKrl()
    await box.startSshd()
  })

  after(() => resources.disposeAsync())

  async function done(method: string, place: string, body: unknown, token = 'root') {
    const answer = await apiOf(address, token)(method, place, body)
    assert.ok(answer.status < 300, `${place}: ${JSON.stringify(answer.body)}`)
    return answer.body
  }

  const local = () => path.join(folder, 'krl')

  /** As the box's cron job or service does it. */
  async function fetchKrl(): Promise<void> {
    const answer = await fetch(`${address}/v1/ssh/krl`)
    const bytes = Buffer.from(await answer.arrayBuffer())
    assert.equal(answer.status, 200)
    writeFileSync(local(), bytes)
    box.write(`${KRL_FILE}.new`, bytes)
    await box.shell(`mv ${KRL_FILE}.new ${KRL_FILE}`)
  }

  interface Credential {
    readonly key: string
    readonly certificate: string
    readonly serial: string
  }

  /** A certificate of a key of its own. */
  async function credential(token = 'root'): Promise<Credential> {
    const key = path.join(folder, `key-${made++}`)
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
    const body = { public_key: readFileSync(`${key}.pub`, 'utf8'), host: 'web-1' }
    const { data } = await done('POST', 'ssh/sign/web', body, token)
    const certificate = `${key}-cert.pub`
    writeFileSync(certificate, data.signed_key)
    return { key, certificate, serial: data.serial_number }
  }

  async function token(parent = 'root'): Promise<string> {
    const body = { policies: ['root'] }
    return (await done('POST', 'auth/token/create', body, parent)).auth.client_token
  }

  /** For each, whether it logs in; `ssh-keygen -Q` says the same of the list. */
  async function logIns(...credentials: readonly Credential[]): Promise<boolean[]> {
    return Promise.all(
      credentials.map(async ({ key, certificate }) => {
        const { status, errors } = await box.login({ user: USER, key, certificate })
        if (status !== 0) assert.match(errors, /Permission denied/)
        const query = spawnSync('ssh-keygen', ['-Q', '-f', local(), certificate])
        assert.equal(query.status, status === 0 ? 0 : 1, String(query.stdout))
        return status === 0
      }),
    )
  }

  test('of one certificate is felt with the next list, and by no other certificate', async () => {
    const [one, other] = [await credential(), await credential()]
    assert.deepEqual(await logIns(one, other), [true, true])
    await done('POST', 'ssh/revoke', { serial_number: one.serial })
    assert.deepEqual(await logIns(one, other), [true, true])
    await fetchKrl()
    assert.deepEqual(await logIns(one, other), [false, true])
    assert.match(box.sshdLog(), /revoked by file/)
  })

  test('of a token takes all that it and its children were given', async () => {
    const parent = await token()
    const child = await token(parent)
    const theirs = [await credential(parent), await credential(parent), await credential(child)]
    const stranger = await credential()
    await done('POST', 'auth/token/revoke', { token: parent, revoke_certificates: true })
    await fetchKrl()
    assert.deepEqual(await logIns(...theirs, stranger), [false, false, false, true])
  })

  test('of a key takes each of its certificates, and those to come', async () => {
    const one = await credential()
    await done('POST', 'ssh/revoke', { public_key: readFileSync(`${one.key}.pub`, 'utf8') })
    await fetchKrl()
    assert.deepEqual(await logIns(one), [false])
  })

  test('of a host takes what is for that host', async () => {
    const ones = [await credential(), await credential()]
    await done('POST', 'ssh/hosts/web-2', {})
    const { data } = await done('POST', 'ssh/revoke', { host: 'web-2' })
    assert.equal(data.revoked, 0)
    await fetchKrl()
    assert.deepEqual(await logIns(...ones), [true, true])
    await done('POST', 'ssh/revoke', { host: 'web-1' })
    await fetchKrl()
    assert.deepEqual(await logIns(...ones), [false, false])
  })

  test('a long poll hears of it within seconds', async () => {
    const one = await credential()
    const etag = (await fetch(`${address}/v1/ssh/krl`)).headers.get('etag') ?? ''
    const poll = fetch(`${address}/v1/ssh/krl?wait=55s`, { headers: { 'If-None-Match': etag } })
    await done('POST', 'ssh/revoke', { serial_number: one.serial })
    const begun = performance.now()
    const answer = await poll
    assert.equal(answer.status, 200)
    assert.notEqual(answer.headers.get('etag'), etag)
    assert.ok(performance.now() - begun < 5000)
  })

  test('a server that stops keeps nobody waiting', async () => {
    const server = await startDevServer()
    await apiOf(server.address, 'root')('POST', 'sys/mounts/ssh', { type: 'ssh' })
    const poll = fetch(`${server.address}/v1/ssh/krl?wait=55s`, {
      headers: { 'If-None-Match': '"0"' },
    })
    await fetch(`${server.address}/v1/ssh/krl`)
    const begun = performance.now()
    const stopped = server.stop()
    assert.equal((await poll).status, 304)
    await stopped
    assert.ok(performance.now() - begun < 5000)
  })
})
