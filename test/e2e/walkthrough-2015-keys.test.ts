/**
 * The document of 2015, dynamic keys: its commands through our command line against a real server, and logins to a
 * real sshd. Only the port is ours: the document's host has its sshd at 22.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import { type CliRun, runPostern } from '../support/cli.ts'
import { type LoginHost, startLoginHost } from '../support/login-host.ts'
import { type RunningServer, startDevServer } from '../support/server.ts'

const USERNAME = `pt-w2015-${process.pid}`

suite('the dynamic keys of 2015', () => {
  const resources = new AsyncDisposableStack()
  let server: RunningServer
  let host: LoginHost
  let keyFile: string
  let before2015: string | undefined

  before(async () => {
    host = resources.use(await startLoginHost(USERNAME))
    server = resources.adopt(await startDevServer(), async (running) => void (await running.stop()))
    keyFile = path.join(host.folder, 'dev_shared_key.pem')
    writeFileSync(keyFile, host.adminKey, { mode: 0o600 })
    before2015 = host.keysOf(USERNAME)
  })

  after(() => resources.disposeAsync())

  /** A command of the document, with our program in the place of `vault`. */
  const vault = (...words: string[]): Promise<CliRun> =>
    runPostern(words, { HOME: host.folder, VAULT_ADDR: server.address, VAULT_TOKEN: 'root' })

  async function written(...words: string[]): Promise<string> {
    const { status, output, errors } = await vault(...words)
    assert.equal(status, 0, errors)
    return output
  }

  test('the key and the role are written as the document says', async () => {
    await written('mount', 'ssh')
    const key = await written('write', 'ssh/keys/dev_key', `key=@${keyFile}`)
    assert.equal(key, 'Success! Data written to: ssh/keys/dev_key\n')
    const role = await written(
      'write',
      'ssh/roles/dynamic_key_role',
      'key_type=dynamic',
      'key=dev_key',
      `admin_user=${USERNAME}`,
      `default_user=${USERNAME}`,
      'cidr_list=127.0.0.0/8',
      `port=${host.sshd.port}`,
    )
    assert.equal(role, 'Success! Data written to: ssh/roles/dynamic_key_role\n')
  })

  test('a credential has the rows of the document, and its key logs in', async () => {
    const output = await written('write', 'ssh/creds/dynamic_key_role', 'ip=127.0.0.1')
    assert.match(output, /^lease_id +ssh\/creds\/dynamic_key_role\/[0-9a-f-]{36}$/m)
    assert.match(output, /^lease_duration +10m$/m)
    assert.match(output, /^lease_renewable +true$/m)
    assert.match(output, /^ip +127\.0\.0\.1$/m)
    assert.match(output, /^key_type +dynamic$/m)
    assert.match(output, new RegExp(`^port +${host.sshd.port}$`, 'm'))
    assert.match(output, new RegExp(`^username +${USERNAME}$`, 'm'))
    const key = /-----BEGIN RSA PRIVATE KEY-----[\s\S]*-----END RSA PRIVATE KEY-----\n/.exec(output)
    const login = await host.logIn(USERNAME, key?.[0] ?? '')
    assert.equal(login.status, 0, `${login.errors}\n${host.sshd.log()}`)
    assert.equal(login.output.trim(), USERNAME)
    const [, leaseId = ''] = /^lease_id +(\S+)$/m.exec(output) ?? []
    await written('revoke', leaseId)
    assert.equal(host.keysOf(USERNAME), before2015)
  })

  test('cidr_list may be left out, as the document says', async () => {
    await written(
      'write',
      'ssh/roles/anywhere',
      'key_type=dynamic',
      'key=dev_key',
      `admin_user=${USERNAME}`,
      `default_user=${USERNAME}`,
      `port=${host.sshd.port}`,
      'key_bits=1024',
    )
    const output = await written('write', 'ssh/creds/anywhere', 'ip=127.0.0.1')
    assert.match(output, /BEGIN RSA PRIVATE KEY/)
    await written('revoke', '-prefix', 'ssh/creds/anywhere')
    assert.equal(host.keysOf(USERNAME), before2015)
  })

  test('one command makes the key, logs in, and takes the key back', async () => {
    const options = ['-strict-host-key-checking=no', '-user-known-hosts-file=/dev/null']
    const target = [`${USERNAME}@127.0.0.1`, 'id', '-un']
    const { status, output, errors } = await vault(
      'ssh',
      '-role',
      'dynamic_key_role',
      ...options,
      ...target,
    )
    assert.equal(status, 0, errors)
    assert.match(output, new RegExp(`^${USERNAME}$`, 'm'))
    assert.equal(host.keysOf(USERNAME), before2015)
  })
})
