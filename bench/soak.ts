/**
 * `node bench/soak.ts [--minutes N] [--connections N] [--rate OPERATIONS_PER_SECOND]`: a fresh server at half of what it can do
 * with the mixed workload (or at a rate), and what memory it has every minute. Exits with 1 for an error or for memory that grows.
 */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { initialize, makeSite } from '../test/support/site.ts'
import { layOutPackage } from './package.ts'

/** What the load generator says of a run. */
interface Row {
  readonly requests_s: number
  readonly ops_s?: number
  readonly p50_ms: number
  readonly p99_ms: number
  readonly errors: number
  readonly first_error?: string
}

interface Memory {
  readonly residentMb: number
  readonly heapMb: number
  readonly externalMb: number
}

const GENERATOR = path.join(import.meta.dirname, 'load/bench.mjs')
const CALIBRATION_SECONDS = 15
/** Of resident memory, from the second minute to the last: tokens are created all the while, the heap must not know. */
const MAX_GROWTH_MB = 20

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    connections: { type: 'string', default: '16' },
    rate: { type: 'string' },
  },
})

await using site = makeSite()
const { address, pid } = await site.start(layOutPackage(site.folder))
const { root } = await initialize(address)

const rate = values.rate ? Number(values.rate) : Math.round((await capacity()) / 2)
print(`${rate} operations/s of the mixed workload, ${values.connections} connections\n`)
print('| minute | resident MB | heap used MB | external MB |')
print('|---|---|---|---|')
const run = generateLoad(Number(values.minutes) * 60, rate)
const samples: Memory[] = []
const timer = setInterval(() => void sample(), 60_000)
const row = await run
clearInterval(timer)
print(`\n${row.requests_s} requests/s, p50 ${row.p50_ms} ms, p99 ${row.p99_ms} ms`)
print(`${row.errors} errors${row.first_error ? `: ${row.first_error}` : ''}`)
const growth = (samples.at(-1)?.residentMb ?? 0) - (samples[1] ?? samples[0])!.residentMb
print(`${growth.toFixed(1)} MB more from the second minute to the last`)
process.exitCode = row.errors === 0 && growth <= MAX_GROWTH_MB ? 0 : 1

/** Operations per second when as many are sent as are answered. */
async function capacity(): Promise<number> {
  const { ops_s, requests_s } = await generateLoad(CALIBRATION_SECONDS)
  return ops_s ?? requests_s
}

async function generateLoad(seconds: number, atRate?: number): Promise<Row> {
  const args = ['--addr', address, '--token', root, '--pid', String(pid), '--workloads', 'mixed']
  args.push('--connections', values.connections, '--seconds', String(seconds))
  if (atRate !== undefined) args.push('--rate', String(atRate))
  const stdio = ['ignore', 'pipe', 'inherit'] as const
  const generator = spawn(process.execPath, [GENERATOR, ...args], { stdio: [...stdio] })
  let output = ''
  for await (const chunk of generator.stdout ?? []) output += chunk
  return JSON.parse(output)
}

async function sample(): Promise<void> {
  const target = `${address}/v1/sys/metrics?format=prometheus`
  const text = await (await fetch(target, { headers: { 'X-Vault-Token': root } })).text()
  const megabytes = (name: string): number =>
    Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]) / 1024 / 1024
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const memory = {
    residentMb: Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024,
    heapMb: megabytes('nodejs_heap_size_used_bytes'),
    externalMb: megabytes('nodejs_external_memory_bytes'),
  }
  samples.push(memory)
  const columns = Object.values(memory).map((number) => number.toFixed(1))
  print(`| ${samples.length} | ${columns.join(' | ')} |`)
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
