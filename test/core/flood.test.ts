/** A flood from one address at the door that needs no token, with a real audit file behind it (protocols 3.4). */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { AuditBroker } from '../../src/audit/broker.ts'
import type { ServerLog } from '../../src/core/parts.ts'
import { PosternError } from '../../src/errors.ts'
import { uuid } from '../../src/random.ts'
import { mountSsh, startTestCore } from '../support/core.ts'

const ATTACKER = '192.0.2.1'
const BATCH = 1000
/** At once: the limit must hold although none of them is charged before the others are on their way. */
const CONNECTIONS = 1000

async function startAudited(t: { after(work: () => Promise<void>): void }) {
  const folder = mkdtempSync(path.join(tmpdir(), 'postern-flood-'))
  const file = path.join(folder, 'audit.log')
  const warnings: object[] = []
  const log: ServerLog = {
    error: () => {},
    info: () => {},
    warn: (details: object) => void warnings.push(details),
  }
  const broker = new AuditBroker({ clock: { now: Date.now }, auditDir: 'any', log })
  const options = { file_path: file }
  const device = { path: 'log/', type: 'file', description: '', options, local: false }
  const core = await startTestCore({ audit: broker, auditDevices: [device], log })
  t.after(async () => {
    await core.close()
    await broker.close()
    rmSync(folder, { recursive: true, force: true })
  })
  await mountSsh(core)
  const verify = (otp: string) =>
    core.send('update', 'ssh/verify', { otp }, { token: '', remoteAddress: ATTACKER })
  return { core, file, verify, warnings }
}

test('protocols 3.4: 100,000 misses from one address grow the audit file by under 100 KB', async (t) => {
  const { core, file, verify, warnings } = await startAudited(t)
  const before = statSync(file).size
  const statuses = new Map<number, number>()
  let left = 100_000
  const attack = async () => {
    while (left-- > 0) {
      const status = await verify(uuid()).then(
        (answer) => answer.status,
        (error: unknown) => (error instanceof PosternError ? error.status : 0),
      )
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, attack))
  const grown = statSync(file).size - before
  assert.ok(grown > 0, 'not one miss was written')
  assert.ok(grown < 100_000, `the audit file grew by ${grown} bytes`)
  assert.deepEqual([...statuses.keys()].sort(), [400, 429])
  assert.equal((statuses.get(400) ?? 0) + (statuses.get(429) ?? 0), 100_000)
  await core.core.stop()
  assert.ok(warnings.length >= 1 && warnings.length <= 2, `${warnings.length} summary lines`)
})

test('protocols 3.4: 5,000 right passwords in quick succession from one address all pass', async (t) => {
  const { core, file, verify } = await startAudited(t)
  const issue = async () => {
    const { data } = await core.call('update', 'ssh/creds/web', { ip: '10.0.0.1' })
    return data?.['key'] as string
  }
  const issued: string[] = []
  for (let i = 0; i < 5000; i += BATCH) {
    issued.push(...(await Promise.all(Array.from({ length: BATCH }, issue))))
  }
  for (let i = 0; i < issued.length; i += BATCH) {
    const answers = await Promise.all(issued.slice(i, i + BATCH).map(verify))
    assert.ok(answers.every(({ status }) => status === 200))
  }
  const lines = readFileSync(file, 'utf8').split('\n')
  const spent = lines.filter(
    (line) => line.includes('"path":"ssh/verify"') && line.includes('"type":"response"'),
  )
  assert.equal(spent.length, 5000)
})
