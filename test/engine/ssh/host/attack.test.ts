/** What somebody tries who holds a join token, another host's key or a captured request (protocols 5.4). */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  HOST_NAMESPACE,
  type HostRequest,
  hostHeaders,
  hostProofMessage,
} from '../../../../src/ssh/host/host-request.ts'
import { fingerprint } from '../../../../src/ssh/key/fingerprint.ts'
import { generateKeyPair } from '../../../../src/ssh/key/private-key.ts'
import { signBlob } from '../../../../src/ssh/sshsig.ts'
import type { Mounted, Sent } from '../../harness.ts'
import { assertDone, assertRefused } from '../support.ts'
import {
  DENIED,
  enrol,
  joinToken,
  lineOf,
  mine,
  mountHosts,
  prepared,
  sign,
  victims,
} from './support.ts'

const stateOf = async (ssh: Mounted, id: string) => (await ssh.read(`hosts/${id}`)).data['state']

describe('a stolen join token', () => {
  test("does not make its holder another host: the id's keys stay until an operator has compared them", async () => {
    const ssh = await mountHosts()
    const answer = await enrol(ssh, await joinToken(ssh), 'web-1')
    assert.deepEqual([answer.data['host_id'], answer.data['state']], ['web-1', 'pending'])
    const bundle = await sign(ssh, mine, { path: '/v1/ssh/host/bundle', method: 'GET' })
    assertRefused(await ssh.request('read', 'host/bundle', {}, bundle), 403, DENIED)
    const { data } = await ssh.read('hosts/web-1')
    assert.deepEqual(data['host_keys'], [lineOf(victims)])
    const old = { fingerprint: fingerprint(victims.publicKey.blob) }
    assert.equal((await ssh.write('hosts/web-1/approve', old)).status, 400)
  })

  test('gives no other name, group, tag, account or certificate name than it says', async () => {
    const ssh = await mountHosts()
    const token = await joinToken(ssh, { groups: 'web', certificate_names: '{{name}}.example.org' })
    for (const name of [
      'db-1',
      'web-1.evil',
      'web-',
      'web-*',
      'web-\n',
      'web-x@g.db',
      '__proto__',
    ]) {
      assert.equal((await enrol(ssh, token, name)).status, 400, name)
    }
    const wishes = { groups: ['db'], tags: ['env=prod'], accounts: ['root'], names: ['evil.org'] }
    assertDone(
      await enrol(ssh, token, 'web-7', { fields: { ...wishes, certificate_names: ['*'] } }),
    )
    const { data } = await ssh.read('hosts/web-7')
    assert.deepEqual(
      [data['groups'], data['tags'], data['accounts'], data['names'], data['certificate_names']],
      [['web'], [], [], ['web-7.example.org'], ['web-7.example.org']],
    )
  })

  test('does not take the name of another host', async () => {
    const ssh = await mountHosts()
    assertDone(await ssh.write('hosts/db-1', { names: 'web-9' }))
    const { status, error } = await enrol(ssh, await joinToken(ssh), 'web-9')
    assert.deepEqual([status, error], [400, 'the host db-1 is called by that name'])
  })

  test("does not enrol another host's key, neither without its proof nor with one for another enrolment", async () => {
    const ssh = await mountHosts()
    const token = await joinToken(ssh)
    const keys = [lineOf(mine), lineOf(victims)]
    const stolen = hostProofMessage('hj.another', mine.publicKey.blob)
    const proof = (await signBlob(victims, HOST_NAMESPACE, stolen)).toString('base64')
    const right = hostProofMessage(token, mine.publicKey.blob)
    const own = (await signBlob(mine, HOST_NAMESPACE, right)).toString('base64')
    for (const proofs of [[], [proof], [own], ['AAAA'], [proof, proof]]) {
      const answer = await enrol(ssh, token, 'web-7', { fields: { host_keys: keys, proofs } })
      assert.equal(answer.status, 400)
    }
    const foreign = await enrol(ssh, token, 'web-7', { fields: { host_keys: [lineOf(victims)] } })
    assertRefused(foreign, 400, 'the first of host_keys has to sign the request')
    assert.equal(await stateOf(ssh, 'web-1'), 'active')
  })

  test('of 64 hosts that bring it at once, as many enrol as it has uses', async () => {
    const ssh = await mountHosts()
    const token = await joinToken(ssh, { uses: 1 })
    const newcomers = await Promise.all(
      Array.from({ length: 64 }, async (_, at) =>
        prepared(ssh, token, `web-${at + 10}`, { key: await generateKeyPair('ed25519', 0) }),
      ),
    )
    const answers = await Promise.all(newcomers.map((send) => send()))
    assert.equal(answers.filter(({ status }) => status === 200).length, 1)
  })

  test('is good for its time, and from its networks', async () => {
    const ssh = await mountHosts()
    const refusal = 'the join token is not good, or not for this host'
    const elsewhere = await joinToken(ssh, { cidr_list: '10.0.0.0/8' })
    assertRefused(await enrol(ssh, elsewhere, 'web-7'), 403, refusal)
    assertRefused(await enrol(ssh, 'hj.AAAA', 'web-7'), 403, refusal)
    const brief = await joinToken(ssh, { ttl: '1m', cidr_list: '127.0.0.0/8' })
    assertDone(await enrol(ssh, brief, 'web-7'))
    ssh.now += 60_000
    assertRefused(await enrol(ssh, brief, 'web-8', { key: victims }), 403, refusal)
  })

  test('is of no use to a request that names a host', async () => {
    const ssh = await mountHosts()
    const token = await joinToken(ssh)
    const answer = await enrol(ssh, token, 'web-7', { request: { hostId: 'web-1' } })
    assertRefused(answer, 403, DENIED)
  })

  test('makes no second host of one key', async () => {
    const ssh = await mountHosts()
    const token = await joinToken(ssh)
    assertDone(await enrol(ssh, token, 'web-7'))
    const { data } = await enrol(ssh, token, 'web-8')
    assert.deepEqual([data['host_id'], data['state']], ['web-7', 'pending'])
    assert.equal((await ssh.read('hosts/web-8')).status, 404)
  })
})

describe('a host that waits for approval', () => {
  test('is not let in by way of another state', async () => {
    const ssh = await mountHosts()
    await enrol(ssh, await joinToken(ssh, { require_approval: true }), 'web-7')
    assert.equal(await stateOf(ssh, 'web-7'), 'pending')
    for (const state of ['active', 'disabled', 'pending']) {
      assert.equal((await ssh.write('hosts/web-7', { state })).status, 400)
    }
    const bundle = { path: '/v1/ssh/host/bundle', method: 'GET', hostId: 'web-7' } as const
    const asked = await ssh.request('read', 'host/bundle', {}, await sign(ssh, mine, bundle))
    assertRefused(asked, 403, DENIED)
    assert.equal((await ssh.write('hosts/web-7/approve')).status, 400)
    const seen = { fingerprint: fingerprint(mine.publicKey.blob) }
    assertDone(await ssh.write('hosts/web-7/approve', seen))
    assertDone(await ssh.request('read', 'host/bundle', {}, await sign(ssh, mine, bundle)))
  })

  test('leaves nothing to the next one of its name', async () => {
    const ssh = await mountHosts()
    await enrol(ssh, await joinToken(ssh), 'web-1')
    assertDone(await ssh.delete('hosts/web-1'))
    assertDone(await ssh.write('hosts/web-1', { host_keys: lineOf(victims) }))
    assert.equal('pending_enrollment' in (await ssh.read('hosts/web-1')).data, false)
    const seen = { fingerprint: fingerprint(mine.publicKey.blob) }
    assert.equal((await ssh.write('hosts/web-1/approve', seen)).status, 400)
  })
})

describe('a request that a host signed', () => {
  const path = '/v1/ssh/host/certificate'
  const data = { public_key: lineOf(victims) }
  const body = JSON.stringify(data)

  const certificate = (ssh: Mounted, sent: Sent, fields: Record<string, unknown> = data) =>
    ssh.write('host/certificate', fields, sent)

  test('is good for what it says, and signs no key but one of its own', async () => {
    const ssh = await mountHosts()
    assertDone(await certificate(ssh, await sign(ssh, victims, { path, body })))
    const other = { public_key: lineOf(mine) }
    const request = await sign(ssh, victims, { path, body: JSON.stringify(other) })
    assertRefused(await certificate(ssh, request, other), 403, DENIED)
  })

  const changes: readonly Partial<HostRequest>[] = [
    { clusterId: '' },
    { clusterId: '5a1f0c2e-0000-4000-8000-000000000002' },
    { method: 'GET' },
    { path: '/v1/other/host/certificate' },
    { path: '/v1/ssh/host/bundle' },
    { body: '' },
    { body: `${body} ` },
    { hostId: 'web-2' },
    { hostId: '' },
  ]
  for (const change of changes) {
    test(`protocols 5.4: is refused when it was signed with ${JSON.stringify(change)}`, async () => {
      const ssh = await mountHosts()
      const { headers } = await sign(ssh, victims, { path, body, ...change })
      const named = { ...headers, [hostHeaders.host]: 'web-1' }
      assertRefused(await certificate(ssh, { headers: named, bodyText: body }), 403, DENIED)
    })
  }

  test('protocols 5.4: is refused with fields that no signed body holds: a form or a query', async () => {
    const ssh = await mountHosts()
    const { headers } = await sign(ssh, victims, { path, body: '' })
    assertRefused(await certificate(ssh, { headers: headers ?? {} }), 403, DENIED)
    const asked = { path: '/v1/ssh/host/bundle', method: 'GET' } as const
    const query = { headers: (await sign(ssh, victims, asked)).headers ?? {} }
    assertRefused(await ssh.request('read', 'host/bundle', { host: 'web-2' }, query), 403, DENIED)
    assertDone(await ssh.request('read', 'host/bundle', {}, query))
  })

  test('protocols 5.4: is refused with a time that it was not signed for, and far from now with any', async () => {
    const ssh = await mountHosts()
    const now = Math.floor(ssh.now / 1000)
    const sent = await sign(ssh, victims, { path, body, unixSeconds: now - 3600 })
    const moved = { ...sent, headers: { ...sent.headers, [hostHeaders.time]: String(now) } }
    assertRefused(await certificate(ssh, moved), 403, DENIED)
    assert.equal((await certificate(ssh, sent)).status, 400)
  })

  test('protocols 5.4: is refused when it is from before the start, of which nothing is remembered', async () => {
    const ssh = await mountHosts(Date.UTC(2026, 10, 22, 12, 0, 30))
    assert.equal((await certificate(ssh, await sign(ssh, victims, { path, body }))).status, 503)
    ssh.now += 30_000
    assertDone(await certificate(ssh, await sign(ssh, victims, { path, body })))
  })

  test('protocols 5.4: is taken once, also in the last moment of its time', async () => {
    const ssh = await mountHosts()
    const ahead = Math.floor(ssh.now / 1000) + 60
    const sent = await sign(ssh, victims, { path, body, unixSeconds: ahead })
    assertDone(await certificate(ssh, { ...sent, requestId: 'first' }))
    for (const passed of [0, 60_000, 60_000]) {
      ssh.now += passed
      assertRefused(await certificate(ssh, { ...sent, requestId: 'again' }), 403, DENIED)
    }
    ssh.now += 1000
    assert.equal((await certificate(ssh, { ...sent, requestId: 'again' })).status, 400)
  })

  test('protocols 5.4: is taken once, however its random number is spelled', async () => {
    const ssh = await mountHosts()
    const sent = await sign(ssh, victims, { path, body })
    assertDone(await certificate(ssh, { ...sent, requestId: 'first' }))
    const nonce = sent.headers?.[hostHeaders.nonce] ?? ''
    const bits = Buffer.from(nonce, 'base64url')
    for (const spelled of [`${nonce}==`, bits.toString('base64'), `${nonce} `, `${nonce}=`]) {
      const headers = { ...sent.headers, [hostHeaders.nonce]: spelled }
      const again = { ...sent, headers, requestId: 'again' }
      assertRefused(await certificate(ssh, again), 403, DENIED)
    }
  })

  test('protocols 5.4: is refused more than 60 s off, either way, and told by how much', async () => {
    const ssh = await mountHosts()
    const now = Math.floor(ssh.now / 1000)
    const cases = [
      [now - 61, /61 s behind the server's/],
      [now + 61, /61 s ahead of the server's/],
    ] as const
    for (const [unixSeconds, text] of cases) {
      const { status, error } = await certificate(
        ssh,
        await sign(ssh, victims, { path, body, unixSeconds }),
      )
      assert.equal(status, 400)
      assert.match(error ?? '', text)
    }
  })

  test('is refused from a host that is disabled, and good again when that is over', async () => {
    const ssh = await mountHosts()
    assertDone(await ssh.write('hosts/web-1', { state: 'disabled' }))
    assertRefused(await certificate(ssh, await sign(ssh, victims, { path, body })), 403, DENIED)
    assertDone(await ssh.write('hosts/web-1', { state: 'active' }))
    assertDone(await certificate(ssh, await sign(ssh, victims, { path, body })))
    assertDone(await ssh.delete('hosts/web-1'))
    assertRefused(await certificate(ssh, await sign(ssh, victims, { path, body })), 403, DENIED)
  })

  test('is refused with a host key that was taken away', async () => {
    const ssh = await mountHosts()
    assertDone(await ssh.write('hosts/web-1', { host_keys: lineOf(mine) }))
    assertRefused(await certificate(ssh, await sign(ssh, victims, { path, body })), 403, DENIED)
  })

  test('is refused for a host that is not, by the same words as for a wrong key', async () => {
    const ssh = await mountHosts()
    for (const hostId of ['web-2', '__proto__', '../web-1', 'web-1/']) {
      const sent = await sign(ssh, mine, { path, body, hostId })
      assertRefused(await certificate(ssh, sent), 403, DENIED)
    }
    assertRefused(await certificate(ssh, await sign(ssh, mine, { path, body })), 403, DENIED)
  })
})

test('protocols 3.2: a pattern with many stars is refused', async () => {
  const ssh = await mountHosts()
  const { status } = await ssh.write('join-tokens', { name_pattern: '*a*a*a*a*', uses: 2 })
  assert.equal(status, 400)
  const token = await joinToken(ssh, { name_pattern: '***' })
  const started = performance.now()
  assert.equal((await enrol(ssh, token, `${'a'.repeat(62)}.`)).status, 400)
  assert.ok(performance.now() - started < 2000)
})
