/** `postern host check` on hosts that somebody has broken: each finding names the line to change (hosts.md, section 1). */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { type Box, startBoxes } from '../support/boxes.ts'
import { makeTestCa, posternIn, type TestCa } from '../support/host-setup.ts'
import { eventually } from '../support/site.ts'
import { sshVersion } from '../support/sshd.ts'

const CONFIG = '/etc/ssh/sshd_config'
const DROP_IN = '/etc/ssh/sshd_config.d/00-postern.conf'
const KRL = '/etc/ssh/postern/revoked.krl'

interface Finding {
  readonly severity: string
  readonly check: string
  readonly text: string
  readonly change?: string
}

suite('postern host check', () => {
  const resources = new AsyncDisposableStack()
  let ca: TestCa
  let box: Box
  let other: Box
  let sound: string

  before(async () => {
    ca = resources.use(makeTestCa())
    const site = resources.use(await startBoxes({ names: ['web-1', 'web-2'] }))
    ;[box, other] = site.boxes as [Box, Box]
    await box.startSshd()
    const setup = await posternIn(
      box,
      'host',
      'setup',
      '-id=web-1',
      '-tags=env=a.b',
      `-ca-file=${ca.file}`,
    )
    assert.equal(setup.status, 0, setup.errors)
    sound = box.read(CONFIG)
  })

  after(() => resources.disposeAsync())

  /** What is found beside notes. */
  async function check(at = box): Promise<{ status: number; findings: Finding[] }> {
    const { status, output, errors } = await posternIn(at, 'host', 'check', '-format=json')
    assert.equal(errors, '')
    const { findings } = JSON.parse(output) as { findings: Finding[] }
    return { status, findings: findings.filter(({ severity }) => severity !== 'note') }
  }

  /** Breaks the host, looks, and mends it; the findings, with status 2. */
  async function checkBroken(config: string): Promise<Finding[]> {
    box.write(CONFIG, config)
    await reload()
    const { status, findings } = await check()
    box.write(CONFIG, sound)
    await reload()
    assert.equal(status, 2)
    return findings
  }

  /** sshd writes its pid file anew when it has read its configuration. */
  async function reload(): Promise<void> {
    const file = '/run/sshd.pid'
    await box.shell(`pid=$(cat ${file}); rm ${file}; kill -HUP "$pid"`)
    await eventually(() => box.exists(file) && box.read(file) !== '', 'sshd does not reload')
  }

  function assertFound(findings: readonly Finding[], check: string, text: RegExp, change?: RegExp) {
    const found = findings.find((one) => one.check === check && text.test(one.text))
    assert.ok(found, JSON.stringify(findings))
    if (change) assert.match(found.change ?? '', change)
  }

  test('a host that was just set up is sound, and says what level 0 lacks', async () => {
    assert.deepEqual(await check(), { status: 0, findings: [] })
    const { output } = await posternIn(box, 'host', 'check')
    assert.match(output, /^note {5}service: not enrolled \(level 0\)/m)
    assert.match(output, /web-1 is sound\.\n$/)
    const logins = () => box.sshdLog().match(/Accepted publickey/g)?.length
    const before = logins()
    assert.equal((await posternIn(box, 'host', 'check', '-skip-login')).status, 0)
    assert.equal(logins(), before)
  })

  test('a host that nobody set up has one fault', async () => {
    const { status, findings } = await check(other)
    assert.equal(status, 2)
    assertFound(findings, 'set-up', /not set up/, /^postern host setup$/)
  })

  test('a Match block is found with its line, though it shows for one account only (protocols 5.3)', async () => {
    const findings = await checkBroken(
      `${sound}Match User sync\n  AuthorizedPrincipalsFile /etc/p\n`,
    )
    const line = sound.split('\n').length + 1
    assertFound(findings, 'match', /Match User sync/, new RegExp(`remove ${CONFIG}:${line}:`))
    assertFound(findings, 'settings', /is "\/etc\/p" for sync$/, /^AuthorizedPrincipalsFile none$/)
  })

  test('settings before ours are found, and that they cost the principals (hosts 1.7)', async () => {
    const findings = await checkBroken(
      `AuthorizedKeysCommand /usr/bin/false\nAuthorizedKeysCommandUser nobody\n${sound}`,
    )
    assertFound(findings, 'order', new RegExp(`^${CONFIG}:1: authorizedkeyscommand`), /remove/)
    if (sshVersion() >= 1004) return
    assertFound(findings, 'settings', /^AuthorizedPrincipalsCommand is "none"/)
    assertFound(findings, 'login', /let nobody in/)
  })

  test('a drop-in that sshd does not read is found, and the line that is missing', async () => {
    const findings = await checkBroken(sound.replace(/^Include.*\n/m, ''))
    assertFound(findings, 'settings', /does not read/, new RegExp(`^Include ${DROP_IN}\n`))
  })

  test('a line that somebody changed in the drop-in is shown as it has to be', async () => {
    const text = box.read(DROP_IN)
    box.write(DROP_IN, text.replace('%u@h.web-1 ', '%u@h.web-1 %u '))
    await reload()
    const { status, findings } = await check()
    box.write(DROP_IN, text)
    await reload()
    assert.equal(status, 2)
    const line = text.split('\n').find((one) => one.startsWith('AuthorizedPrincipalsCommand '))
    assert.equal(findings.find(({ check }) => check === 'settings')?.change, line)
  })

  test('a configuration that the running sshd has not read is found', async () => {
    await box.shell(`touch -d '+1 minute' ${CONFIG}`)
    const { findings } = await check()
    assertFound(findings, 'running', /sshd_config has changed since/, /kill -HUP/)
    await box.shell(`touch -d '-1 minute' ${CONFIG}`)
  })

  test('a missing KRL, which stops every login, is mended by the line it names (hosts 1.8)', async () => {
    await box.shell(`rm ${KRL}`)
    const { findings } = await check()
    assertFound(findings, 'krl', /refuses every key/)
    assertFound(findings, 'login', /./)
    await box.shell(findings.find(({ check }) => check === 'krl')?.change ?? 'false')
    assert.equal((await check()).status, 0)
    box.write(KRL, 'SSHKRL\n')
    assertFound((await check()).findings, 'krl', /damaged/, /^: > /)
    box.write(KRL, '')
  })

  test('files that others may write are mended by the line it names', async () => {
    await box.shell('chmod o+w /etc/ssh/postern/user_ca.pub')
    const { findings } = await check()
    assertFound(findings, 'files', /others than root may write/)
    await box.shell(findings[0]?.change ?? 'false')
    assert.equal((await check()).status, 0)
  })

  test('keys that are left in force are noted, a CA among them is a fault (hosts 1.10)', async () => {
    const options = ['-id=web-2', `-ca-file=${ca.file}`, '-keep-authorized-keys']
    await other.startSshd()
    const setup = await posternIn(other, 'host', 'setup', ...options)
    assert.equal(setup.status, 0, setup.errors)
    other.write('/root/.ssh/authorized_keys', '# mine\nssh-ed25519 AAAA me\n')
    assert.equal((await check(other)).status, 0)
    assert.match(
      (await posternIn(other, 'host', 'check')).output,
      /^note {5}keys: \/root\/\.ssh\/authorized_keys lets 1 key\(s\) in/m,
    )
    other.write(
      '/root/.ssh/authorized_keys',
      'ssh-ed25519 AAAA me\ncert-authority ssh-ed25519 BBBB\n',
    )
    const { status, findings } = await check(other)
    assert.equal(status, 2)
    assertFound(findings, 'keys', /authorized_keys:2 trusts a CA/)
    await other.shell(findings[0]?.change ?? 'false')
    assert.equal((await check(other)).status, 0)
    // Users put there what they like: nobody is to be kept from looking at the others.
    await other.shell(
      'useradd --create-home a && useradd --create-home b && useradd --create-home c',
    )
    await other.shell('for user in a b c; do mkdir /home/$user/.ssh; done')
    await other.shell('mkdir /home/a/.ssh/authorized_keys; mkfifo /home/b/.ssh/authorized_keys')
    await other.shell('ln -s /dev/zero /home/c/.ssh/authorized_keys')
    const odd = await check(other)
    assert.equal(odd.status, 1)
    assert.equal(odd.findings.filter(({ text }) => /it is no file/.test(text)).length, 3)
  })
})
