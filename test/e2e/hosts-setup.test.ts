/** `postern host setup` on hosts with a hostile configuration: it works, or refuses and restores (protocols 5.3). */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import { type Box, startBoxes } from '../support/boxes.ts'
import { filesOf, makeTestCa, posternIn, posternWords, type TestCa } from '../support/host-setup.ts'
import { eventually } from '../support/site.ts'

const CONFIG = '/etc/ssh/sshd_config'
const DROP_IN = '/etc/ssh/sshd_config.d/00-postern.conf'
const DROP_IN_MODULE = path.resolve(import.meta.dirname, '../../src/host/service/drop-in.ts')
const DIRECTORY_KEYS =
  'AuthorizedKeysFile none\nAuthorizedKeysCommand /usr/bin/false\nAuthorizedKeysCommandUser nobody\n'
const FOLDERS = ['/etc/ssh', '/var/lib/postern-host']

suite('postern host setup', { concurrency: 2 }, () => {
  const resources = new AsyncDisposableStack()
  const boxes = new Map<string, Box>()
  let ca: TestCa

  before(async () => {
    ca = resources.use(makeTestCa())
    const names = [
      'plain',
      'match',
      'command',
      'bare',
      'early',
      'krl',
      'users',
      'closed',
      'old',
      'options',
    ]
    const site = resources.use(await startBoxes({ names }))
    for (const box of site.boxes) boxes.set(box.name, box)
  })

  after(() => resources.disposeAsync())

  const setUp = (box: Box, ...more: string[]) =>
    posternIn(box, 'host', 'setup', '-id=web-1', `-ca-file=${ca.file}`, ...more)

  /** Brings a box up with what `change` makes of its configuration; root has a key. */
  async function start(name: string, change = (config: string) => config): Promise<Box> {
    const box = boxes.get(name) as Box
    box.write(CONFIG, change(box.read(CONFIG)))
    box.write('/root/.ssh/authorized_keys', readFileSync(`${ca.key}.pub`))
    await box.shell('useradd --create-home --shell /bin/sh --password "*" deploy')
    await box.startSshd()
    return box
  }

  const byCertificate = async (box: Box, principal: string, user = 'root') =>
    (await box.login({ user, key: ca.key, certificate: ca.certificate(principal) })).status === 0
  const byKey = async (box: Box) => (await box.login({ user: 'root', key: ca.key })).status === 0

  async function assertScoped(box: Box, user = 'root'): Promise<void> {
    assert.equal(await byCertificate(box, `${user}@h.web-1`, user), true, box.sshdLog())
    assert.equal(await byCertificate(box, `${user}@h.web-2`, user), false)
    assert.equal(await byCertificate(box, user, user), false)
    assert.equal(await byKey(box), false)
    assert.equal(box.read('/etc/ssh/postern/user_ca.pub'), readFileSync(ca.file, 'utf8'))
  }

  /** Refuses with this text, and leaves every file and the running sshd as they are. */
  async function assertRefusal(box: Box, text: RegExp): Promise<void> {
    const earlier = await filesOf(box, ...FOLDERS)
    const { status, errors } = await setUp(box)
    assert.equal(status, 1)
    assert.match(errors, text)
    assert.deepEqual(await filesOf(box, ...FOLDERS), earlier)
    assert.doesNotMatch(box.sshdLog(), /SIGHUP/)
  }

  test('from a bare box to scoped logins, again without a change, and back to the byte', async () => {
    const box = await start('plain')
    const earlier = await filesOf(box, ...FOLDERS)
    const first = await setUp(box, '-groups=web', '-tags=env=prod')
    assert.equal(first.status, 0, first.errors)
    await assertScoped(box)
    assert.equal(await byCertificate(box, 'root@g.web'), true)
    assert.equal(await byCertificate(box, 'root@t.env.prod'), true)
    assert.equal(await byCertificate(box, 'root@g.db'), false)

    // Of a server on the same machine.
    box.write('/run/postern/postern.sock', '')
    box.write('/run/postern/status.json', '{}')
    const made = await filesOf(box, ...FOLDERS)
    const second = await setUp(box, '-groups=web', '-tags=env=prod')
    assert.match(second.output, /in place already/)
    assert.deepEqual(await filesOf(box, ...FOLDERS), made)

    const left = await posternIn(box, 'host', 'leave')
    assert.equal(left.status, 0, left.errors)
    assert.deepEqual(await filesOf(box, ...FOLDERS), earlier)
    assert.equal(await box.shell('ls /run/postern'), 'postern.sock\n')
    assert.equal(await byKey(box), true)
    assert.match((await posternIn(box, 'host', 'leave')).output, /nothing to undo/)

    // One that lets everybody in: only the certificates that have to be refused show it.
    box.write('/root/bin/ssh', '#!/bin/sh\necho "Authenticated to x" >&2\n', 0o755)
    const words = posternWords('host', 'setup', '-id=web-1', `-ca-file=${ca.file}`)
    const fooled = await box.run(words, {
      env: { PATH: '/root/bin:/usr/sbin:/usr/bin:/sbin:/bin' },
    })
    assert.match(fooled.errors, /would let root in by a certificate that is not for this host/)
    assert.deepEqual(await filesOf(box, ...FOLDERS), earlier)
  })

  test('a Match block that changes a setting is named with its line, and nothing is changed (protocols 5.3)', async () => {
    const match = 'Match User deploy\n  AuthorizedPrincipalsFile /etc/ssh/principals\n'
    const box = await start('match', (config) => config + match)
    const line =
      box.read(CONFIG).split('\n').indexOf('  AuthorizedPrincipalsFile /etc/ssh/principals') + 1
    await assertRefusal(box, new RegExp(`${CONFIG}:${line}: authorizedprincipalsfile`))
    assert.equal(await byKey(box), true)
    // One that changes none of ours is no reason, and one that only sshd itself finds is.
    box.write(CONFIG, box.read(CONFIG).replace(/ {2}Authorized.*\n/, '  X11Forwarding no\n'))
    const fine = box.read(CONFIG)
    box.write('/etc/ssh/far off.conf', match)
    box.write(CONFIG, `${fine}Match all\n  Include /etc/ssh/far\\ off.conf\n`)
    await assertRefusal(box, /AuthorizedPrincipalsFile is "\/etc\/ssh\/principals" for deploy, and/)
    box.write(CONFIG, fine)
    const { status, errors } = await setUp(box)
    assert.equal(status, 0, errors)
    await assertScoped(box, 'deploy')
  })

  test('an AuthorizedKeysCommand on top of the configuration does not cost the principals (hosts 1.7)', async () => {
    const command = 'AuthorizedKeysCommand /usr/bin/false\nAuthorizedKeysCommandUser nobody\n'
    const box = await start('command', (config) => command + config)
    const earlier = box.read(CONFIG)
    const { status, errors } = await setUp(box)
    assert.equal(status, 0, errors)
    await assertScoped(box)
    assert.equal((await setUp(box)).status, 0)
    await posternIn(box, 'host', 'leave')
    assert.equal(box.read(CONFIG), earlier)
  })

  test('a configuration without Include gets one line on top', async () => {
    const box = await start('bare', (config) => config.replace(/^Include.*\n/m, ''))
    await box.shell('rmdir /etc/ssh/sshd_config.d')
    const earlier = await filesOf(box, ...FOLDERS)
    const { status, errors } = await setUp(box)
    assert.equal(status, 0, errors)
    assert.match(box.read(CONFIG), new RegExp(`^#.*\nInclude ${DROP_IN}\n#.*\n`))
    await assertScoped(box)
    await posternIn(box, 'host', 'leave')
    assert.deepEqual(await filesOf(box, ...FOLDERS), earlier)
  })

  test('a file that sorts before ours does not win', async () => {
    const box = await start('early')
    box.write('/etc/ssh/sshd_config.d/00-custom.conf', 'TrustedUserCAKeys /etc/ssh/old_ca.pub\n')
    const { status, output, errors } = await setUp(box)
    assert.equal(status, 0, errors)
    assert.match(output, /certificates of \/etc\/ssh\/old_ca\.pub will let nobody in any more/)
    await assertScoped(box)
  })

  test('what the running sshd has by -o is found: it wins over every file', async () => {
    const box = await start('options')
    await box.stopSshd()
    const options = '-o AuthorizedKeysFile=.ssh/authorized_keys'
    const restart = async (words: string) => {
      await box.shell(`/usr/sbin/sshd -E /var/log/auth.log ${words}`)
      await eventually(() => box.exists('/run/sshd.pid'), 'no sshd')
    }
    await restart(options)
    await assertRefusal(box, /running sshd has AuthorizedKeysFile by -o/)
    await box.stopSshd()
    await restart('')
    const { status, errors } = await setUp(box)
    assert.equal(status, 0, errors)
    await assertScoped(box)
    await box.stopSshd()
    await restart(options)
    assert.equal(await byKey(box), true)
    const { output } = await posternIn(box, 'host', 'check')
    assert.match(output, /^fault {4}running: the running sshd has AuthorizedKeysFile by -o/m)
  })

  test('another revocation list is not dropped in silence', async () => {
    const box = await start('krl', (config) => `${config}RevokedKeys /etc/ssh/revoked\n`)
    box.write('/etc/ssh/revoked', '')
    await assertRefusal(box, /RevokedKeys \/etc\/ssh\/revoked is in use/)
  })

  test('the test login takes an account that may log in, and the address that sshd listens on', async () => {
    const { address } = boxes.get('users') as Box
    const lines = `PermitRootLogin no\nAllowUsers deploy\nListenAddress ${address}\n`
    const box = await start('users', (config) => lines + config)
    // Who runs it has a name of a directory, of which no certificate can be made.
    const words = posternWords('host', 'setup', '-id=web-1', `-ca-file=${ca.file}`)
    const env = { SUDO_USER: 'deploy@corp.example' }
    const { status, output, errors } = await box.run(words, { env })
    assert.equal(status, 0, errors)
    assert.match(output, /lets deploy in/)
    await assertScoped(box, 'deploy')
  })

  test('where nobody would get in, everything stays as it was', async () => {
    const box = await start('closed', (config) => `AllowUsers nobody-here\n${config}`)
    await assertRefusal(box, /would let nobody in .*tried root, .*-account names/s)
    await assertRefusal(box, /./)
    box.write(CONFIG, `Nonsense yes\n${box.read(CONFIG)}`)
    await assertRefusal(box, /sshd refuses its configuration: .*Nonsense/)
  })

  test('an sshd without Include gets all lines on top', async () => {
    const box = await start('old', (config) => config.replace(/^Include.*\n/m, ''))
    const earlier = await filesOf(box, ...FOLDERS)
    // Only its version is old.
    const ssh = '#!/bin/sh\n[ "$1" = -V ] && exec echo OpenSSH_8.0p1 >&2\nexec /usr/bin/ssh "$@"\n'
    box.write('/root/bin/ssh', ssh, 0o755)
    const env = { PATH: '/root/bin:/usr/sbin:/usr/bin:/sbin:/bin' }
    const words = posternWords('host', 'setup', '-id=web-1', `-ca-file=${ca.file}`)
    for (const round of [1, 2]) {
      const { status, errors } = await box.run(words, { env })
      assert.equal(status, 0, `${round}: ${errors}`)
      assert.equal(box.exists(DROP_IN), false)
      assert.match(box.read(CONFIG), /^#.*\n# Made by Postern for the host web-1\./)
      assert.equal(box.read(CONFIG).match(/TrustedUserCAKeys/g)?.length, 1)
    }
    await assertScoped(box)
    await posternIn(box, 'host', 'leave')
    assert.deepEqual(await filesOf(box, ...FOLDERS), earlier)

    // Keys of a directory: the service leaves them in force as set-up did.
    box.write(CONFIG, `${box.read(CONFIG)}${DIRECTORY_KEYS}`)
    const kept = await box.run([...words, '-keep-authorized-keys'], { env })
    assert.equal(kept.status, 0, kept.errors)
    const present = box.read(CONFIG)
    const refresh = `
      const { refreshDropIn } = await import(${JSON.stringify(DROP_IN_MODULE)})
      await refreshDropIn({ hostId: 'web-1', groups: [], tags: [] }, [])`
    const { status, errors } = await box.run([process.execPath, '-e', refresh], { env })
    assert.equal(status, 0, errors)
    assert.equal(box.read(CONFIG), present)
  })
})
