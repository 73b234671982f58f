/** Dynamic keys that can not be installed: a clear error for each reason, and nothing left behind. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import { fingerprint } from '../../src/ssh/key/fingerprint.ts'
import { encodePrivateKey, generateKeyPair } from '../../src/ssh/key/private-key.ts'
import { type KeySite, makeKeySite } from '../support/key-site.ts'

const USER = `pt-user${process.pid}`
const SMALL = `pt-small${process.pid}`
const TOOR = `pt-toor${process.pid}`
const FAILED = 'failed to add public key to authorized_keys file in target: '

const print = (line: string) => fingerprint(Buffer.from(line.split(' ')[1] ?? '', 'base64'))

suite('a dynamic key that can not be installed', () => {
  const resources = new AsyncDisposableStack()
  let site: KeySite
  let home: string

  before(async () => {
    site = resources.use(await makeKeySite())
    home = site.host.addUser(USER)
  })

  after(() => resources.disposeAsync())

  /** The 500 of the API with a reason; no lease, and no file on the host. */
  async function assertRefused(role: string, reason: RegExp, fields = {}): Promise<void> {
    const { status, body } = await site.creds(role, fields)
    assert.equal(status, 500, JSON.stringify(body))
    const [error = ''] = body.errors as string[]
    assert.equal(error.startsWith(`1 error occurred:\n\t* ${FAILED}`), true, error)
    assert.match(error, reason)
    await site.noLeases()
    assert.equal(site.host.keysOf(USER), undefined)
    assert.deepEqual(
      readdirSync(home).filter((name) => name === '.ssh'),
      [],
    )
  }

  test('wrong host key: refused with both fingerprints, before the admin key is used', async () => {
    const other = await generateKeyPair('ed25519', 256)
    const line = `127.0.0.1 ssh-ed25519 ${other.publicKey.blob.toString('base64')}`
    await site.writeRole('wrong', { default_user: USER, host_keys: line })
    const before = site.host.sshd.log().length
    await assertRefused(
      'wrong',
      /has changed: it is SHA256:\S+, and not SHA256:\S+ as host_keys says/,
    )
    assert.doesNotMatch(site.host.sshd.log().slice(before), /Accepted publickey/)
  })

  test('an unknown host, where the role is strict', async () => {
    await site.writeRole('unknown', {
      default_user: USER,
      host_keys: '',
      host_key_policy: 'strict',
    })
    await assertRefused('unknown', /no host key of \[127\.0\.0\.1\]:[0-9]+ is known/)
  })

  test('changed host key: pinned at first contact with a warning, refused after the change', async () => {
    await site.writeRole('tofu', { default_user: USER, host_keys: '' })
    const before = print(site.host.hostKey())
    const first = await site.creds('tofu')
    assert.equal(first.status, 200, JSON.stringify(first.body))
    assert.equal(first.body.warnings.length, 1)
    assert.ok(first.body.warnings[0].includes(before), first.body.warnings[0])
    const second = await site.creds('tofu')
    assert.equal(second.body.warnings, null)
    await site.api('PUT', 'sys/leases/revoke-prefix/ssh/creds/tofu', {})
    const pins = await site.api('LIST', 'ssh/host-pins')
    const name = `127.0.0.1/${site.host.sshd.port}`
    assert.deepEqual(pins.body.data.key_info, { [name]: { fingerprint: before } })

    await site.host.restart({ newHostKey: true })
    const now = print(site.host.hostKey())
    const { body } = await site.creds('tofu')
    assert.ok(body.errors[0].includes(`it is ${now}, and not ${before} as host-pins says`))
    await assertRefused('tofu', /has changed/)

    const key = site.host.hostKey()
    assert.equal((await site.api('PUT', `ssh/host-pins/${name}`, { key })).status, 204)
    assert.equal((await site.creds('tofu')).status, 200)
    await site.api('PUT', 'sys/leases/revoke-prefix/ssh/creds/tofu', {})
    await site.noLeases()
  })

  test('no route, and nobody there', async () => {
    await site.writeRole('away', { default_user: USER, port: 1 })
    await assertRefused('away', /refuse/)
    await site.writeRole('away', {
      default_user: USER,
      cidr_list: '255.255.255.255/32',
      host_keys: '',
    })
    await assertRefused('away', /no route to the network/, { ip: '255.255.255.255' })
  })

  test('admin key refused', async () => {
    const { keyObject } = await generateKeyPair('ed25519', 256)
    await site.api('PUT', 'ssh/keys/other', { key: encodePrivateKey(keyObject) })
    await site.writeRole('other', { default_user: USER, key: 'other' })
    await assertRefused('other', /key/)
  })

  test('sudo asks for a password', async () => {
    const sudoers = `/etc/sudoers.d/${site.host.admin}`
    writeFileSync(sudoers, `${site.host.admin} ALL=(ALL) ALL\n`)
    try {
      await site.writeRole('sudo', { default_user: USER })
      await assertRefused('sudo', /sudo/)
    } finally {
      writeFileSync(sudoers, `${site.host.admin} ALL=(ALL) NOPASSWD: ALL\n`)
    }
  })

  test('user absent on the host', async () => {
    await site.writeRole('absent', { default_user: `pt-none${process.pid}` })
    await assertRefused('absent', /pt-none[0-9]+/)
  })

  test('full disk in the home directory', async () => {
    const small = site.host.addUser(SMALL)
    rmSync(small, { recursive: true })
    execFileSync('install', ['-d', '-m', '755', '-o', SMALL, small])
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', small])
    try {
      execFileSync('chown', [SMALL, small])
      execFileSync('install', ['-d', '-m', '700', '-o', SMALL, path.join(small, '.ssh')])
      const own = `# ${'x'.repeat(40)}\n`
      writeFileSync(path.join(small, '.ssh/authorized_keys'), own, { mode: 0o600 })
      execFileSync('chown', [SMALL, path.join(small, '.ssh/authorized_keys')])
      assert.throws(() => writeFileSync(path.join(small, 'full'), Buffer.alloc(1 << 17)))
      await site.writeRole('full', { default_user: SMALL })
      await assertRefused('full', /./)
      assert.equal(site.host.keysOf(SMALL), own)
      assert.deepEqual(readdirSync(path.join(small, '.ssh')), ['authorized_keys'])
    } finally {
      execFileSync('umount', [small])
    }
  })

  test('protocols 4.2: root is nobody’s default, whatever its name', async () => {
    execFileSync('useradd', ['-o', '-u', '0', '-M', '-d', '/nonexistent', TOOR], { stdio: 'pipe' })
    try {
      await site.writeRole('any', { default_user: USER, allowed_users: '*' })
      for (const username of ['root', TOOR]) {
        const { status, body } = await site.creds('any', { username })
        assert.ok(status === 400 || status === 500, JSON.stringify(body))
      }
      for (const username of ['0', '1000', 'a b', '../x', '-u#0', 'x;id']) {
        assert.equal((await site.creds('any', { username })).status, 400, username)
      }
      await site.noLeases()
    } finally {
      execFileSync('userdel', ['--force', TOOR], { stdio: 'pipe' })
    }
  })

  test('protocols 4.6: a server that is no dev server reaches loopback only where the role names it', async () => {
    await site.writeRole('wide', { default_user: USER, cidr_list: '0.0.0.0/0,127.0.0.0/8' })
    const { status, body } = await site.creds('wide')
    assert.equal(status, 400)
    assert.match(body.errors[0], /127\.0\.0\.1 is a loopback address/)
  })

  test('protocols 4.5: who may write roles but not the key writes no role that lends it', async () => {
    const rules = [
      ['roles', 'path "ssh/roles/*" { capabilities = ["update"] }'],
      ['key', 'path "ssh/keys/fleet" { capabilities = ["update"] }'],
      ['sudo', 'path "ssh/keys/fleet" { capabilities = ["update", "sudo"] }'],
    ]
    for (const [name, policy] of rules)
      await site.api('PUT', `sys/policies/acl/${name}`, { policy })
    const write = async (policies: string[]) => {
      const { body } = await site.api('POST', 'auth/token/create', { policies })
      const role = {
        key_type: 'dynamic',
        key: 'fleet',
        admin_user: site.host.admin,
        default_user: USER,
      }
      const token = body.auth.client_token as string
      return (await site.api('PUT', 'ssh/roles/lent', role, token)).status
    }
    assert.equal(await write(['roles']), 403)
    assert.equal(await write(['roles', 'key']), 403)
    assert.equal(await write(['roles', 'sudo']), 204)
  })

  test('leaves nothing in the folders for temporary files', () => {
    const left = readdirSync(tmpdir()).filter((name) => name.includes(site.host.admin))
    assert.deepEqual(left, [])
  })
})
