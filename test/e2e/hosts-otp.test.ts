/** One-time passwords on enrolled hosts: real hosts with sshd and PAM, the real server, and false ones (protocols 5.4, 5.5). */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmodSync } from 'node:fs'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { OtpLogin } from '../../src/host/otp/record.ts'
import { startFakeServer } from '../client/fake-server.ts'
import { type Api, apiOf } from '../support/api.ts'
import { type Box, type Boxes, startBoxes } from '../support/boxes.ts'
import { posternWords } from '../support/host-setup.ts'
import { type RunningServer, startServer } from '../support/server.ts'

const HOST_BIN = path.resolve(import.meta.dirname, '../../bin/postern-host.js')
const USER = 'deploy'
const HELPER = `${process.execPath} ${HOST_BIN} verify-otp -dev -config=/etc/postern/host.hcl`
const PAM = [
  `auth requisite pam_exec.so quiet expose_authtok log=/var/log/helper.log ${HELPER}`,
  'auth optional pam_unix.so not_set_pass use_first_pass nodelay',
  'account required pam_permit.so',
  'session optional pam_exec.so quiet /var/tmp/session.sh',
  'session required pam_permit.so',
]
const SSHD = ['UsePAM yes', 'KbdInteractiveAuthentication yes', 'PubkeyAuthentication no']

suite('one-time passwords on enrolled hosts', () => {
  const resources = new AsyncDisposableStack()
  let site: Boxes
  let server: RunningServer
  let api: Api
  let one: Box
  let two: Box

  before(async () => {
    site = resources.use(await startBoxes({ names: ['web-1', 'web-2'] }))
    ;[one, two] = site.boxes as [Box, Box]
    const address = `-dev-listen-address=${site.address}:0`
    server = await startServer(['-dev', '-dev-root-token-id=root', address])
    resources.defer(async () => void (await server.stop()))
    api = apiOf(server.address, 'root')
    await done('sys/mounts/ssh', { type: 'ssh' })
    await done('ssh/config/hosts', { host_scope: true })
    const role = { key_type: 'otp', default_user: USER, cidr_list: site.network }
    await done('ssh/roles/otp', role)
    await done('ssh/roles/strict', { ...role, require_host_identity: true })
    await Promise.all(site.boxes.map(setUp))
  })

  after(() => resources.disposeAsync())

  async function done(place: string, body: unknown, by: Api = api) {
    const answer = await by('PUT', place, body)
    assert.ok(answer.status < 300, `${place}: ${JSON.stringify(answer.body)}`)
    return answer.body?.data
  }

  async function setUp(box: Box): Promise<void> {
    await box.shell(`useradd --create-home --shell /bin/sh --password '*' ${USER}`)
    box.write('/etc/pam.d/sshd', `${PAM.join('\n')}\n`)
    box.write('/etc/ssh/sshd_config.d/10-otp.conf', `${SSHD.join('\n')}\n`)
    box.write('/var/tmp/session.sh', '#!/bin/sh\necho "$PPID $PAM_TYPE" >> /var/tmp/sessions\n')
    chmodSync(path.join(box.root, '/var/tmp/session.sh'), 0o755)
    pointAt(box, server.address)
    const { join_token } = await done('ssh/join-tokens', { name_pattern: box.name })
    const words = [process.execPath, HOST_BIN, 'enroll', '-dev', `-name=${box.name}`]
    const enrolled = await box.run(words, { input: join_token })
    assert.equal(enrolled.status, 0, enrolled.errors)
    await box.startSshd()
  }

  function pointAt(box: Box, address: string): void {
    box.write('/etc/postern/host.hcl', `vault_addr = "${address}"\nallowed_roles = "*"\n`)
  }

  async function otpFor(fields: object, role = 'otp'): Promise<string> {
    return (await done(`ssh/creds/${role}`, fields)).key
  }

  function logIn(box: Box, otp: string, method = 'keyboard-interactive') {
    const options = [`PreferredAuthentications=${method}`, 'NumberOfPasswordPrompts=1']
    const known = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null']
    const flags = [...options, ...known].map((option) => `-o${option}`)
    const target = [...flags, `${USER}@${box.address}`, 'id -un']
    const [program = '', ...args] = ['sshpass', '-e', 'ssh', '-F', 'none', ...target]
    return new Promise<boolean>((resolve) => {
      const env = { ...process.env, SSHPASS: otp }
      execFile(program, args, { env, timeout: 20_000 }, (error, output) => {
        resolve(!error && output.trim() === USER)
      })
    })
  }

  const helperLog = (box: Box) => box.read('/var/log/helper.log')

  async function assertLetIn(box: Box, otp: string, method?: string): Promise<void> {
    assert.equal(await logIn(box, otp, method), true, `${helperLog(box)}\n${box.sshdLog()}`)
  }

  async function assertRefused(box: Box, otp: string, reason: RegExp): Promise<void> {
    const before = box.exists('/var/log/helper.log') ? helperLog(box).length : 0
    assert.equal(await logIn(box, otp), false)
    assert.match(helperLog(box).slice(before), reason)
  }

  for (const method of ['keyboard-interactive', 'password']) {
    test(`a password for a host is good there once, and its session finds the record (${method})`, async () => {
      const otp = await otpFor({ host: 'web-1' })
      await assertLetIn(one, otp, method)
      await assertRefused(one, otp, /OTP not found/)
      const [name, ...others] = (await one.shell('ls /run/postern/otp')).trim().split('\n')
      assert.deepEqual(others, [])
      const record: OtpLogin = JSON.parse(one.read(`/run/postern/otp/${name}`))
      assert.deepEqual([record.user, record.role], [USER, 'otp'])
      assert.match(record.lease ?? '', /^ssh\/creds\/otp\//)
      assert.equal(record.rhost, site.address)
      const sessions = one.read('/var/tmp/sessions').trim().split('\n')
      const opened = sessions.filter((line) => line.endsWith('open_session')).at(-1) ?? ''
      const pids = record.processes.map(({ pid }) => pid)
      assert.ok(pids.includes(Number.parseInt(opened, 10)), `${opened}: ${pids}`)
      await one.shell('rm /run/postern/otp/*')
    })
  }

  test('CVE-2020-24359: the password of one host is refused on the next one, and stays good', async () => {
    const otp = await otpFor({ host: 'web-1' })
    await assertRefused(two, otp, /issued for another host/)
    await assertLetIn(one, otp)
  })

  test('who took a whole state over from another host is still none but itself', async () => {
    const own = two.read('/var/lib/postern-host/state.json')
    two.write(
      '/var/lib/postern-host/state.json',
      one.read('/var/lib/postern-host/state.json'),
      0o600,
    )
    const otp = await otpFor({ host: 'web-1' })
    await assertRefused(two, otp, /403: permission denied/)
    two.write('/var/lib/postern-host/state.json', own, 0o600)
    await assertLetIn(one, otp)
  })

  test('a role for enrolled hosts refuses whoever does not say who it is, and burns no password', async () => {
    const otp = await otpFor({ ip: one.address }, 'strict')
    const anybody = apiOf(server.address, '')
    const plain = await anybody('PUT', 'ssh/verify', { otp, ips: [one.address] })
    assert.equal(plain.status, 400)
    await assertLetIn(one, otp)
  })

  test('protocols 5.5: a server that says yes to everything lets nobody in', async () => {
    const yes = { ip: one.address, username: USER, role_name: 'otp', host: 'web-1' }
    const listen = { host: site.address, port: 0 }
    await using fake = await startFakeServer(() => ({ body: { data: yes } }), { listen })
    pointAt(one, fake.address.replace('127.0.0.1', site.address))
    await assertRefused(one, '2f7e25a2-24c9-4b7b-0d35-27d5e5203a5c', /not signed/)
    assert.equal(fake.seen.length, 1)
    pointAt(one, server.address)
    await assertLetIn(one, await otpFor({ host: 'web-1' }))
  })

  test('protocols 5.5: an answer of yesterday, played again by somebody between, lets nobody in', async () => {
    const otp = await otpFor({ host: 'web-1' })
    let heard: unknown
    const listen = { host: site.address, port: 0 }
    await using between = await startFakeServer(
      ({ body, headers }) => {
        heard ??= pass(server.address, body, headers)
        return { body: heard }
      },
      { listen },
    )
    pointAt(one, between.address.replace('127.0.0.1', site.address))
    await assertLetIn(one, otp)
    await assertRefused(one, otp, /the signature is of another answer/)
    pointAt(one, server.address)
  })

  test('postern ssh needs no more than it did: the host is found by what the user types', async () => {
    const flags = ['-mode=otp', '-role=strict', '-strict-host-key-checking=no']
    const words = [...flags, '-user-known-hosts-file=/dev/null', `${USER}@${one.address}`, 'id -un']
    const [program = '', ...args] = posternWords('ssh', ...words)
    const env = { ...process.env, VAULT_ADDR: server.address, VAULT_TOKEN: 'root' }
    const { output, errors } = await new Promise<{ output: string; errors: string }>((resolve) => {
      execFile(program, args, { env, timeout: 30_000 }, (_, stdout, stderr) => {
        resolve({ output: stdout, errors: stderr })
      })
    })
    assert.equal(output.trim(), USER, errors)
  })
})

/** Hands a request on, with its signature. */
async function pass(
  address: string,
  body: string,
  headers: Readonly<Record<string, string | string[] | undefined>>,
): Promise<unknown> {
  const signed = Object.entries(headers).filter(([name]) => name.startsWith('x-'))
  const reply = await fetch(`${address}/v1/ssh/verify`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...(Object.fromEntries(signed) as object) },
    body,
  })
  return await reply.json()
}
