/**
 * Local times for sshd before 9.1 (protocols 4.7), judged by ssh-keygen: its `-V` reads them with the same function, which takes
 * them for standard time all the year.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { authorizedLine } from '../../../../../src/engine/ssh/dynamic/host/authorized-line.ts'
import { LOCAL_TIME } from '../../../../../src/engine/ssh/dynamic/host/host-parts.ts'
import { shQuote } from '../../../../../src/engine/ssh/dynamic/host/shell-quote.ts'

let folder = ''

before(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'postern-time-'))
  for (const name of ['ca', 'key']) {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path.join(folder, name)])
  }
})
after(() => rmSync(folder, { recursive: true, force: true }))

/** What a host in this zone writes for these seconds. */
function localTimes(zone: string, awk: string, seconds: readonly number[]): string[] {
  const lines = seconds.map((second) => {
    const line = authorizedLine({
      publicKey: 'ssh-ed25519 AAAA',
      keyOptionSpecs: 'command="a \\"b\\" \'c\'"',
      leaseId: 'lease',
      expiresAt: (second + 1) * 1000,
    })
    return `${second} ${line}`
  })
  // The variable is left out there, for the zone of the host: which is another one here.
  const program = LOCAL_TIME.replace('env -u TZ awk', `env TZ=${zone} ${awk}`)
  assert.notEqual(program, LOCAL_TIME)
  const output = execFileSync('sh', ['-s'], {
    input: `${program}\nin_local_time ${shQuote(lines.join('\n'))}\n`,
    encoding: 'utf8',
    stdio: 'pipe',
  })
  return output
    .trimEnd()
    .split('\n')
    .map((line) => {
      const rest = ',command="a \\"b\\" \'c\'" ssh-ed25519 AAAA postern:lease'
      assert.equal(line.slice(line.indexOf('",') + 1), rest)
      return /^expiry-time="(\d{14})"/.exec(line)?.[1] ?? ''
    })
}

/** For which second sshd takes this time. */
function taken(zone: string, time: string): number {
  const key = path.join(folder, 'key')
  const sign = [
    '-q',
    '-s',
    path.join(folder, 'ca'),
    '-I',
    'x',
    '-n',
    'x',
    '-V',
    `19800101000000:${time}`,
  ]
  execFileSync('ssh-keygen', [...sign, `${key}.pub`], { env: { ...process.env, TZ: zone } })
  const text = execFileSync('ssh-keygen', ['-L', '-f', `${key}-cert.pub`], {
    env: { ...process.env, TZ: 'UTC' },
    encoding: 'utf8',
  })
  return Date.parse(`${/ to (\S+)/.exec(text)?.[1]}Z`) / 1000
}

const HOUR = 3600

for (const [zone, ...changes] of [
  ['Europe/Berlin', '2026-03-29T01:00Z', '2026-10-25T01:00Z'],
  ['Australia/Lord_Howe', '2026-04-04T15:00Z', '2026-10-03T15:30Z'],
  ['Europe/Dublin', '2026-10-25T01:00Z'],
  ['Asia/Kolkata', '2026-07-01T00:00Z'],
] as const) {
  test(`protocols 4.7: ${zone}: the key dies in its second, in summer, in a repeated hour and in one that is left out`, () => {
    const seconds = changes.flatMap((change) => {
      const second = Date.parse(change) / 1000
      return [-1.5 * HOUR, -HOUR / 2, -1, 0, HOUR / 2, 60 * 24 * HOUR].map((more) => second + more)
    })
    const times = localTimes(zone, 'awk', seconds)
    assert.deepEqual(
      times.map((time) => taken(zone, time)),
      seconds,
    )
    assert.deepEqual(localTimes(zone, 'busybox awk', seconds), times)
  })
}

test('protocols 4.7: an awk that cannot tell the time is an error', () => {
  assert.throws(() => localTimes('UTC', 'false', [0]), /cannot tell the local time/)
})
