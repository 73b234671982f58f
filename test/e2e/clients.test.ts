/** Clients that somebody else wrote, against a real server: what their users do, from an empty store on. */
import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import { promisify } from 'node:util'
import nodeVault from 'node-vault'
import { initialize, makeSite } from '../support/site.ts'

const HVAC = path.resolve(import.meta.dirname, '../support/hvac-session.py')
const ROLE = { key_type: 'otp', default_user: 'ubuntu', cidr_list: '10.0.0.0/8' }

suite('official clients', () => {
  const resources = new AsyncDisposableStack()
  let publicKey: string

  before(() => {
    const folder = resources.adopt(mkdtempSync(path.join(os.tmpdir(), 'postern-clients-')), (one) =>
      rmSync(one, { recursive: true }),
    )
    const key = path.join(folder, 'key')
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
    publicKey = `${key}.pub`
  })

  after(() => resources.disposeAsync())

  test('hvac sets up, issues, verifies, wraps, rekeys and seals', async () => {
    await using site = makeSite()
    const { address } = await site.start()
    // Debian's Python has Debian's hvac, whatever other one is first in the path.
    const { stdout } = await promisify(execFile)('/usr/bin/python3', [HVAC, address, publicKey])
    assert.deepEqual(stdout.trimEnd().split('\n'), [
      'init and unseal',
      'mounts',
      'certificates',
      'one-time passwords',
      'policies and tokens',
      'wrapping',
      'operating',
    ])
  })

  test('node-vault sets up, issues, verifies and wraps', async () => {
    await using site = makeSite()
    const { address } = await site.start()
    const { root } = await initialize(address)
    const vault = nodeVault({ apiVersion: 'v1', endpoint: address, token: root })
    assert.equal((await vault.health()).sealed, false)
    await vault.mount({ mount_point: 'ssh', type: 'ssh' })
    assert.ok('ssh/' in (await vault.mounts()).data)
    await vault.write('ssh/config/ca', { generate_signing_key: true, key_type: 'ed25519' })
    await vault.write('ssh/roles/ca', {
      ...{ key_type: 'ca', allow_user_certificates: true },
      ...{ default_user: 'ubuntu', allowed_users: 'ubuntu' },
    })
    const signed = await vault.write('ssh/sign/ca', {
      public_key: readFileSync(publicKey, 'utf8'),
    })
    assert.match(signed.data.signed_key, /^ssh-ed25519-cert-v01@openssh\.com /)
    await vault.write('ssh/roles/otp', ROLE)
    assert.deepEqual((await vault.list('ssh/roles')).data.keys, ['ca', 'otp'])
    const creds = await vault.write('ssh/creds/otp', { ip: '10.0.0.7' })
    const verified = await nodeVault({ endpoint: address }).write('ssh/verify', {
      otp: creds.data.key,
    })
    assert.equal(verified.data.ip, '10.0.0.7')
    await assert.rejects(vault.write('ssh/verify', { otp: creds.data.key }), /OTP not found/)
    await assert.rejects(vault.read('ssh/roles/none'), /Status 404/)

    await vault.addPolicy({
      name: 'otp',
      rules: 'path "ssh/creds/otp" { capabilities = ["update"] }',
    })
    // It goes on with the token that it was given.
    const user = nodeVault({ endpoint: address, token: root })
    const { auth } = await user.tokenCreate({ policies: ['otp'], ttl: '1h' })
    const { lease_id } = await user.write('ssh/creds/otp', { ip: '10.0.0.8' })
    await assert.rejects(user.read('ssh/roles/otp'), /permission denied/)
    assert.deepEqual((await user.tokenLookupSelf()).data.policies, ['default', 'otp'])
    await vault.revoke({ lease_id })
    await vault.tokenRevoke({ token: auth.client_token })
    await assert.rejects(user.tokenLookupSelf(), /permission denied/)

    const wrapped = await vault.write(
      'ssh/creds/otp',
      { ip: '10.0.0.9' },
      { headers: { 'X-Vault-Wrap-TTL': '60s' } },
    )
    const opened = await nodeVault({ endpoint: address, token: wrapped.wrap_info.token }).unwrap()
    assert.equal(opened.data.ip, '10.0.0.9')
    await vault.unmount({ mount_point: 'ssh' })
    await vault.seal()
    assert.equal((await vault.status()).sealed, true)
  })
})
