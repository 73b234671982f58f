/** `postern ssh` with dynamic keys: installed for the session, and gone with it (contract 8.3, 9). */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import { runPostern } from '../support/cli.ts'
import { type KeySite, makeKeySite } from '../support/key-site.ts'

const USER = `pt-cli${process.pid}`
const BIN = path.resolve(import.meta.dirname, '../../bin/postern.js')

suite('a session with a dynamic key', () => {
  const resources = new AsyncDisposableStack()
  let site: KeySite
  let temporary: string
  let env: Record<string, string>

  before(async () => {
    site = resources.use(await makeKeySite())
    site.host.addUser(USER)
    await site.writeRole('keys', { default_user: USER })
    temporary = path.join(site.folder, 'tmp')
    mkdirSync(temporary)
    env = { VAULT_ADDR: site.server().address, VAULT_TOKEN: await token(), TMPDIR: temporary }
  })

  after(() => resources.disposeAsync())

  async function token(policies = ['root']): Promise<string> {
    const { status, body } = await site.api('POST', 'auth/token/create', { policies })
    assert.equal(status, 200, JSON.stringify(body))
    return body.auth.client_token
  }

  const trusting = ['-strict-host-key-checking=no', '-user-known-hosts-file=/dev/null']

  const words = (command: string, ...flags: string[]) => {
    const place = [`${USER}@127.0.0.1`, '-p', `${site.host.sshd.port}`, '-F', 'none']
    return ['ssh', ...trusting, ...flags, ...place, command]
  }

  async function assertNothingLeft(): Promise<void> {
    await site.noLeases()
    assert.equal(site.host.keysOf(USER) ?? '', '')
    assert.deepEqual(readdirSync(temporary), [])
  }

  for (const flags of [['-role=keys'], ['-role=keys', '-mode=dynamic'], []]) {
    test(`logs in with ${flags.join(' ') || 'no flags'}, and the key is gone when ssh ends`, async () => {
      const { status, output, errors } = await runPostern(words('id -un; exit 4', ...flags), env)
      assert.equal(status, 4, `${errors}\n${site.host.sshd.log()}`)
      assert.equal(output, `${USER}\n`)
      await assertNothingLeft()
    })
  }

  test('the key is gone after a signal as well', async () => {
    const command = words('echo ready; sleep 60', '-role=keys', '-mode=dynamic')
    const child = spawn(process.execPath, [BIN, ...command], {
      env: { PATH: process.env['PATH'], HOME: '/nonexistent', ...env },
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    await once(child.stdout, 'data')
    assert.notEqual(site.host.keysOf(USER) ?? '', '')
    child.kill('SIGTERM')
    const [status] = await once(child, 'exit')
    assert.ok(status > 128, `${status}`)
    await assertNothingLeft()
  })

  test('a token that may not revoke is told until when the key works', async () => {
    const policy = 'path "ssh/creds/keys" { capabilities = ["update"] }'
    await site.api('PUT', 'sys/policies/acl/keys', { policy })
    const limited = { ...env, VAULT_TOKEN: await token(['keys']) }
    const { status, errors } = await runPostern(
      words('true', '-role=keys', '-mode=dynamic'),
      limited,
    )
    assert.equal(status, 0, errors)
    assert.match(
      errors,
      /warning: the key could not be revoked[\s\S]*until its lease ssh\/creds\/keys\//,
    )
    await site.api('PUT', 'sys/leases/revoke-prefix/ssh/creds/keys')
    await assertNothingLeft()
  })
})
