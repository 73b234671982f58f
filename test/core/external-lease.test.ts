import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { refused } from '../../src/errors.ts'
import { openSqliteStore } from '../../src/storage/sqlite/sqlite.ts'
import {
  issuedKeys,
  keysIn,
  refusalOf,
  startSecondCore,
  startTestCore,
  type TestCore,
  tokenOf,
  tokenWith,
} from '../support/core.ts'
import { HostsEngine } from '../support/hosts-engine.ts'
import { InterposedStore } from '../support/interposed-store.ts'

const SECOND = 1000
const CREDS = 'path "h/creds/*" { capabilities = ["update"] }'

interface Site extends Omit<TestCore, 'raw'> {
  readonly raw: InterposedStore
  readonly hosts: HostsEngine
}

async function start(t: TestContext): Promise<Site> {
  const raw = new InterposedStore(await openSqliteStore({ path: ':memory:' }))
  const hosts = new HostsEngine()
  const server = await startTestCore({ raw, moreEngines: [hosts.backend] })
  t.after(async () => {
    raw.heal()
    await server.close()
  })
  await server.send('update', 'sys/mounts/h', { type: 'hosts' })
  return { ...server, raw, hosts }
}

/** Another process over the same store, when the first one is gone: so much later. */
async function restart({ hosts, ...first }: Site, later: number): Promise<void> {
  first.raw.heal()
  const now = Date.UTC(2026, 10, 22, 12) + later
  const second = await startSecondCore(first, {
    moreEngines: [hosts.backend],
    clock: { now: () => now },
  })
  await second.core.endDueLeases()
  await second.close()
}

async function nothingLeft({ raw, hosts }: Pick<Site, 'raw' | 'hosts'>): Promise<void> {
  assert.deepEqual([...hosts.lines], [])
  assert.deepEqual(await keysIn(raw, 'lease/h/', 'data/', 'irrevocable/'), [])
  const exp = (await keysIn(raw, 'exp/', 'held/')).filter((key) => key.includes('/h/creds/'))
  assert.deepEqual(exp, [])
}

describe('protocols 1.5: a lease that is begun', () => {
  test('is active with its answer, and ends with its time', async (t) => {
    const site = await start(t)
    const answer = await site.call('update', 'h/creds/a', { ttl: 60 })
    const { lease_id: id } = answer
    assert.equal(answer.lease_duration, 60)
    assert.equal(answer.renewable, true)
    assert.match(id, /^h\/creds\/a\/[0-9A-Za-z]{24}$/)
    assert.deepEqual([...site.hosts.lines], [id])
    site.advance(60 * SECOND - 1)
    await site.core.endDueLeases()
    assert.equal(site.hosts.lines.size, 1)
    site.advance(1)
    await site.core.endDueLeases()
    await nothingLeft(site)
  })

  test('is stored before anything is done outside', async (t) => {
    const site = await start(t)
    let stored: string[] = []
    site.hosts.beforeInstall = async () => {
      stored = await keysIn(site.raw, 'lease/h/', 'held/', 'data/')
    }
    await site.call('update', 'h/creds/a')
    assert.equal(stored.length, 3)
  })

  test('leaves nothing when the store takes no intent', async (t) => {
    const site = await start(t)
    site.raw.failFrom(1)
    assert.equal((await refusalOf(site.send('update', 'h/creds/a'))).status, 500)
    site.raw.heal()
    await nothingLeft(site)
    assert.deepEqual(site.hosts.calls, [])
  })

  test('is not begun before its request line is written', async (t) => {
    const site = await start(t)
    let isReached = false
    site.hosts.beforeInstall = () => {
      isReached = true
    }
    site.audit.failRequests = true
    assert.equal((await refusalOf(site.send('update', 'h/creds/a'))).status, 500)
    assert.equal(isReached, false)
    await nothingLeft(site)
  })

  const failures: [string, (site: Site) => void][] = [
    [
      'the work outside fails half way',
      ({ hosts }) => {
        hosts.afterInstall = () => Promise.reject(refused('no answer'))
      },
    ],
    ['the activation fails', ({ raw }) => raw.failOnly(2)],
    [
      'the response line fails (protocols 2.1)',
      ({ audit }) => {
        audit.failResponses = true
      },
    ],
  ]
  for (const [name, spoil] of failures) {
    test(`is due at once when ${name}`, async (t) => {
      const site = await start(t)
      spoil(site)
      assert.equal((await refusalOf(site.send('update', 'h/creds/a'))).status, 500)
      site.audit.failResponses = false
      await site.core.endDueLeases()
      await nothingLeft(site)
    })

    test(`is due at once when ${name}, and the answer is wrapped`, async (t) => {
      const site = await start(t)
      const before = await issuedKeys(site)
      spoil(site)
      const answer = site.send('update', 'h/creds/a', {}, { wrapTtlSeconds: 60 })
      assert.equal((await refusalOf(answer)).status, 500)
      site.audit.failResponses = false
      await site.core.endDueLeases()
      await nothingLeft(site)
      assert.deepEqual(await issuedKeys(site), before)
    })
  }

  test('is made due later when the store fails at that too', async (t) => {
    const site = await start(t)
    site.audit.failResponses = true
    site.raw.failOnly(3)
    assert.equal((await refusalOf(site.send('update', 'h/creds/a'))).status, 500)
    site.audit.failResponses = false
    // The last thing that a server does is what it could not do before.
    site.raw.heal()
    await site.core.stop()
    await restart(site, SECOND)
    await nothingLeft(site)
  })

  for (const [commits, step] of [
    [2, 'the installation'],
    [3, 'the activation'],
  ] as const) {
    test(`by a process that died after ${step} is ended by the next one`, async (t) => {
      const site = await start(t)
      site.raw.failFrom(commits)
      site.audit.failResponses = true
      assert.equal((await refusalOf(site.send('update', 'h/creds/a'))).status, 500)
      assert.equal(site.hosts.lines.size, 1)
      // Never delivered, an active lease lasts as long as it would have; a pending one for a minute.
      const end = commits === 2 ? 60 * SECOND : 600 * SECOND
      await restart(site, end - 1)
      assert.equal(site.hosts.lines.size, 1)
      await restart(site, end)
      await nothingLeft(site)
    })
  }

  test('and abandoned is gone at once, and no host is asked', async (t) => {
    const site = await start(t)
    site.hosts.beforeInstall = async (lease) => {
      await lease.abandon()
      throw refused('no route')
    }
    assert.equal((await refusalOf(site.send('update', 'h/creds/a'))).status, 500)
    await nothingLeft(site)
    await site.core.endDueLeases()
    assert.deepEqual(site.hosts.calls, [])
  })

  test('is refused to the last use of a token', async (t) => {
    const site = await start(t)
    const token = await tokenWith(site, CREDS, { num_uses: 1 })
    const { status, message } = await refusalOf(site.send('update', 'h/creds/a', {}, { token }))
    assert.equal(status, 400)
    assert.match(message ?? '', /one use left/)
    await nothingLeft(site)
  })

  test('is ended once more by who came too late to activate it', async (t) => {
    const site = await start(t)
    site.hosts.beforeInstall = async () => {
      // As a process that was stopped for over a minute: the intent has been ended by others.
      site.hosts.beforeInstall = () => {}
      site.advance(61 * SECOND)
      await site.core.endDueLeases()
    }
    const { lease_id: id } = await site.call('update', 'h/creds/a')
    await site.core.endDueLeases()
    assert.deepEqual([...site.hosts.lines], [id], 'only the line of the second try')
  })
})

describe('protocols 1.4: a token', () => {
  test('that is revoked while a line is installed leaves none', async (t) => {
    const site = await start(t)
    const token = await tokenWith(site, CREDS)
    site.hosts.beforeInstall = async () => {
      await site.send('update', 'auth/token/revoke', { token })
    }
    assert.equal((await refusalOf(site.send('update', 'h/creds/a', {}, { token }))).status, 403)
    await site.core.endDueLeases()
    await nothingLeft(site)
  })

  test('goes at once though the hosts of its leases do not answer', async (t) => {
    const site = await start(t)
    const token = await tokenWith(site, CREDS)
    await site.call('update', 'h/creds/a', {}, { token })
    const { promise, resolve } = Promise.withResolvers<void>()
    site.hosts.beforeEnd = () => promise
    await site.send('update', 'auth/token/revoke', { token })
    assert.equal((await refusalOf(site.send('update', 'h/creds/a', {}, { token }))).status, 403)
    assert.equal(site.hosts.lines.size, 1)
    resolve()
    await site.core.endDueLeases()
    await nothingLeft(site)
  })

  test('with 64 loops of creds is revoked, and no line stays', async (t) => {
    const site = await start(t)
    const token = await tokenWith(site, CREDS)
    site.hosts.beforeInstall = () => nextTurn()
    let answers = 0
    const loop = async (host: string) => {
      for (let i = 0; i < 1000; i++) {
        try {
          await site.call('update', `h/creds/${host}`, {}, { token })
          answers++
        } catch (error) {
          return (error as { status: number }).status
        }
        await nextTurn()
      }
      return undefined
    }
    const loops = Array.from({ length: 64 }, (_, at) => loop(`host${at % 5}`))
    while (answers < 200) await nextTurn()
    await site.send('update', 'auth/token/revoke', { token })
    assert.deepEqual(new Set(await Promise.all(loops)), new Set([403]))
    await site.core.endDueLeases()
    await nothingLeft(site)
  })
})

describe('a mount with lines on hosts', () => {
  test('that is removed takes them along; a host that is down is tried once', async (t) => {
    const site = await start(t)
    const before = await keysIn(site.raw, 'lease/', 'exp/', 'data/')
    await site.call('update', 'h/creds/up')
    await site.call('update', 'h/creds/down')
    site.hosts.beforeEnd = (host) =>
      host === 'down' ? Promise.reject(new Error('no route')) : undefined
    await site.send('delete', 'sys/mounts/h')
    assert.equal(site.hosts.lines.size, 1)
    assert.equal(site.hosts.calls.length, 2)
    assert.deepEqual(await keysIn(site.raw, 'lease/', 'exp/', 'data/'), before)
  })

  test('is removed only when what is being installed has been ended', async (t) => {
    const site = await start(t)
    const installing = Promise.withResolvers<void>()
    const go = Promise.withResolvers<void>()
    site.hosts.beforeInstall = async () => {
      installing.resolve()
      await go.promise
    }
    const answer = refusalOf(site.send('update', 'h/creds/a'))
    await installing.promise
    const retiring = Promise.withResolvers<void>()
    site.raw.beforeCommit = (writes) => {
      if (writes.some(({ key }) => key.startsWith('lease/h/'))) retiring.resolve()
    }
    const removal = site.send('delete', 'sys/mounts/h')
    await retiring.promise
    go.resolve()
    await removal
    assert.equal((await answer).status, 404)
    await nothingLeft(site)
  })
})

describe('a mount with lines on hosts that was moved while they were down', () => {
  async function moved(t: TestContext): Promise<Site> {
    const site = await start(t)
    await site.call('update', 'h/creds/a')
    site.hosts.beforeEnd = () => Promise.reject(new Error('no route'))
    await refusalOf(site.send('update', 'sys/remount', { from: 'h', to: 'moved' }))
    assert.equal(site.hosts.lines.size, 1)
    site.hosts.beforeEnd = () => {}
    return site
  }

  test('takes them along when it is removed', async (t) => {
    const site = await moved(t)
    await site.send('delete', 'sys/mounts/moved')
    await nothingLeft(site)
  })

  test('spares those of the mount that lies there now', async (t) => {
    const site = await moved(t)
    await site.send('update', 'sys/mounts/h', { type: 'hosts' })
    const { lease_id: id } = await site.call('update', 'h/creds/b')
    await site.send('delete', 'sys/mounts/moved')
    assert.deepEqual([...site.hosts.lines], [id])
    await site.send('update', 'sys/leases/revoke', { lease_id: id })
    await nothingLeft(site)
  })

  test('ends them at the next start, and then knows of no former path', async (t) => {
    const site = await moved(t)
    const table = async () => Buffer.from((await site.raw.get(['cfg/mounts']))[0]?.value ?? [])
    const before = await table()
    await site.core.stop()
    await restart(site, 3600 * SECOND)
    await nothingLeft(site)
    await restart(site, 3600 * SECOND)
    assert.ok((await table()).length < before.length)
  })
})

test('a restored or restarted server ends what its tokens held, when hosts are back', async (t) => {
  const site = await start(t)
  const token = await tokenOf(site, { policies: ['root'] })
  await site.call('update', 'h/creds/a', {}, { token })
  site.hosts.beforeEnd = () => Promise.reject(new Error('down'))
  await site.send('update', 'auth/token/revoke', { token })
  await site.core.stop()
  assert.equal(site.hosts.lines.size, 1)
  site.hosts.beforeEnd = () => {}
  await restart(site, 60 * SECOND)
  await nothingLeft(site)
})
