/** The boxes of test/support/boxes.ts are hosts: sshd with default paths, accounts, a network, and nothing left. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import { type Box, type Boxes, startBoxes } from '../support/boxes.ts'
import { eventually } from '../support/site.ts'

const MACHINE_FILES = ['/etc/ssh/sshd_config', '/etc/passwd', '/etc/hostname']

suite('boxes', () => {
  const resources = new AsyncDisposableStack()
  let site: Boxes
  let one: Box
  let two: Box
  let key: string
  let machine: string

  before(async () => {
    machine = machineState()
    const folder = resources.adopt(mkdtempSync(path.join(os.tmpdir(), 'postern-boxes-')), (made) =>
      rmSync(made, { recursive: true }),
    )
    key = path.join(folder, 'key')
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
    site = resources.use(await startBoxes({ names: ['one', 'two'] }))
    ;[one, two] = site.boxes as [Box, Box]
    await one.shell('useradd --create-home --shell /bin/sh --password "*" ec2-user')
    one.write('/home/ec2-user/.ssh/authorized_keys', readFileSync(`${key}.pub`))
    await one.shell('chown -R ec2-user /home/ec2-user/.ssh')
    await Promise.all([one.startSshd(), two.startSshd()])
  })

  after(() => resources.disposeAsync())

  test('a login reaches the box that has the account, at its default port', async () => {
    const login = await one.login({ user: 'ec2-user', key, command: 'hostname; id -un' })
    assert.equal(login.output, 'one\nec2-user\n', login.errors + one.sshdLog())
    const denied = await two.login({ user: 'ec2-user', key })
    assert.notEqual(denied.status, 0)
    assert.match(two.sshdLog(), /Invalid user ec2-user/)
  })

  test('boxes reach one another and the bridge', async () => {
    const login = await one.login({ user: 'ec2-user', key, from: two, command: 'echo $SSH_CLIENT' })
    assert.equal(login.output.split(' ')[0], two.address, login.errors)
    const route = await two.shell(`ip route get ${site.address}`)
    assert.match(route, /dev eth0/)
  })

  test('sshd reloads by its pid file, with what its default files say', async () => {
    two.write('/etc/ssh/sshd_config.d/10-banner.conf', 'Banner /etc/hostname\n')
    await two.shell('kill -HUP "$(cat /run/sshd.pid)"')
    await eventually(
      async () => /^two$/m.test((await two.login({ user: 'nobody', key })).errors),
      'sshd shows no banner',
    )
  })

  test('nothing of the machine changes, and nothing is left', async () => {
    one.write('/etc/postern/host.hcl', '')
    assert.equal(machineState(), machine)
    const keepers = site.boxes.map((box) => box.root)
    await site[Symbol.asyncDispose]()
    for (const root of keepers) assert.equal(existsSync(root), false)
    assert.equal(machineState(), machine)
    const own = new RegExp(`pt${process.pid.toString(36)}`)
    assert.doesNotMatch(execFileSync('ip', ['link'], { encoding: 'utf8' }), own)
  })
})

/** What tests must not touch. */
function machineState(): string {
  const files = MACHINE_FILES.map((file) => readFileSync(file, 'utf8'))
  const folders = ['/etc/ssh', '/etc/pam.d', '/etc', '/home'].map((folder) => readdirSync(folder))
  return JSON.stringify([files, folders])
}
