import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { refused } from '../../src/errors.ts'
import { CLAIM_MS } from '../../src/lease/external/claim.ts'
import { parseExpiryKey } from '../../src/lease/lease.ts'
import { keysIn, refusalOf, startTestCore, type TestCore, tokenWith } from '../support/core.ts'
import { HostsEngine } from '../support/hosts-engine.ts'

const SECOND = 1000
/** Of the tests' clock. */
const START = Date.UTC(2026, 10, 22, 12)
const EMPTY = { kind: 'empty', status: 204 }
const CREDS = `path "h/creds/*" { capabilities = ["update"] }
path "sys/leases/*" { capabilities = ["update"] }`

interface Site extends TestCore {
  readonly hosts: HostsEngine
}

async function start(t: TestContext): Promise<Site> {
  const hosts = new HostsEngine()
  const server = await startTestCore({ moreEngines: [hosts.backend] })
  t.after(() => server.close())
  await server.send('update', 'sys/mounts/h', { type: 'hosts' })
  return { ...server, hosts }
}

async function creds(site: Site, host = 'a', ttl = 60): Promise<string> {
  return (await site.call('update', `h/creds/${host}`, { ttl })).lease_id
}

function failing(site: Site): void {
  site.hosts.beforeEnd = () => Promise.reject(refused('no route to host'))
}

describe('renew of a lease on a host', () => {
  test('moves the end on the host too', async (t) => {
    const site = await start(t)
    const id = await creds(site)
    site.advance(30 * SECOND)
    const answer = await site.call('update', 'sys/leases/renew', { lease_id: id, increment: 120 })
    assert.equal(answer.lease_id, id)
    assert.equal(answer.lease_duration, 120)
    assert.equal(answer.renewable, true)
    const { data } = await site.call('update', 'sys/leases/lookup', { lease_id: id })
    assert.equal(data?.['ttl'], 120)
    assert.equal(data?.['renewable'], true)
    site.advance(119 * SECOND)
    await site.core.endDueLeases()
    assert.deepEqual([...site.hosts.lines], [id])
    site.advance(SECOND)
    await site.core.endDueLeases()
    assert.equal(site.hosts.lines.size, 0)
  })

  test('without an increment gives the first period again, at most the longest life', async (t) => {
    const site = await start(t)
    const id = await creds(site, 'a', 3600)
    const renew = async (data: object = {}) =>
      (await site.call('update', 'sys/renew', { lease_id: id, ...data })).lease_duration
    assert.equal(await renew({ increment: 60 }), 60)
    assert.equal(await renew(), 3600)
    assert.equal(await renew({ increment: 100_000 }), 7200)
  })

  test('is refused with the reason when the host does not answer, and for a stranger', async (t) => {
    const site = await start(t)
    const id = await creds(site)
    site.hosts.beforeRenew = () => Promise.reject(refused('no route to host'))
    const renew = (token?: string) =>
      refusalOf(site.send('update', 'sys/leases/renew', { lease_id: id }, token ? { token } : {}))
    const { status, message } = await renew()
    assert.equal(status, 500)
    assert.match(message ?? '', /no route to host/)
    assert.equal((await renew(await tokenWith(site, CREDS))).status, 403)
    site.hosts.beforeRenew = () => {}
    await site.call('update', 'sys/leases/renew', { lease_id: id })
  })

  test('writes its request line before the host is asked', async (t) => {
    const site = await start(t)
    const id = await creds(site)
    let isAsked = false
    site.hosts.beforeRenew = () => {
      isAsked = true
    }
    site.audit.failRequests = true
    await refusalOf(site.send('update', 'sys/leases/renew', { lease_id: id }))
    assert.equal(isAsked, false)
  })
})

describe('revoke of a lease on a host', () => {
  test('has taken the line off the host when it answers', async (t) => {
    const site = await start(t)
    const lease_id = await creds(site)
    assert.deepEqual(await site.send('update', 'sys/leases/revoke', { lease_id }), EMPTY)
    assert.equal(site.hosts.lines.size, 0)
    assert.deepEqual(await keysIn(site.raw, 'lease/h/', 'data/'), [])
  })

  test('tells why it failed; the lease stays and can not be renewed', async (t) => {
    const site = await start(t)
    const id = await creds(site)
    failing(site)
    const { status, message } = await refusalOf(site.send('update', `sys/leases/revoke/${id}`))
    assert.equal(status, 500)
    assert.match(message ?? '', /no route to host/)
    const renew = refusalOf(site.send('update', 'sys/leases/renew', { lease_id: id }))
    assert.deepEqual(await renew, { status: 400, message: 'lease not found' })
    await site.call('update', 'sys/leases/lookup', { lease_id: id })
    site.hosts.beforeEnd = () => {}
    assert.deepEqual(await site.send('update', `sys/leases/revoke/${id}`), EMPTY)
  })

  test('with sync false answers 202 when it is stored that they end', async (t) => {
    const site = await start(t)
    const hosts = ['a', 'a', 'b']
    const ids = await Promise.all(hosts.map((host) => creds(site, host, 3600)))
    // What the server of this moment does behind the answer is not counted on.
    const { promise, resolve } = Promise.withResolvers<void>()
    site.hosts.beforeEnd = () => promise
    for (const path of [`revoke/${ids[0]}`, 'revoke-prefix/h/creds']) {
      const answer = await site.send('update', `sys/leases/${path}`, { sync: false })
      assert.deepEqual(answer, { kind: 'empty', status: 202 })
    }
    const due = (await keysIn(site.raw, 'exp/')).map(parseExpiryKey)
    for (const id of ids) {
      const { expiresAt = Number.NaN } = due.find((lease) => lease.id === id) ?? {}
      // Now, or when the claim of who works at it is over.
      assert.ok(expiresAt <= START + CLAIM_MS, id)
    }
    resolve()
  })

  test('with sync false fails behind the answer', async (t) => {
    const site = await start(t)
    const id = await creds(site)
    failing(site)
    const answer = await site.send('update', `sys/leases/revoke/${id}`, { sync: false })
    assert.deepEqual(answer, { kind: 'empty', status: 202 })
  })

  test('by prefix is one call for each host, and goes on past a host that is down', async (t) => {
    const site = await start(t)
    for (const host of ['a', 'a', 'a', 'b', 'b']) await creds(site, host)
    site.hosts.beforeEnd = (host) =>
      host === 'a' ? Promise.reject(refused('no route to host')) : undefined
    const revoke = site.send('update', 'sys/leases/revoke-prefix/h')
    assert.match((await refusalOf(revoke)).message ?? '', /no route/)
    assert.deepEqual(site.hosts.calls.map(({ host, ids }) => `${host} ${ids.length}`).sort(), [
      'a 3',
      'b 2',
    ])
    assert.equal(site.hosts.lines.size, 3)
  })

  test('with force drops what can not be ended, and always succeeds', async (t) => {
    const site = await start(t)
    await creds(site)
    failing(site)
    assert.deepEqual(await site.send('update', 'sys/leases/revoke-force/h'), EMPTY)
    assert.equal(site.hosts.calls.length, 1)
    assert.deepEqual(await keysIn(site.raw, 'lease/h/', 'data/', 'irrevocable/'), [])
    assert.equal(site.hosts.lines.size, 1, 'the line dies by its own time')
  })
})

describe('irrevocable leases', () => {
  async function makeIrrevocable(site: Site): Promise<void> {
    failing(site)
    site.advance(60 * SECOND)
    for (const pause of [0, 10, 30, 60, 300, 900]) {
      site.advance(pause * SECOND)
      await site.core.endDueLeases()
    }
  }

  test('are listed and counted after six tries, with the last error', async (t) => {
    const site = await start(t)
    const ids = [await creds(site), await creds(site)].sort()
    const list = async (data: object = {}) =>
      site.call('read', 'sys/leases', { type: 'irrevocable', ...data })
    assert.deepEqual((await list()).data, { lease_count: 0, leases: [] })
    await makeIrrevocable(site)
    const { data, warnings } = await list()
    assert.equal(data?.['lease_count'], 2)
    const leases = data['leases'] as Record<string, unknown>[]
    assert.deepEqual(leases.map(({ lease_id }) => lease_id).sort(), ids)
    for (const { error, tries, mount_id } of leases) {
      assert.match(error as string, /no route to host/)
      assert.equal(tries, 6)
      assert.match(mount_id as string, /^[0-9a-f-]{36}$/)
    }
    assert.equal(warnings, null)
    const count = await site.call('read', 'sys/leases/count', { type: 'irrevocable' })
    assert.deepEqual(count.data, { counts: { 'h/': 2 }, lease_count: 2 })
    const first = await list({ limit: '1' })
    assert.deepEqual(first.data?.['leases'], [leases[0]])
    assert.equal(first.data?.['lease_count'], 2)
    assert.equal(first.warnings?.length, 1)
    assert.equal((await refusalOf(list({ limit: 'few' }))).status, 400)
  })

  test('are ended by hand when the host is back, and by themselves within the hour', async (t) => {
    const site = await start(t)
    const [id] = [await creds(site), await creds(site, 'b')]
    await makeIrrevocable(site)
    site.hosts.beforeEnd = () => {}
    assert.deepEqual(await site.send('update', 'sys/leases/revoke', { lease_id: id }), EMPTY)
    assert.equal((await keysIn(site.raw, 'irrevocable/')).length, 1)
    site.advance(3600 * SECOND)
    await site.core.endDueLeases()
    assert.equal(site.hosts.lines.size, 0)
    assert.deepEqual(await keysIn(site.raw, 'irrevocable/', 'lease/h/'), [])
  })
})
