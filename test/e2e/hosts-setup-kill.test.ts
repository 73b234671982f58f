/**
 * `postern host setup` killed at each of its steps: sshd is never without its files, somebody can always log in, also
 * after a restart, and the next command puts everything back (protocols 5.3).
 */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { after, before, suite, test } from 'node:test'
import { type Box, startBoxes } from '../support/boxes.ts'
import { filesOf, makeTestCa, posternIn, posternWords, type TestCa } from '../support/host-setup.ts'
import { eventually } from '../support/site.ts'

/** As many as set-up tells of; the last one is that all is done. */
const STEPS = [1, 2, 3, 4, 5]
const CONFIG = '/etc/ssh/sshd_config'
const FOLDERS = ['/etc/ssh', '/var/lib/postern-host']

/** Writes down each moment in which a file is missing that sshd would need for a login. */
const WATCH = `
while :; do
  [ -e /etc/ssh/sshd_config ] || echo sshd_config
  if [ -e /etc/ssh/sshd_config.d/00-postern.conf ]; then
    [ -e /etc/ssh/postern/revoked.krl ] || echo revoked.krl
    [ -s /etc/ssh/postern/user_ca.pub ] || echo user_ca.pub
  fi
done`

suite('postern host setup, cut off', () => {
  const resources = new AsyncDisposableStack()
  let ca: TestCa
  let boxes: readonly Box[]

  before(async () => {
    ca = resources.use(makeTestCa())
    boxes = resources.use(await startBoxes({ names: ['killed', 'ended'] })).boxes
    for (const box of boxes) {
      box.write('/root/.ssh/authorized_keys', readFileSync(`${ca.key}.pub`))
      await box.startSshd()
    }
  })

  after(() => resources.disposeAsync())

  const words = () => posternWords('host', 'setup', '-id=web-1', `-ca-file=${ca.file}`)

  /** Sends a signal to set-up once it has told of so many steps. */
  async function cutOff(box: Box, steps: number, signal: NodeJS.Signals): Promise<string> {
    const child = box.spawn(words())
    const ended = once(child, 'exit')
    let output = ''
    let errors = ''
    child.stderr?.on('data', (chunk) => {
      errors += chunk
    })
    child.stdout?.on('data', (chunk) => {
      output += chunk
      if (output.split('\n').length > steps) signalInBox(child, signal)
    })
    await ended
    return errors
  }

  /** What was missing at any moment of the work. */
  async function missingDuring(box: Box, work: () => Promise<void>): Promise<string> {
    const watcher = box.spawn(['nice', 'sh', '-c', WATCH])
    let missing = ''
    watcher.stdout?.on('data', (chunk) => {
      missing += chunk
    })
    await work()
    signalInBox(watcher, 'SIGKILL')
    await once(watcher, 'close')
    return missing
  }

  async function assertSomebodyGetsIn(box: Box): Promise<void> {
    const certificate = ca.certificate('root@h.web-1')
    const login = await box.login({ user: 'root', key: ca.key, certificate })
    assert.equal(login.status, 0, login.errors + box.sshdLog())
  }

  for (const steps of STEPS) {
    test(`killed after step ${steps}, nobody is locked out, and the next command restores all`, async () => {
      const box = boxes[0] as Box
      const earlier = await filesOf(box, ...FOLDERS)
      const missing = await missingDuring(box, async () => {
        await cutOff(box, steps, 'SIGKILL')
        // The key or the certificate, whichever sshd takes by now.
        await assertSomebodyGetsIn(box)
        await box.stopSshd()
        await box.startSshd()
        await assertSomebodyGetsIn(box)
        const left = await posternIn(box, 'host', 'leave')
        assert.equal(left.status, 0, left.errors)
        assert.deepEqual(await filesOf(box, ...FOLDERS), earlier)
      })
      assert.equal(missing, '')
    })
  }

  test('set-up again after a kill undoes what is half done, then does it all, and no file is missing meanwhile', async () => {
    const box = boxes[0] as Box
    // Without Include, so that the main file is changed too.
    box.write(CONFIG, box.read(CONFIG).replace(/^Include.*\n/m, ''))
    await cutOff(box, 4, 'SIGKILL')
    const missing = await missingDuring(box, async () => {
      const { status, output, errors } = await box.run(words())
      assert.equal(status, 0, errors)
      assert.match(output, /^a set-up that was cut off is undone\n/)
      assert.equal(box.read('/etc/ssh/postern/user_ca.pub'), readFileSync(ca.file, 'utf8'))
      assert.equal((await box.run(words())).status, 0)
      assert.equal((await posternIn(box, 'host', 'leave')).status, 0)
    })
    assert.equal(missing, '')
  })

  test('ended by a signal, it puts everything back before it goes', async () => {
    const box = boxes[1] as Box
    const earlier = await filesOf(box, ...FOLDERS)
    for (const [steps, signal] of [
      [2, 'SIGINT'],
      [4, 'SIGTERM'],
      [5, 'SIGHUP'],
    ] as const) {
      assert.match(
        await cutOff(box, steps, signal),
        new RegExp(`${signal}: everything is as it was`),
      )
      assert.deepEqual(await filesOf(box, ...FOLDERS), earlier)
      assert.equal((await box.login({ user: 'root', key: ca.key })).status, 0)
    }
  })

  test('two set-ups at once do not undo one another', async () => {
    const box = boxes[1] as Box
    const first = box.spawn(words())
    await eventually(() => box.exists('/var/lib/postern-host/setup-journal.json'), 'no journal')
    const second = await box.run(words())
    assert.match(second.errors, /another set-up is at work: process [0-9]+/)
    const [status] = await once(first, 'exit')
    assert.equal(status, 0)
    await assertSomebodyGetsIn(box)
  })
})

/** To the program itself: nsenter, which starts it in the box, passes nothing on. */
function signalInBox({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
  for (const child of children.split(' ').filter(Boolean)) process.kill(Number(child), signal)
}
