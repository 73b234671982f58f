import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Mounted } from '../../harness.ts'
import { DENIED, mine, sign, victims } from '../host/support.ts'
import { assertDone, assertRefused } from '../support.ts'
import { event, logins, mountReporting, report, STREAM } from './support.ts'

const reportsOf = async (ssh: Mounted) =>
  (await ssh.read('hosts/web-1')).data['reports'] as Record<string, unknown>

describe('host/report', () => {
  test('says up to which number the server has the events', async () => {
    const ssh = await mountReporting()
    const { data } = await report(ssh, [event(ssh, 1), event(ssh, 2)])
    assert.deepEqual(data, { acknowledged: 2 })
    assert.equal((await logins(ssh)).length, 2)
    assert.equal((await reportsOf(ssh))['acknowledged'], 2)
  })

  test('protocols 5.4: nothing comes of a report that another key signed, or none', async () => {
    const ssh = await mountReporting()
    assertRefused(await report(ssh, [event(ssh, 1)], { key: mine }), 403, DENIED)
    const data = { stream: STREAM, sequence_first: 1, events: [event(ssh, 1)], state: {} }
    assertRefused(await ssh.write('host/report', data), 403, DENIED)
    const sent = await sign(ssh, mine, {
      path: '/v1/ssh/host/report',
      body: JSON.stringify({ ...data, events: [] }),
    })
    assertRefused(await ssh.write('host/report', data, sent), 403, DENIED)
    assert.deepEqual(await logins(ssh), [])
    assert.equal(await reportsOf(ssh), undefined)
  })

  test('protocols 5.4: an event counts once, sent again in a new request or the old one', async () => {
    const ssh = await mountReporting()
    const data = { stream: STREAM, sequence_first: 1, events: [event(ssh, 1)], state: {} }
    const sent = await sign(ssh, victims, {
      path: '/v1/ssh/host/report',
      body: JSON.stringify(data),
    })
    assertDone(await ssh.write('host/report', data, { ...sent, requestId: 'one' }))
    assertRefused(await ssh.write('host/report', data, { ...sent, requestId: 'two' }), 403, DENIED)
    const before = await logins(ssh)
    // The number decides, whatever is said under it now.
    const again = await report(ssh, [event(ssh, 1, { user: 'root', session: 'b007.66.6' })])
    assert.deepEqual(again.data, { acknowledged: 1 })
    assert.deepEqual(await logins(ssh), before)
  })

  test('a session that is told twice under two numbers is one login', async () => {
    const ssh = await mountReporting()
    const twice = { session: 'b007.9.9' }
    const later = { ...twice, at: Math.floor(ssh.now / 1000) - 5 }
    await report(ssh, [event(ssh, 1, twice)])
    await report(ssh, [event(ssh, 2, later)])
    assert.equal((await logins(ssh)).length, 1)
    const end = event(ssh, 3, { ...twice, type: 'logout' })
    await report(ssh, [end, event(ssh, 4, twice)])
    await report(ssh, [event(ssh, 5, twice)])
    assert.deepEqual(await logins(ssh, { open: true }), [])
    assert.equal((await logins(ssh)).length, 1)
  })

  test('protocols 5.4: numbers that are missing are a gap, at the start, between, and behind', async () => {
    const ssh = await mountReporting()
    await report(ssh, [event(ssh, 3), event(ssh, 6)])
    await report(ssh, [], { body: { sequence_first: 9 } })
    const gaps = await logins(ssh, { flag: 'gap' })
    assert.deepEqual(gaps.map(({ missing }) => missing).sort(), [2, 2, 2])
    assert.equal((await reportsOf(ssh))['missing_events'], 6)
    await report(ssh, [event(ssh, 9)])
    assert.equal((await logins(ssh, { flag: 'gap' })).length, 3)
  })

  test('of two reports of one host at once the second goes on where the first has ended', async () => {
    const ssh = await mountReporting()
    // The one with less to look up is committed first.
    const body = { sequence_first: 5 }
    await Promise.all([report(ssh, [event(ssh, 1)]), report(ssh, [], { body })])
    assert.equal((await reportsOf(ssh))['acknowledged'], 4)
  })

  test('a host that has lost its spool begins anew, and that is a gap of nobody knows how many', async () => {
    const ssh = await mountReporting()
    await report(ssh, [event(ssh, 1), event(ssh, 2)])
    const body = { stream: '00000002' }
    const again = await report(ssh, [event(ssh, 1, { session: 'b007.7.7' })], { body })
    assert.deepEqual(again.data, { acknowledged: 1 })
    assert.equal((await logins(ssh)).length, 4)
    const [gap] = await logins(ssh, { flag: 'gap' })
    assert.equal('missing' in gap, false)
  })

  test('times are kept between the making of the host and now, and a clock that is off is shown', async () => {
    const ssh = await mountReporting()
    const now = Math.floor(ssh.now / 1000)
    const unixSeconds = now + 40
    await report(ssh, [event(ssh, 1, { at: now + 9000 }), event(ssh, 2, { at: 5 })], {
      unixSeconds,
    })
    const [late, early] = await logins(ssh)
    assert.equal(Date.parse(late.login_at), now * 1000)
    assert.equal(Date.parse(early.login_at), (now - 3600) * 1000)
    assert.deepEqual([late.clock_skew, early.clock_skew], [40, 40])
    assert.equal((await reportsOf(ssh))['clock_skew'], 40)
  })

  test('a logout ends the login of its session, and no other', async () => {
    const ssh = await mountReporting()
    await report(ssh, [event(ssh, 1), event(ssh, 2)])
    ssh.now += 60_000
    await report(ssh, [event(ssh, 3, { type: 'logout', session: 'b007.101.1' })])
    assert.equal((await logins(ssh, { open: true })).length, 1)
    const ended = (await logins(ssh)).find(({ open }) => !open)
    assert.equal(ended.session, 'b007.101.1')
    assert.equal(Date.parse(ended.logout_at) - Date.parse(ended.login_at), 60_000)
    await report(ssh, [event(ssh, 4, { type: 'logout', session: 'b007.999.1' })])
    assert.equal((await logins(ssh)).length, 2)
  })

  test('a machine that was started anew has nobody in from before', async () => {
    const ssh = await mountReporting()
    await report(ssh, [event(ssh, 1)])
    const events = [event(ssh, 2, { session: 'b008.5.5' })]
    await report(ssh, events, { body: { state: { boot_id: 'b008' } } })
    const open = await logins(ssh, { open: true })
    assert.deepEqual(
      open.map(({ session }) => session),
      ['b008.5.5'],
    )
  })

  test('a host that tells without end is stopped until the next hour', async () => {
    const ssh = await mountReporting()
    const end = { type: 'logout', session: 'b007.1.1' }
    const many = Array.from({ length: 200 }, (_, at) => event(ssh, at + 1, end))
    for (let at = 0; at < 250; at++) assertDone(await report(ssh, many))
    const text = 'the host has reported too much in this hour'
    assertRefused(await report(ssh, [event(ssh, 201)]), 429, text)
    ssh.now += 3_600_000
    assertDone(await report(ssh, [event(ssh, 201)]))
  })

  const refusals: readonly [string, (ssh: Mounted) => object][] = [
    ['no stream', () => ({ stream: '' })],
    ['a number below 1', () => ({ sequence_first: 0 })],
    ['another first number', () => ({ sequence_first: 2 })],
    ['a first number before the first event', (ssh) => ({ events: [event(ssh, 3)] })],
    ['events that are no list', () => ({ events: {} })],
    ['an event that is none', () => ({ events: [7] })],
    [
      'too many events',
      (ssh) => ({ events: Array.from({ length: 201 }, (_, at) => event(ssh, at + 1)) }),
    ],
    ['a number twice', (ssh) => ({ events: [event(ssh, 1), event(ssh, 1)] })],
    ['a type that is none', (ssh) => ({ events: [event(ssh, 1, { type: 'offer' })] })],
    ['a session that is none', (ssh) => ({ events: [event(ssh, 1, { session: 'a/b' })] })],
    ['a user with a line end', (ssh) => ({ events: [event(ssh, 1, { user: 'a\nb' })] })],
    ['a user too long', (ssh) => ({ events: [event(ssh, 1, { user: 'a'.repeat(257) })] })],
    ['a port that is none', (ssh) => ({ events: [event(ssh, 1, { port: 65_536 })] })],
    ['a time that is none', (ssh) => ({ events: [event(ssh, 1, { at: -1 })] })],
    [
      'a fingerprint that is none',
      (ssh) => ({ events: [event(ssh, 1, { fingerprint: 'MD5:x' })] }),
    ],
    [
      'a serial too great',
      (ssh) => {
        const ca_fingerprint = `SHA256:${'A'.repeat(43)}`
        const certificate = { serial: '18446744073709551616', ca_fingerprint, key_id: '' }
        return { events: [event(ssh, 1, { certificate })] }
      },
    ],
  ]
  for (const [what, change] of refusals) {
    test(`${what} refuses the whole report`, async () => {
      const ssh = await mountReporting()
      const { status } = await report(ssh, [event(ssh, 1)], { body: change(ssh) })
      assert.equal(status, 400)
      assert.deepEqual(await logins(ssh), [])
    })
  }
})
