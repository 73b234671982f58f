/**
 * `node bench/dynamic-keys.ts [--count N]`: dynamic keys of a fresh server for a real sshd on loopback, at 1 and at
 * 20 requests at once: creds and revokes a second, and the CPU that the server's process takes for each. Needs root.
 */
import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type KeySite, makeKeySite } from '../test/support/key-site.ts'
import { cpuSecondsOf } from './process-cpu.ts'

const USER = `pt-bench${process.pid}`

const { values } = parseArgs({ options: { count: { type: 'string', default: '200' } } })
const count = Number(values.count)

await using site = await makeKeySite()
site.host.addUser(USER)
await site.writeRole('bench', { default_user: USER })
print('| what | at once | per second | server CPU ms each | p50 ms |')
print('|---|---|---|---|---|')
for (const atOnce of [1, 20]) {
  // The first connection, and code that is compiled at its first use, are not what is measured.
  await measure(site, 2 * atOnce, atOnce, (_index) => creds())
  const leases: string[] = []
  await report('creds', atOnce, async () => void leases.push(await creds()))
  await report('revoke', atOnce, (index) => revoke(leases[index] ?? ''))
  await site.api('PUT', 'sys/leases/revoke-prefix/ssh/creds/bench', {})
}

// What the machine makes of the same pipeline, store and audit log at the pace that a host dictates.
await site.writeRole('otp', { key_type: 'otp', key: '', admin_user: '', default_user: USER })
await report('one-time password, every 0.2 s', 1, async () => {
  await setTimeout(200)
  await creds('otp')
})

async function creds(role = 'bench'): Promise<string> {
  const { status, body } = await site.creds(role)
  if (status !== 200) throw new Error(JSON.stringify(body))
  return body.lease_id
}

async function revoke(leaseId: string): Promise<void> {
  const { status, body } = await site.api('PUT', 'sys/leases/revoke', { lease_id: leaseId })
  if (status !== 204) throw new Error(JSON.stringify(body))
}

async function report(
  what: string,
  atOnce: number,
  work: (index: number) => Promise<void>,
): Promise<void> {
  const { seconds, cpuSeconds, p50 } = await measure(site, count, atOnce, work)
  const cpu = ((cpuSeconds / count) * 1000).toFixed(1)
  print(`| ${what} | ${atOnce} | ${(count / seconds).toFixed(1)} | ${cpu} | ${p50.toFixed(1)} |`)
}

async function measure(
  { server }: KeySite,
  times: number,
  atOnce: number,
  work: (index: number) => Promise<unknown>,
): Promise<{ seconds: number; cpuSeconds: number; p50: number }> {
  const took: number[] = []
  let next = 0
  const cpuBefore = cpuSecondsOf(server().pid)
  const startedAt = performance.now()
  const workers = Array.from({ length: atOnce }, async () => {
    for (let index = next++; index < times; index = next++) {
      const begun = performance.now()
      await work(index)
      took.push(performance.now() - begun)
    }
  })
  await Promise.all(workers)
  const seconds = (performance.now() - startedAt) / 1000
  took.sort((one, other) => one - other)
  return {
    seconds,
    cpuSeconds: cpuSecondsOf(server().pid) - cpuBefore,
    p50: took[took.length >> 1] ?? 0,
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
