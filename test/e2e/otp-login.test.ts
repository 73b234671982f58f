/** One-time passwords from issue to login: a real sshd with PAM, `postern-host verify-otp`, a real server. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import { type Api, apiOf } from '../support/api.ts'
import { type RunningServer, startDevServer } from '../support/server.ts'
import { logInWithPassword, makeUser, type PrivateSshd, startSshd } from '../support/sshd.ts'

const HOST_PROGRAM = path.resolve(import.meta.dirname, '../../bin/postern-host.js')
const ALICE = `ptest-a${process.pid}`
const BOB = `ptest-b${process.pid}`
/** Of a network for documentation: no interface here has it. */
const ELSEWHERE = '198.51.100.7'

interface AuditLine {
  readonly type: string
  readonly request: { readonly path: string; readonly data?: Record<string, string> }
  readonly response?: { readonly data?: Record<string, string> }
}

suite('a login with a one-time password', () => {
  const resources = new AsyncDisposableStack()
  let server: RunningServer
  let sshd: PrivateSshd
  let root: Api
  let anybody: Api
  const issued: string[] = []

  before(async () => {
    for (const user of [ALICE, BOB]) resources.use(makeUser(user))
    server = resources.adopt(await startDevServer(), async (running) => void (await running.stop()))
    root = apiOf(server.address, 'root')
    anybody = apiOf(server.address, '')
    const helper = `${process.execPath} ${HOST_PROGRAM} verify-otp -dev -config=FOLDER/host.hcl`
    sshd = resources.use(
      await startSshd({
        settings: ['KbdInteractiveAuthentication yes', 'PasswordAuthentication no'],
        pam: [
          `auth requisite pam_exec.so quiet expose_authtok log=FOLDER/helper.log ${helper}`,
          'auth optional pam_unix.so not_set_pass use_first_pass nodelay',
          'account required pam_permit.so',
          'session required pam_permit.so',
        ],
        files: { 'host.hcl': `vault_addr = "${server.address}"\nallowed_roles = "otp"\n` },
      }),
    )
    const options = { file_path: auditFile() }
    await expectStatus(204, root('PUT', 'sys/audit/file', { type: 'file', options }))
    await expectStatus(204, root('POST', 'sys/mounts/ssh', { type: 'ssh' }))
    for (const role of ['otp', 'other']) {
      await expectStatus(
        204,
        root('PUT', `ssh/roles/${role}`, {
          key_type: 'otp',
          default_user: ALICE,
          allowed_users: BOB,
          cidr_list: '127.0.0.0/8,198.51.100.0/24',
        }),
      )
    }
  })

  after(() => resources.disposeAsync())

  const auditFile = () => path.join(sshd.folder, 'audit.log')
  const helperLog = () => readFileSync(path.join(sshd.folder, 'helper.log'), 'utf8')

  async function expectStatus(status: number, answer: ReturnType<Api>): Promise<void> {
    const { status: actual, body } = await answer
    assert.equal(actual, status, JSON.stringify(body))
  }

  async function issueOtp({ username = ALICE, ip = '127.0.0.1', role = 'otp' } = {}) {
    const { status, body } = await root('PUT', `ssh/creds/${role}`, { username, ip })
    assert.equal(status, 200, JSON.stringify(body))
    assert.equal(body.data.key_type, 'otp')
    issued.push(body.data.key)
    return body.data.key as string
  }

  async function assertLetIn(user: string, otp: string): Promise<void> {
    const login = await logInWithPassword(sshd, user, otp)
    assert.equal(login.status, 0, `${login.errors}\n${helperLog()}\n${sshd.log()}`)
    assert.equal(login.output.trim(), user)
  }

  async function assertRefused(user: string, otp: string, reason: RegExp): Promise<void> {
    const before = helperLog().length
    const login = await logInWithPassword(sshd, user, otp)
    assert.notEqual(login.status, 0)
    assert.equal(login.output, '')
    assert.match(helperLog().slice(before), reason)
  }

  test('lets the user in once, and never again with the same password', async () => {
    const otp = await issueOtp()
    await assertLetIn(ALICE, otp)
    await assertRefused(ALICE, otp, /OTP not found/)
  })

  test('refuses what is no one-time password', async () => {
    await assertRefused(ALICE, 'hunter2', /not the form of an OTP/)
    await assertRefused(ALICE, '2f7e25a2-24c9-4b7b-0d35-27d5e5203a5c', /OTP not found/)
  })

  test('refuses the password of another user and leaves it good for its own', async () => {
    const otp = await issueOtp({ username: BOB })
    await assertRefused(ALICE, otp, /another username/)
    await assertLetIn(BOB, otp)
  })

  test('CVE-2020-24359: refuses the password of another host and leaves it good there', async () => {
    const otp = await issueOtp({ ip: ELSEWHERE })
    await assertRefused(ALICE, otp, /another IP/)
    const there = await anybody('PUT', 'ssh/verify', { otp, username: ALICE, ips: [ELSEWHERE] })
    assert.equal(there.status, 200, JSON.stringify(there.body))
    assert.deepEqual(there.body.data, { ip: ELSEWHERE, role_name: 'otp', username: ALICE })
  })

  test('Helper allowed_roles: refuses the password of a role that the host does not name', async () => {
    await assertRefused(ALICE, await issueOtp({ role: 'other' }), /allowed_roles/)
  })

  test('refuses a password whose lease was revoked', async () => {
    const { body } = await root('PUT', 'ssh/creds/otp', { ip: '127.0.0.1' })
    await expectStatus(204, root('PUT', 'sys/leases/revoke', { lease_id: body.lease_id }))
    await assertRefused(ALICE, body.data.key, /OTP not found/)
  })

  test('leaves issue and use in the audit log under one HMAC, and no password in any log', async () => {
    const otp = await issueOtp()
    await assertLetIn(ALICE, otp)
    const text = readFileSync(auditFile(), 'utf8')
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line): AuditLine => JSON.parse(line))
    const answers = (of: string) =>
      lines.filter(({ type, request }) => type === 'response' && request.path === of)
    const used = answers('ssh/verify').at(-1)?.request.data?.['otp']
    const issues = answers('ssh/creds/otp').map(({ response }) => response?.data?.['key'])
    assert.match(used ?? '', /^hmac-sha256:[0-9a-f]{64}$/)
    assert.equal(issues.at(-1), used)
    assert.equal(issues.filter((hash) => hash === used).length, 1)
    const logs = [text, helperLog(), sshd.log(), server.output()].join('\n')
    for (const secret of issued) assert.equal(logs.includes(secret), false)
  })

  test('of 64 hosts that verify one password at once, one is told yes', async () => {
    const otp = await issueOtp()
    const answers = await Promise.all(
      Array.from({ length: 64 }, () => anybody('PUT', 'ssh/verify', { otp })),
    )
    const statuses = answers.map(({ status }) => status)
    assert.equal(statuses.filter((status) => status === 200).length, 1, statuses.join(' '))
    // 429 where the limit on misses was reached first.
    assert.ok(
      statuses.every((status) => [200, 400, 429].includes(status)),
      statuses.join(' '),
    )
  })

  test('refuses everybody while the server is away', async () => {
    const otp = await issueOtp()
    await server.stop()
    await assertRefused(ALICE, otp, /ECONNREFUSED/)
  })
})
