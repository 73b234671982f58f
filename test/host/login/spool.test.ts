import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, suite, test } from 'node:test'
import type { JsonObject } from '../../../src/client/json.ts'
import { sendReports } from '../../../src/host/login/send-reports.ts'
import { Spool } from '../../../src/host/login/spool.ts'
import { type LoginEvent, parseLoginEvent } from '../../../src/ssh/host/login-event.ts'

const event: Omit<LoginEvent, 'seq'> = {
  at: 1_790_000_000,
  type: 'login',
  session: 'ab.1.2',
  user: 'alice',
  from: '192.0.2.7',
  port: 22,
  service: 'sshd',
  method: 'publickey',
  certificate: {
    serial: 0xffff_ffff_ffff_ffffn,
    caFingerprint: `SHA256:${'A'.repeat(43)}`,
    keyId: '',
  },
}
const facts = { agent_version: '1', boot_id: 'ab' }

suite('the spool', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'postern-spool-'))
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  const numbers = (spool: Spool) => spool.read(100).map((one) => parseLoginEvent(one).seq)

  test('keeps events as they were, in the order of their numbers, over a restart', () => {
    const spool = new Spool(folder)
    for (let at = 0; at < 12; at++) spool.append(event)
    const again = new Spool(folder)
    assert.equal(again.stream, spool.stream)
    assert.deepEqual(numbers(again), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
    assert.deepEqual(parseLoginEvent(again.read(1)[0]), { ...event, seq: 1 })
  })

  test('uses no number twice, also when all are acknowledged and the process is new', () => {
    const spool = new Spool(folder)
    spool.append(event)
    spool.append(event)
    spool.acknowledge(2)
    const again = new Spool(folder)
    again.append(event)
    assert.deepEqual(numbers(again), [3])
  })

  test('is bounded: the oldest go, and their numbers are missing', () => {
    const spool = new Spool(folder, 3)
    for (let at = 0; at < 5; at++) spool.append(event)
    assert.deepEqual(numbers(spool), [3, 4, 5])
    spool.skip(2)
    spool.append(event)
    assert.deepEqual(numbers(new Spool(folder, 3)), [4, 5, 8])
  })

  test('begins a new stream where it has lost its own', () => {
    const spool = new Spool(folder)
    spool.append(event)
    writeFileSync(path.join(folder, 'head.json'), '{')
    const again = new Spool(folder)
    assert.notEqual(again.stream, spool.stream)
    assert.deepEqual(numbers(again), [1])
  })

  test('is sent in batches, and forgets what the server has', async () => {
    const spool = new Spool(folder)
    for (let at = 0; at < 150; at++) spool.append(event)
    const sent: JsonObject[] = []
    const answers = [100, 150]
    await sendReports(
      spool,
      async (body) => {
        sent.push(body)
        return { acknowledged: answers[sent.length - 1] as number }
      },
      facts,
    )
    assert.deepEqual(
      sent.map(({ sequence_first, events }) => [sequence_first, (events as unknown[]).length]),
      [
        [1, 100],
        [101, 50],
      ],
    )
    assert.deepEqual(readdirSync(folder), ['head.json'])
  })

  test('without events the server is told the next number', async () => {
    const spool = new Spool(folder)
    spool.skip(4)
    let sent: JsonObject = {}
    await sendReports(
      spool,
      async (body) => {
        sent = body
        return { acknowledged: 4 }
      },
      facts,
    )
    assert.deepEqual([sent['sequence_first'], sent['events']], [5, []])
  })

  test('keeps everything where the server does not answer, or says something else', async () => {
    const spool = new Spool(folder)
    spool.append(event)
    const away = Promise.reject(new Error('away'))
    await assert.rejects(
      sendReports(spool, () => away, facts),
      /away/,
    )
    const odd = sendReports(spool, async () => ({ acknowledged: 7 }), facts)
    await assert.rejects(odd, /has not taken the reports/)
    assert.deepEqual(numbers(spool), [1])
  })
})
