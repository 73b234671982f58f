/** The registry of hosts as operators write and read it (protocols 5.2). */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fingerprint } from '../../../../src/ssh/key/fingerprint.ts'
import { vector } from '../../../ssh/support.ts'
import type { Mounted } from '../../harness.ts'
import { assertDone, assertRefused, mountCa } from '../support.ts'
import { enrol, joinToken, lineOf, mine, mountHosts, victims } from './support.ts'

/** 1024 bits. */
const WEAK_RSA =
  'ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC/CW/wMnNtMLv1065d2cHImm64hfRf+NCoN5gq/GNZsKabNpuB17ReinTfiTHjxMIsi2WCaCRmd+6EjL1lh6wZpN7gM1Ckw+6bWb0Jis3P3DsE1G1in0k9pz7T/FApFTI6b7ZL+KjAQqFdXzy81pYwvGCK0pPheDmbVegDXsly6Q=='

async function mountMany(): Promise<Mounted> {
  const ssh = await mountCa()
  assertDone(await ssh.write('config/hosts', { host_scope: true }))
  for (const [at, group] of ['web', 'web', 'db', 'web', 'web'].entries()) {
    const tags = at % 2 === 0 ? 'env=prod' : 'env=test'
    const fields = { groups: group, tags, names: `n${at}.example.org` }
    assertDone(await ssh.write(`hosts/h-${at}`, fields))
  }
  return ssh
}

const keysOf = async (ssh: Mounted, fields: Record<string, unknown>) =>
  (await ssh.list('hosts', fields)).data['keys']

const dataKeys = async (ssh: Mounted) =>
  (await ssh.dataKeys()).filter((key) => key.startsWith('host'))

describe('what is written about a host', () => {
  test('is brought to one form', async () => {
    const ssh = await mountHosts()
    const fields = {
      names: ['Web-2.Example.ORG.', 'web-2.example.org'],
      addresses: ['10.0.0.2', '::ffff:10.0.0.2', '2001:DB8::1'],
      certificate_names: ['WEB-2.example.org', '2001:db8:0::1'],
      tags: ['env=prod', 'env=prod'],
      host_keys: [`${lineOf(mine)} root@somewhere`],
    }
    const { data } = await ssh.write('hosts/web-2', fields)
    assert.deepEqual(data['names'], ['web-2.example.org'])
    assert.deepEqual(data['addresses'], ['10.0.0.2', '2001:db8::1'])
    assert.deepEqual(data['certificate_names'], ['2001:db8::1', 'web-2.example.org'])
    assert.deepEqual(data['tags'], ['env=prod'])
    assert.deepEqual(data['host_keys'], [lineOf(mine)])
    assert.deepEqual((await ssh.read('hosts/web-2')).data, data)
  })

  const bad: Record<string, readonly string[]> = {
    names: ['a,b', 'root@h.web-1', '-a', 'a..b', '*.example.org', 'a b', 'a\nb', 'a/b', 'ａ'],
    certificate_names: ['*', '*.example.org', 'a,b', 'x@g.web', 'a\nb', '10.0.0.0/8'],
    addresses: ['10.0.0', '10.0.0.0/8', 'web-1', '010.0.0.1', '10.0.0.1%eth0'],
    groups: ['Web', 'a,b', 'web@h', '-web', 'web*', 'w'.repeat(64), '__proto__'],
    tags: ['env', 'env.x=prod', 'Env=prod', 'env=Prod', 'env=', '=prod', 'env=a,b', 'env=a=b'],
    accounts: ['root@h.web-1', 'Root', '1a', 'a,b', '*', 'a b', 'r'.repeat(33)],
    host_keys: ['ssh-ed25519 AAAA', `command="x" ${lineOf(mine)}`],
  }
  for (const [field, items] of Object.entries(bad)) {
    test(`protocols 5.2: ${field} takes nothing else`, async () => {
      const ssh = await mountHosts()
      for (const item of items) {
        const { status } = await ssh.write('hosts/web-2', { [field]: [item] })
        assert.equal(status, 400, JSON.stringify(item))
      }
      assert.equal((await ssh.read('hosts/web-2')).status, 404)
    })
  }

  test('protocols 5.2: an id is in small letters, and no path', async () => {
    const ssh = await mountHosts()
    for (const id of ['Web-2', 'web_2', '-web', '.web', 'w'.repeat(64), 'a@h', 'a,b', 'a b']) {
      const { status } = await ssh.write(`hosts/${id}`, {})
      assert.ok(status === 400 || status === 404, id)
    }
    assert.deepEqual(await keysOf(ssh, {}), ['web-1'])
  })

  test('CVE-2025-49825: no certificate stands for a host key, nor one that is weak or of a token', async () => {
    const ssh = await mountHosts()
    const files = ['sk-ed25519.pub', 'sk-ecdsa.pub', 'dsa.pub', 'ed25519-cert.pub', 'host-cert.pub']
    for (const key of [...files.map(vector), WEAK_RSA]) {
      assert.equal((await ssh.write('hosts/web-2', { host_keys: [key] })).status, 400, key)
      const token = await joinToken(ssh)
      const answer = await enrol(ssh, token, 'web-2', { fields: { host_keys: [key] } })
      assert.equal(answer.status, 400, key)
    }
  })

  test('is 64 items of a kind at most', async () => {
    const ssh = await mountHosts()
    const names = Array.from({ length: 65 }, (_, at) => `n-${at}`)
    assertRefused(await ssh.write('hosts/web-2', { names }), 400, 'names: 64 at most')
  })

  test('is no state but active and disabled', async () => {
    const ssh = await mountHosts()
    for (const state of ['pending', 'on', '']) {
      assert.equal((await ssh.write('hosts/web-1', { state })).status, 400, state)
    }
  })

  test('changes nothing that is not sent', async () => {
    const ssh = await mountHosts()
    const before = (await ssh.read('hosts/web-1')).data
    assertDone(await ssh.write('hosts/web-1', { groups: 'web' }))
    assert.deepEqual((await ssh.read('hosts/web-1')).data, { ...before, groups: ['web'] })
  })

  test('is refused before the mount takes hosts', async () => {
    const ssh = await mountCa()
    const { status, error } = await ssh.write('hosts/web-1', {})
    assert.deepEqual([status, /host_scope=true/.test(error ?? '')], [400, true])
  })
})

describe('a name and a key', () => {
  test('are of one host alone, an id is a name, and who has it is said', async () => {
    const ssh = await mountHosts()
    for (const [id, fields] of [
      ['web-2', { names: 'web-1' }],
      ['web-2', { names: 'WEB-1.example.org.' }],
      ['web-1.example.org', {}],
    ] as const) {
      assertRefused(await ssh.write(`hosts/${id}`, fields), 400, 'a name is that of the host web-1')
    }
    const stolen = { host_keys: lineOf(victims) }
    assertRefused(await ssh.write('hosts/web-2', stolen), 400, 'a key is that of the host web-1')
  })

  test('go to one of two hosts that are written at once', async () => {
    const ssh = await mountHosts()
    const fields = { names: 'shared.example.org', host_keys: lineOf(mine) }
    const answers = await Promise.all(
      ['a', 'b', 'c', 'd'].map((id) => ssh.write(`hosts/${id}`, fields)),
    )
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 400, 400, 400])
  })

  test('of one that was renamed or deleted are free', async () => {
    const ssh = await mountHosts()
    assertDone(await ssh.write('hosts/web-1', { names: '', host_keys: lineOf(mine) }))
    const fields = { names: 'web-1.example.org', host_keys: lineOf(victims) }
    assertDone(await ssh.write('hosts/web-2', fields))
    assertDone(await ssh.delete('hosts/web-2'))
    assertDone(await ssh.write('hosts/web-3', fields))
  })

  test('that came to another host meanwhile are not approved', async () => {
    const ssh = await mountHosts()
    await enrol(ssh, await joinToken(ssh), 'web-1')
    assertDone(await ssh.write('hosts/web-2', { host_keys: lineOf(mine) }))
    const seen = { fingerprint: fingerprint(mine.publicKey.blob) }
    const answer = await ssh.write('hosts/web-1/approve', seen)
    assertRefused(answer, 400, 'a key is that of the host web-2')
  })
})

test('an index ends with what it is of', async () => {
  const ssh = await mountHosts()
  const before = await dataKeys(ssh)
  const fields = { names: 'web-9', addresses: '10.0.0.2', groups: 'web', tags: 'env=prod' }
  assertDone(await ssh.write('hosts/web-2', fields))
  assertDone(await ssh.write('hosts/web-2', { names: '', addresses: '', groups: '', tags: '' }))
  const left = (await dataKeys(ssh)).filter((key) => !before.includes(key))
  assert.deepEqual(left, ['host-names/web-2', 'hosts/web-2'])
})

describe('deleting a host', () => {
  test('takes its record and each of its indexes, in one commit', async () => {
    const ssh = await mountHosts()
    const before = await dataKeys(ssh)
    const fields = {
      names: 'a.example.org,b.example.org',
      addresses: '10.0.0.2',
      groups: 'web,all',
      tags: 'env=prod',
      host_keys: lineOf(mine),
    }
    assertDone(await ssh.write('hosts/web-2', fields))
    // Record, id and two names, key, address, two groups, tag.
    assert.equal((await dataKeys(ssh)).length, before.length + 9)
    assertDone(await ssh.delete('hosts/web-2'))
    assert.deepEqual(await dataKeys(ssh), before)
    assert.equal((await ssh.read('hosts/web-2')).status, 404)
  })

  test('that is not there does nothing', async () => {
    const ssh = await mountHosts()
    assert.equal((await ssh.delete('hosts/web-9')).status, 204)
  })
})

describe('the list of hosts', () => {
  test('can be narrowed by group, tag, name and state', async () => {
    const ssh = await mountMany()
    assertDone(await ssh.write('hosts/h-1', { state: 'disabled' }))
    const all = ['h-0', 'h-1', 'h-2', 'h-3', 'h-4']
    assert.deepEqual(await keysOf(ssh, {}), all)
    assert.deepEqual(await keysOf(ssh, { group: 'web' }), ['h-0', 'h-1', 'h-3', 'h-4'])
    assert.deepEqual(await keysOf(ssh, { tag: 'env=prod' }), ['h-0', 'h-2', 'h-4'])
    assert.deepEqual(await keysOf(ssh, { group: 'web', tag: 'env=prod' }), ['h-0', 'h-4'])
    assert.deepEqual(await keysOf(ssh, { name: 'N3.EX' }), ['h-3'])
    assert.deepEqual(await keysOf(ssh, { state: 'disabled' }), ['h-1'])
    assert.equal((await ssh.list('hosts', { group: 'nowhere' })).status, 404)
  })

  test('comes in pages, and says how to go on', async () => {
    const ssh = await mountMany()
    const first = await ssh.list('hosts', { group: 'web', limit: 2 })
    assert.deepEqual(first.data['keys'], ['h-0', 'h-1'])
    assert.deepEqual(first.warnings, ['there may be more: list with after=h-1'])
    assert.deepEqual(await keysOf(ssh, { group: 'web', after: 'h-1', limit: 2 }), ['h-3', 'h-4'])
    assert.equal((await ssh.list('hosts', { group: 'web', after: 'h-4' })).status, 404)
  })

  test('takes no text into the name of an index', async () => {
    const ssh = await mountMany()
    for (const fields of [
      { group: '../web' },
      { group: 'web/' },
      { tag: 'env' },
      { tag: 'a.b=c' },
    ]) {
      assert.equal((await ssh.list('hosts', fields)).status, 400, JSON.stringify(fields))
    }
  })
})
