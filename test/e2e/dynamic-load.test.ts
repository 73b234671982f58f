/** Many dynamic keys at once: for one user of one host, and for a host that does not answer beside one that does. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { type KeySite, makeKeySite } from '../support/key-site.ts'
import { eventually } from '../support/site.ts'

const USER = `pt-many${process.pid}`
const MANY = 50

suite('many dynamic keys', () => {
  const resources = new AsyncDisposableStack()
  let site: KeySite

  before(async () => {
    site = resources.use(await makeKeySite())
    site.host.addUser(USER)
    await site.writeRole('web', { default_user: USER })
  })

  after(() => resources.disposeAsync())

  const linesOf = () => (site.host.keysOf(USER) ?? '').split('\n').filter((line) => line !== '')

  test('50 at once for one user: 50 lines, 50 logins, 50 revokes, and no file as before', async () => {
    const answers = await Promise.all(Array.from({ length: MANY }, () => site.creds('web')))
    for (const { status, body } of answers) assert.equal(status, 200, JSON.stringify(body))
    assert.equal(linesOf().length, MANY)
    assert.equal(new Set(linesOf()).size, MANY)
    const keys = answers.map(({ body }) => body.data.key as string)
    const logins = await Promise.all(keys.map((key) => site.host.logIn(USER, key)))
    for (const login of logins) assert.equal(login.output.trim(), USER, login.errors)
    const revokes = await Promise.all(
      answers.map(({ body }) =>
        site.api('PUT', 'sys/leases/revoke', { lease_id: body.lease_id as string }),
      ),
    )
    for (const { status, body } of revokes) assert.equal(status, 204, JSON.stringify(body))
    assert.equal(site.host.keysOf(USER), undefined)
    await site.noLeases()
  })

  test('a prefix of 50 is removed over few connections', async () => {
    await Promise.all(Array.from({ length: MANY }, () => site.creds('web')))
    assert.equal(linesOf().length, MANY)
    const before = site.host.sshd.log().length
    const { status } = await site.api('PUT', 'sys/leases/revoke-prefix/ssh/creds/web', {})
    assert.equal(status, 204)
    assert.equal(site.host.keysOf(USER), undefined)
    const logins =
      site.host.sshd
        .log()
        .slice(before)
        .match(/Accepted publickey/g) ?? []
    assert.ok(logins.length <= 2, `${logins.length} connections`)
  })

  test('a host that does not answer holds up neither other hosts nor other requests', async () => {
    const silent = createServer().listen(0, '127.0.0.1')
    await once(silent, 'listening')
    await site.writeRole('silent', {
      default_user: USER,
      host_keys: '',
      port: (silent.address() as AddressInfo).port,
    })
    const waiting = Array.from({ length: 20 }, () => site.creds('silent'))
    let ended = 0
    for (const one of waiting) one.finally(() => ended++).catch(() => {})
    const startedAt = performance.now()
    assert.equal((await site.creds('web')).status, 200)
    assert.equal((await site.api('GET', 'ssh/roles/web')).status, 200)
    assert.ok(performance.now() - startedAt < 5000)
    assert.equal(ended, 0)
    for (const { status, body } of await Promise.all(waiting)) {
      assert.equal(status, 500)
      assert.match(body.errors[0], /10 s|timed? ?out/i)
    }
    silent.close()
    await site.api('PUT', 'sys/leases/revoke-prefix/ssh/creds/web', {})
    await site.noLeases()
  })

  test('a revoke of a host that is down is kept, tried again, and done by hand', async () => {
    const { body } = await site.creds('web')
    const lease = { lease_id: body.lease_id as string }
    await site.host.stop()
    const failed = await site.api('PUT', 'sys/leases/revoke', lease)
    assert.equal(failed.status, 500, JSON.stringify(failed.body))
    // A connection that was still open is cut, a new one refused.
    assert.match(failed.body.errors[0], /refused|ECONNREFUSED|was cut/)
    const kept = await site.api('PUT', 'sys/leases/lookup', lease)
    assert.equal(kept.status, 200)
    await site.host.restart()
    assert.equal((await site.api('PUT', 'sys/leases/revoke', lease)).status, 204)
    await eventually(() => site.host.keysOf(USER) === undefined, 'the line stays')
  })
})
