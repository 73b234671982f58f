/** `postern-host service` when things go wrong: killed at any moment, or lied to by what is between it and its server (protocols 5.6). */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import { parseKrl } from '../../src/ssh/krl/parse-krl.ts'
import { type EnrolledBox, startEnrolledBox } from '../support/enrolled-box.ts'
import { eventually } from '../support/site.ts'

const KRL = '/etc/ssh/postern/revoked.krl'
const USER_CA = '/etc/ssh/postern/user_ca.pub'
const DROP_IN = '/etc/ssh/sshd_config.d/00-postern.conf'
const CERTIFICATE = '/etc/ssh/ssh_host_ed25519_key-cert.pub'
const STATE = '/var/lib/postern-host/state.json'
const RELOAD_DUE = '/var/lib/postern-host/reload-due'
const KILLS = 5
/** Of its own: pages of the program are shared, and read again when they are needed. */
const MAX_MEMORY_KIB = 40 * 1024

suite('the service when things go wrong', () => {
  let host: EnrolledBox

  before(async () => {
    host = await startEnrolledBox('web-1')
  })
  after(() => host?.[Symbol.asyncDispose]())

  const bytesOf = (file: string) => Buffer.from(host.box.read(file), 'latin1')
  const revoke = (serial: string) => host.ask('POST', 'ssh/revoke', { serial_number: serial })
  const isRefused = (file: string) =>
    eventually(
      async () => !(await host.letsIn(file)),
      () => `it still lets in:\n${host.log()}`,
    )

  test('trusts the scoped CAs alone, under the limits of its unit', async () => {
    const { box, ask } = host
    const [scoped, bare] = [
      await ask('GET', 'ssh/public_key?usage=scoped'),
      await ask('GET', 'ssh/public_key'),
    ]
    assert.equal(box.read(USER_CA).trim(), String(scoped).trim())
    assert.notEqual(String(scoped).trim(), String(bare).trim())
    assert.match(box.read(`/proc/${host.status().pid}/status`), /^NoNewPrivs:\s+1$/m)
    assert.equal(await box.shell(`stat -c '%U %a' ${STATE} ${KRL}`), 'root 600\nroot 644\n')
  })

  test('kill -9 at any moment leaves sshd with all its files, and nothing undone', async () => {
    const { box, ask } = host
    const good = await host.certificate()
    let last = good
    for (let kill = 0; kill < KILLS; kill++) {
      await host.signal('SIGKILL')
      last = await host.certificate()
      await revoke(last.serial)
      await ask('POST', 'ssh/hosts/web-1', { groups: `web,g${kill}` })
      host.start()
      // Not for something to happen: at some moment of its first round.
      await new Promise((resolve) => setTimeout(resolve, 150 + 600 * Math.random()))
      await box.shell('/usr/sbin/sshd -t')
      assert.ok(execFileSync('ssh-keygen', ['-lf', '-'], { input: box.read(USER_CA) }))
      parseKrl(await krlBytes())
      assert.equal(await host.letsIn(good.file), true)
    }
    await host.signal('SIGKILL')
    host.start()
    await isRefused(last.file)
    const blue = await host.certificate({ group: `g${KILLS - 1}` })
    await eventually(() => host.letsIn(blue.file), 'the last groups')
    assert.equal(box.exists(RELOAD_DUE), false)
    assert.match(box.read(DROP_IN), new RegExp(`%u@g\\.g${KILLS - 1}`))
  })

  test('a reload that a kill prevented is done at the next start, and not while sshd would end by it', async () => {
    const { box } = host
    const reloads = () => box.sshdLog().split('Received SIGHUP').length
    const main = box.read('/etc/ssh/sshd_config')
    await host.signal('SIGKILL')
    box.write(RELOAD_DUE, '')
    box.write('/etc/ssh/sshd_config', `${main}Nonsense yes\n`)
    const before = reloads()
    host.start()
    await eventually(
      () => /Bad configuration option/.test(host.status().errors?.bundle),
      () => `no complaint: ${host.log()}`,
    )
    assert.deepEqual([reloads(), box.exists(RELOAD_DUE)], [before, true])
    box.write('/etc/ssh/sshd_config', main)
    await eventually(() => !box.exists(RELOAD_DUE), 'the reload')
    assert.equal(reloads(), before + 1)
    await eventually(() => host.status().errors?.bundle === undefined, 'no complaint')
    assert.equal(reloads(), before + 1)
  })

  /** As it is, not as text. */
  async function krlBytes(): Promise<Buffer> {
    return Buffer.from(await host.box.shell(`base64 ${KRL}`), 'base64')
  }

  test('older lists and bundles, and those for another host, change nothing', async () => {
    const { meddler, box } = host
    const old = ['ssh/krl', 'ssh/krl.sig', 'ssh/host/bundle'].map(
      (place) => [place, meddler.seen.get(place)!] as const,
    )
    const { file, serial } = await host.certificate()
    assert.equal(await host.letsIn(file), true)
    await revoke(serial)
    await host.ask('POST', 'ssh/hosts/web-1', { groups: 'web' })
    await host.signal('SIGHUP')
    await isRefused(file)
    await eventually(() => !/@g\.g/.test(box.read(DROP_IN)), 'the new groups')
    const files = () => [KRL, USER_CA, DROP_IN, STATE].map(bytesOf)
    const before = files()
    for (const [place, answer] of old) meddler.lies.set(place, answer)
    await host.signal('SIGHUP')
    await eventually(() => Object.keys(host.status().errors ?? {}).length === 2, 'two complaints')
    const { errors } = host.status()
    assert.match(errors.krl, /older than/)
    assert.match(errors.bundle, /older than/)
    assert.deepEqual(files(), before)

    const newest = meddler.seen.get('ssh/krl')!
    meddler.lies.clear()
    meddler.lies.set('ssh/krl', { ...newest, body: newest.body.subarray(0, -1) })
    await host.signal('SIGHUP')
    await eventually(
      () => /not the one that the server has signed/.test(host.status().errors?.krl),
      'a complaint',
    )
    assert.deepEqual(files().slice(0, 3), before.slice(0, 3))
    assert.equal(await host.letsIn(file), false)
    meddler.lies.clear()
    await host.signal('SIGHUP')
    await eventually(() => Object.keys(host.status().errors ?? {}).length === 0, 'no complaint')
  })

  test('a server that holds the list back is found out by its bundle', async () => {
    const { meddler } = host
    const frozen = ['ssh/krl', 'ssh/krl.sig'].map(
      (place) => [place, meddler.seen.get(place)!] as const,
    )
    for (const [place, answer] of frozen) meddler.lies.set(place, answer)
    await revoke((await host.certificate()).serial)
    await host.signal('SIGHUP')
    await eventually(() => /newer KRL/.test(host.status().alarms?.join()), 'an alarm')
    await eventually(() => /ALARM: there is a newer KRL/.test(host.log()), 'a line of it')
    meddler.lies.clear()
    await eventually(() => host.status().alarms?.length === 0, 'the end of the alarm')
    await eventually(() => /no longer: there is a newer KRL/.test(host.log()), 'a line of that')
  })

  test('a host certificate near its end is renewed, and strict clients take the new one', async () => {
    const { box, folder, key } = host
    const ca = path.join(folder, 'old-ca')
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', ca])
    const subject = path.join(folder, 'host.pub')
    writeFileSync(subject, box.read('/etc/ssh/ssh_host_ed25519_key.pub'))
    const times = ['-V', '-50m:+10m', '-h', '-I', 'old', '-n', 'web-1']
    execFileSync('ssh-keygen', ['-q', '-s', ca, ...times, subject])
    const old = execFileSync('cat', [path.join(folder, 'host-cert.pub')], { encoding: 'utf8' })
    box.write(CERTIFICATE, old)
    await host.signal('SIGHUP')
    await eventually(() => box.read(CERTIFICATE) !== old, 'another certificate')
    const known = path.join(folder, 'known_hosts')
    const bare = String(await host.ask('GET', 'ssh/public_key'))
    writeFileSync(known, `@cert-authority ${box.address} ${bare}`)
    const { file } = await host.certificate({ host: 'web-1' })
    const strict = [`-oUserKnownHostsFile=${known}`, '-oGlobalKnownHostsFile=none', '-i', key]
    const words = ['-F', 'none', '-oBatchMode=yes', '-oStrictHostKeyChecking=yes', ...strict]
    await eventually(() => {
      const options = { encoding: 'utf8' as const, stdio: 'pipe' as const }
      const place = [`-oCertificateFile=${file}`, `deploy@${box.address}`, 'id -un']
      try {
        return execFileSync('ssh', [...words, ...place], options) === 'deploy\n'
      } catch {
        return false
      }
    }, 'a strict login')
    assert.match(box.read(DROP_IN), new RegExp(`^HostCertificate ${CERTIFICATE}$`, 'm'))
  })

  test("the server's key changes in two steps, and revocations arrive after both", async () => {
    const known = () => JSON.parse(host.box.read(STATE))
    const first = known().server_key
    const { next_public_key: next } = await host.ask('POST', 'ssh/config/identity/rotate')
    await host.signal('SIGHUP')
    await eventually(() => known().next_server_key === next, 'the announced key')
    assert.equal(known().server_key, first)
    await host.ask('POST', 'ssh/config/identity/rotate', { finish: true })
    await host.signal('SIGHUP')
    await eventually(() => known().server_key === next, 'the new key')
    assert.equal(known().next_server_key, undefined)
    const { file, serial } = await host.certificate()
    assert.equal(await host.letsIn(file), true)
    await revoke(serial)
    await isRefused(file)
  })

  test('is small, and ends at once when it is told to', async () => {
    const memory = host.box.read(`/proc/${host.status().pid}/status`)
    const [, kibibytes] = /^RssAnon:\s+(\d+) kB$/m.exec(memory) ?? []
    assert.ok(Number(kibibytes) < MAX_MEMORY_KIB, `${kibibytes} KiB`)
    const started = performance.now()
    await host.signal('SIGTERM')
    assert.ok(performance.now() - started < 5000)
    const { status, output } = await host.box.run(['sshd', '-t', '-f', '/etc/ssh/sshd_config'])
    assert.deepEqual([status, output], [0, ''])
  })
})
