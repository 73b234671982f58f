/** `postern-host service` on real hosts: what the server says arrives, and what is not from it changes nothing (protocols 5.6). */
import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import { type Api, apiOf } from '../support/api.ts'
import { type Box, type Boxes, startBoxes } from '../support/boxes.ts'
import { type RunningServer, startServer } from '../support/server.ts'
import { eventually } from '../support/site.ts'

const HOST_BIN = path.resolve(import.meta.dirname, '../../bin/postern-host.js')
const USER = 'deploy'

suite('the service on hosts', () => {
  const resources = new AsyncDisposableStack()
  const services = new Map<string, ChildProcess>()
  let site: Boxes
  let server: RunningServer
  let api: Api
  let folder: string
  let key: string
  let made = 0

  before(async () => {
    folder = resources.adopt(mkdtempSync(path.join(os.tmpdir(), 'postern-service-')), (one) =>
      rmSync(one, { recursive: true }),
    )
    key = path.join(folder, 'key')
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
    site = resources.use(await startBoxes({ names: ['web-1', 'web-2'] }))
    const address = `-dev-listen-address=${site.address}:0`
    server = await startServer(['-dev', '-dev-root-token-id=root', address])
    resources.defer(async () => void (await server.stop()))
    api = apiOf(server.address, 'root')
    await done('POST', 'sys/mounts/ssh', { type: 'ssh' })
    await done('POST', 'ssh/config/ca', { key_type: 'ed25519' })
    await done('POST', 'ssh/config/hosts', { host_scope: true })
    await done('POST', 'ssh/roles/web', {
      key_type: 'ca',
      allow_user_certificates: true,
      allowed_users: '*',
      default_user: USER,
      host_scope: 'required',
      allowed_hosts: '*',
      allowed_groups: '*',
    })
    await Promise.all(site.boxes.map(setUp))
  })

  after(() => resources.disposeAsync())

  async function done(method: string, place: string, body: unknown, token?: string) {
    const answer = await (token ? apiOf(server.address, token) : api)(method, place, body)
    assert.ok(answer.status < 300, `${place}: ${JSON.stringify(answer.body)}`)
    return answer.body
  }

  async function setUp(box: Box): Promise<void> {
    await box.shell(`useradd --create-home --shell /bin/sh --password '*' ${USER}`)
    box.write(
      '/etc/postern/host.hcl',
      `vault_addr = "${server.address}"\nssh_mount_point = "ssh"\nallowed_roles = "*"\n`,
    )
    const { data } = await done('POST', 'ssh/join-tokens', {
      name_pattern: box.name,
      groups: 'web',
      certificate_names: `{{name}},${box.address}`,
    })
    const enrolled = await box.run(
      [process.execPath, HOST_BIN, 'enroll', '-dev', `-name=${box.name}`],
      { input: data.join_token },
    )
    assert.equal(enrolled.status, 0, enrolled.errors)
    assert.match(enrolled.output, new RegExp(`^enrolled as ${box.name} at `))
    box.write(
      '/etc/ssh/postern/user_ca.pub',
      String((await api('GET', 'ssh/public_key?usage=scoped')).body),
    )
    box.write('/etc/ssh/postern/revoked.krl', '')
    box.write(
      '/etc/ssh/sshd_config.d/00-postern.conf',
      String((await api('GET', `ssh/hosts/${box.name}/sshd_config`)).body),
    )
    await box.startSshd()
    start(box)
    await eventually(() => status(box).krl !== undefined, 'the KRL')
  }

  function start(box: Box): void {
    const child = box.spawn([process.execPath, HOST_BIN, 'service', '-dev'])
    child.stderr?.on(
      'data',
      (text) => process.env['DEBUG_BOX'] && process.stderr.write(`${box.name} ${text}`),
    )
    services.set(box.name, child)
  }

  const status = (box: Box) =>
    box.exists('/run/postern/status.json') ? JSON.parse(box.read('/run/postern/status.json')) : {}

  async function certificate(target: object, token?: string): Promise<string> {
    const public_key = readFileSync(`${key}.pub`, 'utf8')
    const { data } = await done('PUT', 'ssh/sign/web', { public_key, ...target }, token)
    const file = path.join(folder, `cert-${made++}.pub`)
    writeFileSync(file, data.signed_key)
    return file
  }

  async function letsIn(box: Box, file: string): Promise<boolean> {
    const { status: code, output } = await box.login({ user: USER, key, certificate: file })
    if (code === 0) assert.equal(output, `${USER}\n`)
    return code === 0
  }

  test('a revoked certificate, and all those of a revoked token, are refused on every host', async () => {
    const { auth } = await done('POST', 'auth/token/create', { policies: ['root'], ttl: '1h' })
    const [one, other] = [
      await certificate({ group: 'web' }),
      await certificate({ group: 'web' }, auth.client_token),
    ]
    for (const box of site.boxes) {
      assert.deepEqual([await letsIn(box, one), await letsIn(box, other)], [true, true])
    }
    await done('POST', 'ssh/revoke', { serial_number: serialOf(one) })
    await done('POST', 'auth/token/revoke', { token: auth.client_token, revoke_certificates: true })
    for (const box of site.boxes) {
      await eventually(async () => !(await letsIn(box, one)), 'one certificate is refused')
      await eventually(async () => !(await letsIn(box, other)), 'the other one is')
    }
    const still = await certificate({ group: 'web' })
    for (const box of site.boxes) assert.equal(await letsIn(box, still), true)
  })

  test('a host has a certificate for its names, and a strict client takes it', async () => {
    const [box] = site.boxes as [Box]
    await eventually(
      () => box.exists('/etc/ssh/ssh_host_ed25519_key-cert.pub'),
      'a host certificate',
    )
    const known = path.join(folder, 'known_hosts')
    const ca = String((await api('GET', 'ssh/public_key')).body)
    writeFileSync(known, `@cert-authority ${box.address} ${ca}`)
    const file = await certificate({ host: 'web-1' })
    const strict = [
      `-oUserKnownHostsFile=${known}`,
      '-oGlobalKnownHostsFile=none',
      '-oStrictHostKeyChecking=yes',
    ]
    const words = [
      '-F',
      'none',
      '-oBatchMode=yes',
      '-i',
      key,
      `-oCertificateFile=${file}`,
      ...strict,
    ]
    await eventually(() => {
      try {
        return (
          execFileSync('ssh', [...words, `${USER}@${box.address}`, 'id -un']).toString() ===
          `${USER}\n`
        )
      } catch {
        return false
      }
    }, 'a strict login')
  })

  test('groups that change at the server change on the host', async () => {
    const [box, other] = site.boxes as [Box, Box]
    await done('POST', 'ssh/hosts/web-1', { groups: 'web,blue' })
    const file = await certificate({ group: 'blue' })
    await restart(box)
    await eventually(() => letsIn(box, file), 'the new group')
    assert.equal(await letsIn(other, file), false)
  })

  test('what the server says goes on to hold while it is away', async () => {
    const [box] = site.boxes as [Box]
    const file = await certificate({ host: 'web-1' })
    await server.stop()
    assert.equal(await letsIn(box, file), true)
    await restart(box)
    await eventually(() => Object.keys(status(box).errors ?? {}).length > 0, 'the failure')
    assert.equal(await letsIn(box, file), true)
  })

  async function restart(box: Box): Promise<void> {
    const child = services.get(box.name)
    const ended = child && child.exitCode === null ? once(child, 'exit') : undefined
    // Not the child: that one only entered the box.
    await box.shell(`kill ${status(box).pid}`)
    await ended
    start(box)
  }
})

function serialOf(file: string): string {
  const text = execFileSync('ssh-keygen', ['-L', '-f', file]).toString()
  return /Serial: ([0-9]+)/.exec(text)?.[1] ?? ''
}
