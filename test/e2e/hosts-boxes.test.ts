/** The boxes of test/support/boxes.ts are hosts: sshd with default paths, accounts, a network, and nothing left. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import { type Box, type Boxes, startBoxes } from '../support/boxes.ts'
import { eventually } from '../support/site.ts'

const USER = 'ec2-user-of-boxes'
/** What the boxes below write, by names that no other test uses: others make users of the machine meanwhile. */
const BANNER = '/etc/ssh/sshd_config.d/10-boxes.conf'
const OWN_FILE = '/etc/postern-boxes/host.hcl'

suite('boxes', () => {
  const resources = new AsyncDisposableStack()
  let site: Boxes
  let one: Box
  let two: Box
  let key: string

  before(async () => {
    const folder = resources.adopt(mkdtempSync(path.join(os.tmpdir(), 'postern-boxes-')), (made) =>
      rmSync(made, { recursive: true }),
    )
    key = path.join(folder, 'key')
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
    site = resources.use(await startBoxes({ names: ['one', 'two'] }))
    ;[one, two] = site.boxes as [Box, Box]
    await one.shell(`useradd --create-home --shell /bin/sh --password "*" ${USER}`)
    one.write(`/home/${USER}/.ssh/authorized_keys`, readFileSync(`${key}.pub`))
    await one.shell(`chown -R ${USER} /home/${USER}/.ssh`)
    await Promise.all([one.startSshd(), two.startSshd()])
  })

  after(() => resources.disposeAsync())

  test('a login reaches the box that has the account, at its default port', async () => {
    const login = await one.login({ user: USER, key, command: 'hostname; id -un' })
    assert.equal(login.output, `one\n${USER}\n`, login.errors + one.sshdLog())
    const denied = await two.login({ user: USER, key })
    assert.notEqual(denied.status, 0)
    assert.match(two.sshdLog(), new RegExp(`Invalid user ${USER}`))
  })

  test('boxes reach one another and the bridge', async () => {
    const login = await one.login({ user: USER, key, from: two, command: 'echo $SSH_CLIENT' })
    assert.equal(login.output.split(' ')[0], two.address, login.errors)
    const route = await two.shell(`ip route get ${site.address}`)
    assert.match(route, /dev eth0/)
  })

  test('sshd reloads by its pid file, with what its default files say', async () => {
    two.write(BANNER, 'Banner /etc/hostname\n')
    await two.shell('kill -HUP "$(cat /run/sshd.pid)"')
    await eventually(
      async () => /^two$/m.test((await two.login({ user: 'nobody', key })).errors),
      'sshd shows no banner',
    )
  })

  test('nothing of the machine changes, and nothing is left', async () => {
    one.write(OWN_FILE, '')
    assertUntouched()
    const keepers = site.boxes.map((box) => box.root)
    await site[Symbol.asyncDispose]()
    for (const root of keepers) assert.equal(existsSync(root), false)
    assertUntouched()
    const own = new RegExp(`pt${process.pid.toString(36)}`)
    assert.doesNotMatch(execFileSync('ip', ['link'], { encoding: 'utf8' }), own)
  })
})

/** Nothing of what the boxes did shows on the machine itself. */
function assertUntouched(): void {
  for (const file of [BANNER, OWN_FILE, `/home/${USER}`])
    assert.equal(existsSync(file), false, file)
  for (const file of ['/etc/passwd', '/etc/group']) {
    assert.equal(readFileSync(file, 'utf8').includes(USER), false, file)
  }
  assert.notEqual(os.hostname(), 'one')
}
