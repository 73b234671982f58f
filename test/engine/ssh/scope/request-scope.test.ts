/** Certificates for chosen hosts: what the role allows, and what the server makes of it (protocols 5.1, 5.2). */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { assertDone, assertRefused, mountCa } from '../support.ts'
import {
  bareKey,
  certificateOf,
  KEY,
  mountHosts,
  mountScoped,
  scopedFor,
  sign,
  writeRole,
} from './support.ts'

const ANY = { host_scope: 'required', allowed_hosts: '*', allowed_groups: '*', allowed_tags: '*' }

describe('a certificate for chosen hosts', () => {
  test('names each account at each host, group and tag, and is the scoped issuer’s', async () => {
    const ssh = await mountScoped(ANY)
    assert.deepEqual(await scopedFor(ssh, { host: 'web-1' }), ['alice@h.web-1'])
    assert.deepEqual(await scopedFor(ssh, { group: 'web' }), ['alice@g.web'])
    assert.deepEqual(await scopedFor(ssh, { tag: 'env=prod' }), ['alice@t.env.prod'])
    assert.deepEqual(
      await scopedFor(ssh, {
        valid_principals: 'deploy,alice',
        host: 'web-1, web-2',
        group: ['db'],
        tag: 'env=test',
      }),
      ['alice', 'deploy'].flatMap((account) => [
        `${account}@h.web-1`,
        `${account}@h.web-2`,
        `${account}@g.db`,
        `${account}@t.env.test`,
      ]),
    )
  })

  test('is issued with a new key pair too', async () => {
    const ssh = await mountScoped(ANY)
    const answer = await ssh.write('issue/r', { key_type: 'ed25519', host: 'web-1' })
    assertDone(answer)
    assert.deepEqual(certificateOf(answer).principals, ['alice@h.web-1'])
    assertRefused(
      await ssh.write('issue/r', { key_type: 'ed25519' }),
      400,
      'the role needs a host, group or tag that the certificate is for',
    )
  })

  test('names a host by its id, whether the request has id, name or address, and once', async () => {
    const ssh = await mountScoped(ANY)
    for (const name of ['web-2', 'web-2.example.org', '10.0.0.2']) {
      assert.deepEqual(await scopedFor(ssh, { host: name }), ['alice@h.web-2'])
    }
    assert.deepEqual(await scopedFor(ssh, { host: 'web-2,10.0.0.2' }), ['alice@h.web-2'])
  })

  test('fills a default_user template', async () => {
    const values = new Map([['identity.entity.name', 'carol']])
    const ssh = await mountHosts({ identityOf: async () => (path) => values.get(path) })
    const templates = { default_user_template: true, allowed_users_template: true }
    const name = '{{identity.entity.name}}'
    await writeRole(ssh, { ...ANY, ...templates, default_user: name, allowed_users: name })
    const ask = () =>
      ssh.write('sign/r', { public_key: KEY, host: 'web-2' }, { caller: { entityId: 'e' } })
    assert.deepEqual(certificateOf(await ask()).principals, ['carol@h.web-2'])
    for (const value of ['Carol', 'carol@h.web-1', '@u.bob', 'carol smith', 'root@g.db']) {
      values.set('identity.entity.name', value)
      assert.equal((await ask()).status, 400, value)
    }
  })
})

describe('a role with host_scope', () => {
  test('required refuses a request without target', async () => {
    const ssh = await mountScoped(ANY)
    const message = 'the role needs a host, group or tag that the certificate is for'
    assertRefused(await sign(ssh), 400, message)
    assertRefused(await sign(ssh, { host: '', group: [], tag: null }), 400, message)
  })

  test('optional signs a bare name where the request says nothing of hosts', async () => {
    const ssh = await mountScoped({ ...ANY, host_scope: 'optional' })
    const { caKey, principals } = certificateOf(await sign(ssh))
    assert.deepEqual(principals, ['alice'])
    assert.deepEqual(caKey.blob, bareKey.blob)
    assert.deepEqual(await scopedFor(ssh, { host: 'web-1' }), ['alice@h.web-1'])
  })

  test('off, and without it, refuses a target', async () => {
    const ssh = await mountScoped({})
    const message = 'host, group and tag are not allowed by role: its host_scope is off'
    for (const target of [{ host: 'web-1' }, { group: 'web' }, { tag: 'env=prod' }]) {
      assertRefused(await sign(ssh, target), 400, message)
    }
    await writeRole(ssh, { host_scope: 'off', allowed_hosts: '*' })
    assertRefused(await sign(ssh, { host: 'web-1' }), 400, message)
  })

  test('allows the hosts of its lists: by id, by group, by tag', async () => {
    for (const [lists, allowed] of [
      [{ allowed_hosts: 'web-1' }, ['web-1']],
      [{ allowed_hosts: 'web-1,db-1' }, ['db-1', 'web-1']],
      [{ allowed_groups: 'web' }, ['web-1', 'web-2']],
      [{ allowed_tags: 'env=prod' }, ['db-1', 'web-1']],
      [{ allowed_groups: '*' }, ['db-1', 'web-1', 'web-2']],
      [{ allowed_tags: 'env=test', allowed_hosts: 'db-1' }, ['db-1', 'web-2']],
    ] as const) {
      const ssh = await mountScoped({ host_scope: 'required', ...lists })
      for (const id of ['db-1', 'web-1', 'web-2']) {
        const answer = await sign(ssh, { host: id })
        if ((allowed as readonly string[]).includes(id)) assertDone(answer)
        else assertRefused(answer, 400, `host ${id} is not allowed by role`)
      }
    }
  })

  test('allows the groups and tags of its lists, whatever hosts it allows', async () => {
    const ssh = await mountScoped({
      host_scope: 'required',
      allowed_hosts: '*',
      allowed_groups: 'web',
      allowed_tags: 'env=test',
    })
    assertDone(await sign(ssh, { group: 'web', tag: 'env=test' }))
    assertRefused(await sign(ssh, { group: 'db' }), 400, 'group db is not allowed by role')
    assertRefused(await sign(ssh, { tag: 'env=prod' }), 400, 'tag env=prod is not allowed by role')
    // The value's dot is no second key (protocols 5.2).
    assertRefused(
      await sign(ssh, { tag: 'env=test.x' }),
      400,
      'tag env=test.x is not allowed by role',
    )
  })

  test('shows its fields only when they are set', async () => {
    const ssh = await mountScoped({})
    const plain = (await ssh.read('roles/r')).data
    for (const name of ['host_scope', 'allowed_hosts', 'allowed_groups', 'allowed_tags']) {
      assert.ok(!(name in plain), name)
    }
    await writeRole(ssh, { host_scope: 'OPTIONAL', allowed_hosts: 'b,a', allowed_tags: 'k=v' })
    const { data } = await ssh.read('roles/r')
    assert.equal(data['host_scope'], 'optional')
    assert.deepEqual([data['allowed_hosts'], data['allowed_tags']], [['a', 'b'], ['k=v']])
    assert.ok(!('allowed_groups' in data))
  })

  test('is refused with names that no host, group or tag can have', async () => {
    const ssh = await mountScoped({})
    for (const [name, value] of [
      ['host_scope', 'yes'],
      ['allowed_hosts', 'Web-1'],
      ['allowed_hosts', '*,web-1'],
      ['allowed_hosts', 'web-*'],
      ['allowed_hosts', ['web-1,web-2 x']],
      ['allowed_groups', 'a b'],
      ['allowed_groups', '@g.web'],
      ['allowed_tags', 'env'],
      ['allowed_tags', 'env.x=prod'],
      ['allowed_tags', 'env='],
      ['allowed_tags', '=prod'],
    ] as const) {
      const fields = { key_type: 'ca', allow_user_certificates: true, host_scope: 'required' }
      const answer = await ssh.write('roles/bad', { ...fields, [name]: value })
      assert.equal(answer.status, 400, `${name}=${value}`)
      assert.match(answer.error ?? '', new RegExp(`^${name}`))
    }
  })

  test('that allows no host is warned about', async () => {
    const ssh = await mountHosts()
    const fields = { key_type: 'ca', allow_user_certificates: true }
    const warnings = async (more: object) =>
      (await ssh.write('roles/r', { ...fields, ...more })).warnings
    assert.deepEqual(await warnings({ host_scope: 'required' }), [
      'the role allows no host: set allowed_hosts, allowed_groups or allowed_tags',
    ])
    assert.deepEqual(await warnings({ host_scope: 'required', allowed_tags: '*' }), [])
    assert.deepEqual(await warnings({}), [])
  })
})

describe('a host', () => {
  test('that is not known is refused', async () => {
    const ssh = await mountScoped(ANY)
    for (const name of ['web-9', '10.0.0.9', '*', '../roles/r', '__proto__', 'web-1@h.web-2']) {
      assertRefused(await sign(ssh, { host: name }), 400, `unknown host: ${name}`)
    }
    assertRefused(await sign(ssh, { host: 'web-1,web-9' }), 400, 'unknown host: web-9')
  })

  test('that is disabled is refused, until it is active again', async () => {
    const ssh = await mountScoped(ANY)
    assertDone(await ssh.write('hosts/web-2', { state: 'disabled' }))
    assertRefused(await sign(ssh, { host: 'web-2' }), 400, 'host web-2 is disabled')
    assertRefused(await sign(ssh, { login_host: 'web-2' }), 400, 'host web-2 is disabled')
    assertDone(await ssh.write('hosts/web-2', { state: 'active' }))
    assertDone(await sign(ssh, { host: 'web-2' }))
  })

  test('that is disabled while a certificate is signed gets none (protocols 1.4)', async () => {
    const ssh = await mountScoped(ANY)
    for (const target of [{ host: 'web-2' }, { login_host: '10.0.0.2' }, { host: 'db-1,web-2' }]) {
      let reads = 0
      ssh.stillAllowed = async () => {
        if (reads++ === 0) assertDone(await ssh.write('hosts/web-2', { state: 'disabled' }))
      }
      assertRefused(await sign(ssh, target), 400, 'host web-2 is disabled')
      assert.equal(reads, 1)
      assertDone(await ssh.write('hosts/web-2', { state: 'active' }))
    }
  })

  test('with a list of accounts has no others', async () => {
    const ssh = await mountScoped({ ...ANY, allowed_users: '*' })
    assertRefused(
      await sign(ssh, { host: 'web-1', valid_principals: 'alice,bob' }),
      400,
      'host web-1 has no account bob',
    )
    // One without a list has any.
    assertDone(await sign(ssh, { host: 'web-2', valid_principals: 'bob' }))
    assertRefused(
      await sign(ssh, { host: 'web-1,web-2', valid_principals: 'bob' }),
      400,
      'host web-1 has no account bob',
    )
  })
})

describe('accounts of a certificate for chosen hosts', () => {
  const ROLE = { ...ANY, allowed_users: '*' }

  test('are accounts (protocols 5.2): no commas, blanks, signs or capitals', async () => {
    const ssh = await mountScoped(ROLE)
    for (const name of ['Alice', 'a@b', 'alice@h.web-2', '@u.bob', '@bg.web-1', '1st', 'a*', 'é']) {
      const answer = await sign(ssh, { host: 'web-2', valid_principals: name })
      assert.equal(answer.status, 400, name)
      assert.match(answer.error ?? '', /not an account of a host$/)
    }
    assert.equal((await sign(ssh, { host: 'web-2', valid_principals: 'a b' })).status, 400)
    // CVE-2026-35414: a comma separates names, and is in none.
    assert.deepEqual(await scopedFor(ssh, { host: 'web-2', valid_principals: 'x,y' }), [
      'x@h.web-2',
      'y@h.web-2',
    ])
    const list = { host: ['web-2,web-1'], valid_principals: 'alice' }
    assert.equal((await sign(ssh, list)).error, 'unknown host: web-2,web-1')
    assert.equal((await sign(ssh, { ...list, host: [], group: ['web,db'] })).status, 400)
  })

  test('none are no certificate, also where the role allows empty principals (CVE-2024-7594)', async () => {
    const ssh = await mountScoped({ ...ROLE, allow_empty_principals: true, default_user: '' })
    for (const target of [{ host: 'web-2' }, { group: 'web' }, { tag: 'env=prod' }]) {
      assertRefused(
        await sign(ssh, target),
        400,
        'a certificate for chosen hosts needs at least one account',
      )
    }
  })

  test('times targets are 256 at most', async () => {
    const ssh = await mountScoped(ROLE)
    const names = (count: number, letter: string) =>
      Array.from({ length: count }, (_, at) => `${letter}${at}`).join(',')
    const ask = (accounts: number, groups: number) =>
      sign(ssh, { valid_principals: names(accounts, 'a'), group: names(groups, 'g') })
    assert.equal(certificateOf(await ask(16, 16)).principals.length, 256)
    assertDone(await ask(1, 256))
    for (const [accounts, groups] of [
      [17, 16],
      [257, 1],
      [1, 257],
    ] as const) {
      const answer = await ask(accounts, groups)
      assert.equal(answer.status, 400)
      assert.match(answer.error ?? '', /256 .*at most/)
    }
  })
})

describe('login_host', () => {
  test('is the host where the role is for hosts, and the host known', async () => {
    const ssh = await mountScoped(ANY)
    assert.deepEqual(await scopedFor(ssh, { login_host: 'web-2.example.org' }), ['alice@h.web-2'])
    assertRefused(await sign(ssh, { login_host: 'other' }), 400, 'unknown host: other')
    await writeRole(ssh, { host_scope: 'required', allowed_hosts: 'web-1' })
    assertRefused(await sign(ssh, { login_host: 'db-1' }), 400, 'host db-1 is not allowed by role')
  })

  test('is without effect, with a warning, where nothing is known of the host', async () => {
    const ssh = await mountScoped({ ...ANY, host_scope: 'optional' })
    assert.deepEqual(await scopedFor(ssh, { login_host: 'web-2' }), ['alice@h.web-2'])
    const unknown = await sign(ssh, { login_host: 'elsewhere' })
    assert.deepEqual(unknown.warnings, [
      'login_host was ignored: no host has this id, name or address',
    ])
    assert.deepEqual(certificateOf(unknown).principals, ['alice'])
    await writeRole(ssh, {})
    const off = await sign(ssh, { login_host: 'web-2' })
    assert.deepEqual(off.warnings, ['login_host was ignored: the role has no host_scope'])
    assert.deepEqual(certificateOf(off).principals, ['alice'])
  })

  test('gives way to what is asked for', async () => {
    const ssh = await mountScoped(ANY)
    const asked = { login_host: 'web-2', group: 'db' }
    assert.deepEqual(await scopedFor(ssh, asked), ['alice@g.db'])
  })
})

describe('host certificates', () => {
  const ROLE = {
    ...ANY,
    allow_host_certificates: true,
    allowed_domains: '*',
    allow_subdomains: true,
  }

  test('are the bare issuer’s and have no target', async () => {
    const ssh = await mountScoped(ROLE)
    const ask = { cert_type: 'host', valid_principals: 'web-1.example.org' }
    const answer = await sign(ssh, ask)
    assert.deepEqual(certificateOf(answer).caKey.blob, bareKey.blob)
    for (const target of [{ host: 'web-1' }, { group: 'web' }, { tag: 'env=prod' }]) {
      assertRefused(
        await sign(ssh, { ...ask, ...target }),
        400,
        'only user certificates are for a host, group or tag',
      )
    }
  })

  test('are never a scoped issuer’s', async () => {
    const ssh = await mountScoped({ ...ROLE, issuer_ref: 'scoped' })
    const answer = await sign(ssh, { cert_type: 'host', valid_principals: 'web-1.example.org' })
    assertRefused(
      answer,
      400,
      'issuer scoped of the role is a scoped one: it signs only certificates for a host, group or tag',
    )
  })

  test('name nothing that could be taken for a scoped name', async () => {
    const ssh = await mountScoped({ ...ROLE, host_scope: 'off' })
    const answer = await sign(ssh, { cert_type: 'host', valid_principals: 'root@h.web-1' })
    assert.equal(answer.status, 400)
  })
})

describe('an issuer_ref of the other kind', () => {
  test('is refused, each way', async () => {
    const ssh = await mountScoped({ ...ANY, host_scope: 'optional', issuer_ref: 'scoped' })
    assert.deepEqual(await scopedFor(ssh, { host: 'web-1' }), ['alice@h.web-1'])
    assert.match((await sign(ssh)).error ?? '', /^issuer scoped of the role is a scoped one/)
    const { data } = await ssh.read('config/issuers')
    const bareId = String(data['default'])
    await writeRole(ssh, { ...ANY, host_scope: 'optional', issuer_ref: bareId })
    assertDone(await sign(ssh))
    assert.equal(
      (await sign(ssh, { host: 'web-1' })).error,
      `issuer ${bareId} of the role is not a scoped one: it signs no certificate for chosen hosts`,
    )
  })

  test('is named where the mount has no scoped issuer', async () => {
    const ssh = await mountCa()
    await writeRole(ssh, ANY)
    assertRefused(
      await sign(ssh, { group: 'web' }),
      400,
      'no scoped issuer currently configured: write host_scope=true to config/hosts',
    )
  })
})

describe('required options and extensions', () => {
  test('are in every certificate, last, whatever the request says', async () => {
    const ssh = await mountScoped({
      ...ANY,
      host_scope: 'optional',
      allowed_extensions: '*',
      required_critical_options: { 'source-address': '10.0.0.0/8' },
      required_extensions: { 'permit-pty': '' },
      default_extensions: { 'permit-user-rc': '' },
    })
    for (const target of [{}, { host: 'web-1' }, { group: 'web' }]) {
      const own = {
        critical_options: { 'source-address': '0.0.0.0/0', 'force-command': 'id' },
        extensions: { 'permit-pty': 'x', 'permit-X11-forwarding': '' },
      }
      const chosen = certificateOf(await sign(ssh, { ...target, ...own }))
      assert.deepEqual(Object.fromEntries(chosen.criticalOptions), {
        'force-command': 'id',
        'source-address': '10.0.0.0/8',
      })
      assert.equal(chosen.extensions.get('permit-pty'), '')
      const standard = certificateOf(await sign(ssh, target))
      assert.deepEqual(Object.fromEntries(standard.criticalOptions), {
        'source-address': '10.0.0.0/8',
      })
      assert.deepEqual([...standard.extensions.keys()].sort(), ['permit-pty', 'permit-user-rc'])
    }
  })
})
