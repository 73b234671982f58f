/** What a host gets for itself: its bundle, its host certificate; and the key that signs for it (protocols 5.4, 5.6). */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type BundleStatement, openStatement } from '../../../../src/ssh/host/statement.ts'
import { parseAuthorizedKey } from '../../../../src/ssh/key/authorized-keys.ts'
import { fingerprint } from '../../../../src/ssh/key/fingerprint.ts'
import type { Answer, Mounted } from '../../harness.ts'
import { assertDone, assertRefused, CLUSTER_ID, inspect } from '../support.ts'
import { enrol, joinToken, lineOf, mine, mountHosts, sign, victims } from './support.ts'

const bundlePath = '/v1/ssh/host/bundle'
const DAY_MS = 86_400_000

async function identity(ssh: Mounted): Promise<Record<string, unknown>> {
  return (await ssh.read('identity')).data
}

async function bundle(ssh: Mounted, hostId = 'web-1', key = victims): Promise<Answer> {
  const sent = await sign(ssh, key, { path: bundlePath, method: 'GET', hostId })
  return ssh.request('read', 'host/bundle', {}, sent)
}

async function opened(ssh: Mounted, ...of: [hostId?: string, key?: typeof mine]) {
  const answer = await bundle(ssh, ...of)
  assertDone(answer)
  const trusted = [parseAuthorizedKey(String((await identity(ssh))['public_key']))]
  const signed = {
    statement: String(answer.data['statement']),
    signature: String(answer.data['signature']),
  }
  return openStatement('bundle', signed, trusted, Math.floor(ssh.now / 1000))
}

const versionOf = async (ssh: Mounted, ...of: [hostId?: string, key?: typeof mine]) =>
  (await opened(ssh, ...of)).content.version

describe('a bundle', () => {
  test('protocols 5.6: says for whom it is, how long, and what the host has to know', async () => {
    const ssh = await mountHosts()
    const fields = { groups: 'web', tags: 'env=prod', accounts: 'deploy,root' }
    assertDone(await ssh.write('hosts/web-1', fields))
    const { content, isExpired } = await opened(ssh)
    const scoped = String((await ssh.read('public_key', { usage: 'scoped' })).body).trim()
    const expected: BundleStatement = {
      issuer: `${CLUSTER_ID}/ssh`,
      hostId: 'web-1',
      version: content.version,
      issuedAt: ssh.now / 1000,
      notAfter: ssh.now / 1000 + 86_400,
      krlVersion: content.krlVersion,
      serverKey: String((await identity(ssh))['public_key']),
      userCas: [scoped],
      accounts: ['deploy', 'root'],
      groups: ['web'],
      tags: ['env=prod'],
      hostCertificates: true,
    }
    assert.deepEqual(content, expected)
    assert.equal(isExpired, false)
  })

  test('protocols 5.1: names no key of a bare issuer', async () => {
    const ssh = await mountHosts()
    const bare = String((await ssh.read('public_key')).body).split(' ')[1] ?? '-'
    const { data } = await bundle(ssh)
    assert.equal(String(data['statement']).includes(bare), false)
  })

  test('protocols 5.6: has a new version for new content, the same for the same, and never an older one', async () => {
    const ssh = await mountHosts()
    const first = await versionOf(ssh)
    ssh.now += DAY_MS
    assert.equal(await versionOf(ssh), first)
    const versions = [first]
    for (const groups of ['web', '', 'web']) {
      assertDone(await ssh.write('hosts/web-1', { groups }))
      // The clock may be set back in the meantime.
      ssh.now -= 30 * DAY_MS
      versions.push(await versionOf(ssh))
    }
    assert.deepEqual(
      versions,
      [...new Set(versions)].sort((a, b) => a - b),
    )
  })

  test('protocols 5.6: keeps its version in the store before it is told', async () => {
    const ssh = await mountHosts()
    const { outcome } = await bundle(ssh)
    const written = outcome.writes?.map(({ key }) => key) ?? []
    assert.ok(written.some((key) => key.endsWith('host-bundles/web-1')))
    const again = await bundle(ssh)
    assert.deepEqual(again.outcome.writes, [])
  })

  test('protocols 5.6: of a host that was deleted and made anew goes on above the old ones', async () => {
    const ssh = await mountHosts()
    const before = await versionOf(ssh)
    assertDone(await ssh.delete('hosts/web-1'))
    ssh.now -= DAY_MS
    assertDone(await ssh.write('hosts/web-1', { host_keys: lineOf(victims), groups: 'db' }))
    assert.ok((await versionOf(ssh)) > before)
  })

  test('protocols 1.10: after a restore is above all that hosts may have seen', async () => {
    const ssh = await mountHosts()
    await versionOf(ssh)
    ssh.now += DAY_MS
    assertDone(await ssh.write('hosts/web-1', { groups: 'web' }))
    const lost = await versionOf(ssh)
    // The store is the one of before: the same content again, whose version is known there.
    await ssh.run('restored')
    ssh.now += 1000
    assert.ok((await versionOf(ssh)) > lost)
    const after = await versionOf(ssh)
    assert.equal(await versionOf(ssh), after)
  })

  test('protocols 5.4: is for the host that asks, and no other', async () => {
    const ssh = await mountHosts()
    assertDone(await ssh.write('hosts/web-2', { host_keys: lineOf(mine), groups: 'db' }))
    const { content } = await opened(ssh, 'web-2', mine)
    assert.deepEqual([content.hostId, content.groups], ['web-2', ['db']])
    assertRefused(await bundle(ssh, 'web-1', mine), 403, 'permission denied')
  })
})

describe('the identity key', () => {
  test('is announced in bundles before it signs, and then the old one signs no more', async () => {
    const ssh = await mountHosts()
    const old = await identity(ssh)
    assert.equal((await ssh.write('config/identity/rotate', { finish: true })).status, 400)
    const announced = await ssh.write('config/identity/rotate')
    const next = String(announced.data['next_public_key'])
    assert.equal((await identity(ssh))['public_key'], old['public_key'])
    const { content } = await opened(ssh)
    assert.deepEqual([content.serverKey, content.nextServerKey], [old['public_key'], next])
    assert.equal((await ssh.write('config/identity/rotate')).status, 400)
    assertDone(await ssh.write('config/identity/rotate', { finish: true }))
    const after = await opened(ssh)
    assert.equal(after.content.serverKey, next)
    assert.equal(after.content.nextServerKey, undefined)
    assert.ok(after.content.version > content.version)
    assert.equal(fingerprint(after.key.blob), (await identity(ssh))['fingerprint'])
  })

  test('is no CA key, and stays when config/hosts is written again', async () => {
    const ssh = await mountHosts()
    const { public_key: key } = await identity(ssh)
    assertDone(await ssh.write('config/hosts', { host_scope: false }))
    assertDone(await ssh.write('config/hosts', { host_scope: true }))
    assert.equal((await identity(ssh))['public_key'], key)
    for (const usage of ['bare', 'scoped']) {
      const { body } = await ssh.read('public_key', { usage })
      assert.notEqual(String(body).trim(), key)
    }
  })
})

describe('a host certificate', () => {
  const path = '/v1/ssh/host/certificate'

  async function certificate(ssh: Mounted, more: object = {}): Promise<Answer> {
    const fields = { public_key: lineOf(victims), ...more }
    const sent = await sign(ssh, victims, { path, body: JSON.stringify(fields) })
    return ssh.write('host/certificate', fields, sent)
  }

  test("protocols 5.4: has the operator's names, whatever the host asks for", async () => {
    const ssh = await mountHosts()
    const wishes = { valid_principals: 'bank.example.org', names: ['bank.example.org'] }
    const { data } = await certificate(ssh, { ...wishes, cert_type: 'user', ttl: '10y' })
    const shown = inspect(data['signed_key'])
    assert.deepEqual(shown.get('Principals'), ['web-1.example.org'])
    assert.match(String(shown.get('Type')), /host certificate$/)
    assert.deepEqual(shown.get('Critical Options'), '(none)')
    assert.equal(data['valid_before'], ssh.now / 1000 + 30 * 86_400)
  })

  test('lives as long as config/hosts says, and is signed by the issuer named there, never a scoped one', async () => {
    const ssh = await mountHosts()
    assertDone(await ssh.write('config/hosts', { host_certificate_ttl: '2h' }))
    const { data } = await certificate(ssh)
    assert.equal(data['valid_before'], ssh.now / 1000 + 7200)
    const signer = String(inspect(data['signed_key']).get('Signing CA')).split(' ')[1]
    const bare = String((await ssh.read('public_key')).body)
    assert.equal(signer, fingerprint(parseAuthorizedKey(bare).blob))
    for (const ttl of ['30m', '367d']) {
      assert.equal((await ssh.write('config/hosts', { host_certificate_ttl: ttl })).status, 400)
    }
    const { data: list } = await ssh.list('issuers')
    const scoped = (list['keys'] as string[]).filter((id) => id !== data['issuer_id'])
    assert.equal(scoped.length, 1)
    assert.equal((await ssh.write('config/hosts', { host_issuer_ref: scoped[0] })).status, 400)
  })

  test('protocols 1.4: is not for a host that is disabled while it is signed', async () => {
    const ssh = await mountHosts()
    ssh.stillAllowed = async () => {
      assertDone(await ssh.write('hosts/web-1', { state: 'disabled' }))
    }
    assertRefused(await certificate(ssh), 403, 'permission denied')
    assert.equal(
      (await ssh.dataKeys()).some((key) => key.startsWith('certs/')),
      false,
    )
  })

  test('is not for a host without certificate_names', async () => {
    const ssh = await mountHosts()
    assertDone(await ssh.write('hosts/web-1', { certificate_names: '' }))
    const { status, error } = await certificate(ssh)
    assert.deepEqual([status, /certificate_names/.test(error ?? '')], [400, true])
    assert.equal((await opened(ssh)).content.hostCertificates, false)
  })
})

describe('a join token', () => {
  test('is shown once, kept under a hash, and ends with its last use or its time', async () => {
    const ssh = await mountHosts()
    const made = await ssh.write('join-tokens', { name_pattern: 'web-*', uses: 2 })
    const token = String(made.data['join_token'])
    const id = String(made.data['id'])
    const shown = (await ssh.read(`join-tokens/${id}`)).data
    assert.equal(JSON.stringify(shown).includes(token), false)
    assert.equal(
      (await ssh.dataKeys()).some((key) => key.includes(token)),
      false,
    )
    assert.deepEqual((await ssh.list('join-tokens')).data['keys'], [id])
    assertDone(await enrol(ssh, token, 'web-7'))
    assert.equal((await ssh.read(`join-tokens/${id}`)).data['uses_left'], 1)
    const other = await joinToken(ssh, { ttl: '1h' })
    ssh.now += 3_600_000
    await ssh.run('periodic')
    assert.equal((await ssh.list('join-tokens')).status, 404)
    assert.equal(
      (await ssh.dataKeys()).some((key) => key.startsWith('join-')),
      false,
    )
    assert.equal((await enrol(ssh, other, 'web-8', { key: victims })).status, 403)
  })

  test('is good no more once it was deleted', async () => {
    const ssh = await mountHosts()
    const { data } = await ssh.write('join-tokens', { name_pattern: 'web-*' })
    assertDone(await ssh.delete(`join-tokens/${data['id']}`))
    assert.equal((await enrol(ssh, String(data['join_token']), 'web-7')).status, 403)
  })

  const bad: readonly Record<string, unknown>[] = [
    { uses: 0 },
    { uses: 10_001 },
    { ttl: '31d' },
    { cidr_list: '10.0.0.0/33' },
    { name_pattern: 'web_*' },
    { name_pattern: 'web-7', uses: 2 },
    { groups: 'Web' },
    { certificate_names: '*.example.org' },
    { certificate_names: '{{other}}.example.org' },
  ]
  for (const fields of bad) {
    test(`is not made of ${JSON.stringify(fields)}`, async () => {
      const ssh = await mountHosts()
      assert.equal((await ssh.write('join-tokens', fields)).status, 400)
    })
  }
})
