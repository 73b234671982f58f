/** Dynamic keys from issue to removal: a real server, a real sshd, `ssh -i`. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import { type KeySite, makeKeySite } from '../support/key-site.ts'
import { eventually } from '../support/site.ts'

const ALICE = `pt-alice${process.pid}`
const BOB = `pt-bob${process.pid}`
/** Of the user's own: with options, without a line end, as people leave files. */
const OWN_LINES = `# mine\nrestrict,pty ssh-ed25519 ${'A'.repeat(68)} me@home`

suite('a dynamic key', () => {
  const resources = new AsyncDisposableStack()
  const keys: string[] = []
  let site: KeySite
  let aliceKeys: string

  before(async () => {
    site = resources.use(await makeKeySite())
    const home = site.host.addUser(ALICE)
    site.host.addUser(BOB)
    aliceKeys = path.join(home, '.ssh/authorized_keys')
    execFileSync('install', ['-d', '-m', '700', '-o', ALICE, path.dirname(aliceKeys)])
    writeFileSync(aliceKeys, OWN_LINES, { mode: 0o640 })
    execFileSync('chown', [`${ALICE}:`, aliceKeys])
    await site.writeRole('web', { default_user: ALICE, allowed_users: BOB })
  })

  after(() => resources.disposeAsync())

  async function issue(role = 'web', fields: Record<string, unknown> = {}) {
    const { status, body } = await site.creds(role, fields)
    assert.equal(status, 200, `${JSON.stringify(body)}\n${site.host.sshd.log()}`)
    keys.push(body.data.key)
    return { leaseId: body.lease_id as string, key: body.data.key as string, body }
  }

  async function assertLetIn(user: string, key: string): Promise<void> {
    const login = await site.host.logIn(user, key)
    assert.equal(login.status, 0, `${login.errors}\n${site.host.sshd.log()}`)
    assert.equal(login.output.trim(), user)
  }

  async function assertRefused(user: string, key: string): Promise<void> {
    const login = await site.host.logIn(user, key)
    assert.equal(login.status, 255)
    assert.match(login.errors, /Permission denied/)
  }

  async function assertDone(answer: ReturnType<KeySite['api']>, expected = 204): Promise<void> {
    const { status, body } = await answer
    assert.equal(status, expected, JSON.stringify(body))
  }

  /** What stands above the user's own lines, which are as they were. */
  function addedLines(): string {
    const text = site.host.keysOf(ALICE) ?? ''
    assert.ok(text.endsWith(OWN_LINES), text)
    return text.slice(0, -OWN_LINES.length)
  }

  const expiryOf = (line: string) => /expiry-time="([0-9]+Z?)"/.exec(line)?.[1] ?? ''

  test('logs in, is renewed, and is revoked: the file is byte for byte what it was', async () => {
    const before = statSync(aliceKeys)
    const { leaseId, key, body } = await issue()
    const { key: _key, ...rest } = body.data
    assert.deepEqual(rest, {
      ip: '127.0.0.1',
      key_type: 'dynamic',
      port: site.host.sshd.port,
      username: ALICE,
    })
    assert.match(
      key,
      /^-----BEGIN OPENSSH PRIVATE KEY-----\n[\s\S]*-----END OPENSSH PRIVATE KEY-----\n$/,
    )
    assert.deepEqual([body.renewable, body.lease_duration, body.warnings], [true, 600, null])
    await assertLetIn(ALICE, key)
    const added = addedLines()
    assert.match(added, /^expiry-time="[0-9]{14}Z" ssh-ed25519 \S+ \S+\n$/)
    assert.equal(added.includes(leaseId.split('/').at(-1) ?? ''), true, added)

    const renewed = await site.api('PUT', 'sys/leases/renew', {
      lease_id: leaseId,
      increment: 7200,
    })
    assert.equal(renewed.status, 200, JSON.stringify(renewed.body))
    assert.equal(renewed.body.lease_duration, 7200)
    const later = addedLines()
    assert.ok(expiryOf(later) > expiryOf(added), `${added} ${later}`)
    assert.equal(later.trim().split('\n').length, 1)
    await assertLetIn(ALICE, key)

    await assertDone(site.api('PUT', 'sys/leases/revoke', { lease_id: leaseId }))
    await assertRefused(ALICE, key)
    assert.equal(site.host.keysOf(ALICE), OWN_LINES)
    const now = statSync(aliceKeys)
    assert.deepEqual([now.mode, now.uid, now.gid], [before.mode, before.uid, before.gid])
    await site.noLeases()
  })

  test('leaves no file where none was', async () => {
    assert.equal(site.host.keysOf(BOB), undefined)
    const { leaseId, key } = await issue('web', { username: BOB })
    await assertLetIn(BOB, key)
    await assertDone(site.api('PUT', 'sys/leases/revoke', { lease_id: leaseId }))
    assert.equal(site.host.keysOf(BOB), undefined)
    await assertRefused(BOB, key)
  })

  test('is removed by time alone', async () => {
    await site.writeRole('short', { default_user: ALICE, ttl: 3 })
    const { key } = await issue('short')
    await assertLetIn(ALICE, key)
    await eventually(() => site.host.keysOf(ALICE) === OWN_LINES, 'the line stays')
    await assertRefused(ALICE, key)
    await site.noLeases()
  })

  test('dies by itself when nothing is ever removed: the host refuses it after its time', async () => {
    await site.writeRole('short', { default_user: ALICE, ttl: 3 })
    const { key } = await issue('short')
    await assertLetIn(ALICE, key)
    await site.server().kill()
    await eventually(
      async () => (await site.host.logIn(ALICE, key)).status !== 0,
      'it still logs in',
    )
    assert.notEqual(site.host.keysOf(ALICE), OWN_LINES)
    await site.start()
    await eventually(() => site.host.keysOf(ALICE) === OWN_LINES, 'the line stays')
    await site.noLeases()
  })

  test('protocols 4.3: options stand behind the expiry, and sshd heeds them', async () => {
    const specs = 'restrict,command="echo only this"'
    await site.writeRole('forced', { default_user: ALICE, key_option_specs: specs })
    const { leaseId, key } = await issue('forced')
    const login = await site.host.logIn(ALICE, key)
    assert.equal(login.output, 'only this\n', login.errors)
    await assertDone(site.api('PUT', 'sys/leases/revoke', { lease_id: leaseId }))
    assert.equal(site.host.keysOf(ALICE), OWN_LINES)
  })

  test('protocols 4.4: a line whose options and comment the user edited is removed too', async () => {
    const { leaseId, key } = await issue()
    const text = site.host.keysOf(ALICE) ?? ''
    writeFileSync(
      aliceKeys,
      text.replace(/expiry-time="[^"]*" /, 'no-pty ').replace(/ postern:\S+\n/, ' kept\n'),
    )
    await assertLetIn(ALICE, key)
    await assertDone(site.api('PUT', 'sys/leases/revoke', { lease_id: leaseId }))
    assert.equal(site.host.keysOf(ALICE), OWN_LINES)
  })

  test('with renew_rewrites_expiry=false the line lives to the last, and renewing leaves the host alone', async () => {
    await site.writeRole('still', {
      default_user: ALICE,
      ttl: 60,
      max_ttl: 7200,
      renew_rewrites_expiry: false,
    })
    const { leaseId, key } = await issue('still')
    const line = site.host.keysOf(ALICE)
    await site.host.stop()
    const renewed = await site.api('PUT', 'sys/leases/renew', { lease_id: leaseId, increment: 600 })
    assert.equal(renewed.status, 200, JSON.stringify(renewed.body))
    await site.host.restart()
    assert.equal(site.host.keysOf(ALICE), line)
    await assertLetIn(ALICE, key)
    await assertDone(site.api('PUT', 'sys/leases/revoke', { lease_id: leaseId }))
    assert.equal(site.host.keysOf(ALICE), OWN_LINES)
  })

  test('RSA keys are PKCS1, as in 2015', async () => {
    await site.writeRole('rsa', { default_user: ALICE, key_bits: 2048 })
    const { leaseId, key } = await issue('rsa')
    assert.match(key, /^-----BEGIN RSA PRIVATE KEY-----\n/)
    await assertLetIn(ALICE, key)
    await assertDone(site.api('PUT', 'sys/leases/revoke', { lease_id: leaseId }))
  })

  test('is removed with its token, by prefix, and when the mount goes', async () => {
    const policy = 'path "ssh/creds/*" { capabilities = ["update"] }'
    await assertDone(site.api('PUT', 'sys/policies/acl/user', { policy }))
    const { body } = await site.api('POST', 'auth/token/create', { policies: ['user'] })
    const token = body.auth.client_token as string
    const mine = await site.api('PUT', 'ssh/creds/web', { ip: '127.0.0.1' }, token)
    assert.equal(mine.status, 200, JSON.stringify(mine.body))
    await assertDone(site.api('POST', 'auth/token/revoke', { token }))
    await eventually(() => site.host.keysOf(ALICE) === OWN_LINES, 'the line of the token stays')

    await issue()
    await issue()
    await assertDone(site.api('PUT', 'sys/leases/revoke-prefix/ssh/creds/web', {}))
    assert.equal(site.host.keysOf(ALICE), OWN_LINES)

    await assertDone(site.api('POST', 'sys/mounts/other', { type: 'ssh' }))
    await assertDone(site.api('PUT', 'other/keys/fleet', { key: site.host.adminKey }))
    await assertDone(
      site.api('PUT', 'other/roles/web', {
        key_type: 'dynamic',
        key: 'fleet',
        admin_user: site.host.admin,
        default_user: ALICE,
        cidr_list: '127.0.0.1/32',
        port: site.host.sshd.port,
      }),
    )
    const other = await site.api('PUT', 'other/creds/web', { ip: '127.0.0.1' })
    assert.equal(other.status, 200, JSON.stringify(other.body))
    assert.notEqual(site.host.keysOf(ALICE), OWN_LINES)
    await assertDone(site.api('DELETE', 'sys/mounts/other'))
    await eventually(() => site.host.keysOf(ALICE) === OWN_LINES, 'the line of the mount stays')
  })

  test('a key that leases need is deleted only by force, and rotated by writing another', async () => {
    const { leaseId } = await issue()
    const refused = await site.api('DELETE', 'ssh/keys/fleet')
    assert.equal(refused.status, 400)
    assert.match(refused.body.errors[0], /"fleet" is needed to end 1 lease:/)
    await assertDone(site.api('PUT', 'ssh/keys/fleet', { key: site.host.adminKey }))
    await assertDone(site.api('PUT', 'sys/leases/revoke', { lease_id: leaseId }))
    const second = await issue()
    await assertDone(site.api('DELETE', 'ssh/keys/fleet?force=true'))
    const { status, body } = await site.creds('web')
    assert.equal(status, 500)
    assert.match(body.errors[0], /key "fleet" not found/)
    const failed = await site.api('PUT', 'sys/leases/revoke', { lease_id: second.leaseId })
    assert.equal(failed.status, 500, JSON.stringify(failed.body))
    await assertDone(site.api('PUT', 'ssh/keys/fleet', { key: site.host.adminKey }))
    await assertDone(site.api('PUT', 'sys/leases/revoke', { lease_id: second.leaseId }))
    assert.equal(site.host.keysOf(ALICE), OWN_LINES)
    await assertDone(site.api('DELETE', 'ssh/keys/fleet'))
    await assertDone(site.api('PUT', 'ssh/keys/fleet', { key: site.host.adminKey }))
  })

  test('shows no private key in the audit log, in the server log or in sshd’s', async () => {
    await site.noLeases()
    const logs = [
      readFileSync(site.auditFile, 'utf8'),
      site.server().output(),
      site.host.sshd.log(),
    ].join('\n')
    assert.match(logs, /"path":"ssh\/creds\/web"/)
    for (const pem of [...keys, site.host.adminKey]) {
      const [, line = ''] = pem.split('\n')
      assert.equal(logs.includes(line), false)
    }
  })
})
