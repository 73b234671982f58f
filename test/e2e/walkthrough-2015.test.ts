/**
 * The document of 2015, one-time passwords: its commands through our command line against a real server, and a
 * login to a real sshd with what they print.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import { type RunningServer, startDevServer } from '../support/server.ts'
import { logInWithPassword, makeUser, type PrivateSshd, startSshd } from '../support/sshd.ts'

const BIN = path.resolve(import.meta.dirname, '../../bin')
const USER = `ptest-w${process.pid}`

suite('the one-time passwords of 2015', () => {
  const resources = new AsyncDisposableStack()
  let server: RunningServer
  let sshd: PrivateSshd
  let home: string

  before(async () => {
    resources.use(makeUser(USER))
    home = resources.adopt(mkdtempSync(path.join(os.tmpdir(), 'postern-w2015-')), (folder) =>
      rmSync(folder, { recursive: true }),
    )
    server = resources.adopt(await startDevServer(), async (running) => void (await running.stop()))
    const helper = `${process.execPath} ${BIN}/postern-host.js verify-otp -dev -config=FOLDER/host.hcl`
    sshd = resources.use(
      await startSshd({
        settings: ['KbdInteractiveAuthentication yes', 'PasswordAuthentication no'],
        pam: [
          `auth requisite pam_exec.so quiet expose_authtok log=FOLDER/helper.log ${helper}`,
          'auth optional pam_unix.so not_set_pass use_first_pass nodelay',
          'account required pam_permit.so',
          'session required pam_permit.so',
        ],
        files: { 'host.hcl': `vault_addr = "${server.address}"\nallowed_roles = "*"\n` },
      }),
    )
  })

  after(() => resources.disposeAsync())

  /** A command of the document, with our program in the place of `vault`. */
  function vault(...words: string[]): Promise<{ status: number; output: string; errors: string }> {
    const env = {
      PATH: process.env['PATH'],
      HOME: home,
      VAULT_ADDR: server.address,
      VAULT_TOKEN: 'root',
    }
    return new Promise((resolve) => {
      execFile(
        process.execPath,
        [`${BIN}/postern.js`, ...words],
        { env },
        (error, output, errors) => resolve({ status: Number(error?.code ?? 0), output, errors }),
      )
    })
  }

  /** The rows of a table, by key. */
  function rowsOf(output: string): Map<string, string> {
    const rows = output
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/ {2,}/))
    return new Map(rows.map(([key = '', value = '']) => [key, value]))
  }

  test('mount mounts the engine as it was, and says so', async () => {
    const { status, output, errors } = await vault('mount', 'ssh')
    assert.equal(status, 0, errors)
    assert.equal(output, "Successfully mounted 'ssh' at 'ssh'!\n")
    assert.match(errors, /compat=2015/)
    const mounts = JSON.parse((await vault('secrets', 'list', '-format=json')).output)
    assert.equal(mounts['ssh/'].options.compat, '2015')
  })

  test('path-help tells about the paths of the engine', async () => {
    const { status, output } = await vault('path-help', 'ssh')
    assert.equal(status, 0)
    assert.match(output, /creds\//)
  })

  test('a role is written, a password issued, and the login works once', async () => {
    const written = await vault(
      'write',
      'ssh/roles/otp_key_role',
      'key_type=otp',
      `default_user=${USER}`,
      'cidr_list=10.0.0.0/8,127.0.0.0/8',
    )
    assert.equal(written.status, 0, written.errors)
    assert.equal(written.output, 'Success! Data written to: ssh/roles/otp_key_role\n')
    const issued = await vault('write', 'ssh/creds/otp_key_role', 'ip=127.0.0.1')
    assert.equal(issued.status, 0, issued.errors)
    const rows = rowsOf(issued.output)
    assert.match(rows.get('lease_id') ?? '', /^ssh\/creds\/otp_key_role\//)
    assert.equal(rows.get('lease_duration'), '10m')
    assert.equal(rows.get('lease_renewable'), 'false')
    assert.equal(rows.get('port'), '22')
    assert.equal(rows.get('username'), USER)
    assert.equal(rows.get('ip'), '127.0.0.1')
    assert.equal(rows.get('key_type'), 'otp')
    const otp = rows.get('key') ?? ''
    const login = await logInWithPassword(sshd, USER, otp)
    assert.equal(login.status, 0, `${login.errors}\n${sshd.log()}`)
    assert.equal(login.output.trim(), USER)
    assert.notEqual((await logInWithPassword(sshd, USER, otp)).status, 0)
  })

  test('an address outside the role is refused with the words of the API', async () => {
    const { status, errors } = await vault('write', 'ssh/creds/otp_key_role', 'ip=192.0.2.1')
    assert.equal(status, 2)
    assert.match(
      errors,
      /^Error writing data to ssh\/creds\/otp_key_role: Error making API request/,
    )
    assert.match(errors, /\* Error validating IP: IP does not belong to role/)
  })

  test('cidr_list may be left out, as the document says', async () => {
    const role = ['key_type=otp', `default_user=${USER}`]
    assert.equal((await vault('write', 'ssh/roles/anywhere', ...role)).status, 0)
    const issued = await vault('write', 'ssh/creds/anywhere', 'ip=192.0.2.1', 'username=other')
    assert.equal(issued.status, 0, issued.errors)
  })
})
