/**
 * `npm run bench [-- workload …] [--seconds N] [--commit-delay MS]`: measures a fresh server of the built package (SQLite on
 * disk, TLS off, file audit device on) with the load generator in `bench/load`, and prints a table.
 */
import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { type RunningServer, startServer } from '../test/support/server.ts'
import { benchPackages, ensurePackages } from '../tools/debian-packages.ts'
import { bareSigning } from './bare-signing.ts'
import { layOutPackage } from './package.ts'
import { residentMegabytes } from './process-cpu.ts'

/** One JSON line of the load generator; the members that the table shows. */
interface Row {
  readonly name: string
  readonly connections?: number
  readonly requests_s?: number
  readonly p50_ms?: number
  readonly server_cpu_s_per_1000?: number
  readonly errors?: number
  readonly first_error?: string
}

const TABLE_WORKLOADS = [
  'health',
  'read-role',
  'sign-ed25519',
  'sign-ed25519-no-store',
  'sign-ecdsa',
  'sign-rsa4096',
  'issue-ed25519',
  'otp-create',
  'otp-roundtrip',
  'token-chain',
  'mixed',
]

const root = path.resolve(import.meta.dirname, '..')
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '5' },
    // Passed on for lease-growth and lease-revoke-prefix.
    leases: { type: 'string' },
    // Every fdatasync of the server takes so much longer, as on a slow disk.
    'commit-delay': { type: 'string' },
    'revoke-leases': { type: 'string' },
  },
})

if (!ensurePackages(benchPackages)) process.exit(1)
const folder = mkdtempSync(path.join(tmpdir(), 'postern-bench-'))
try {
  process.exitCode = (await measureAll(folder)) ? 0 : 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}

/** False when a workload had an error. */
async function measureAll(home: string): Promise<boolean> {
  const bin = layOutPackage(home)
  const config = writeConfig(home)
  const started = performance.now()
  const delay = values['commit-delay']
  // Run as a program, as an installation is: the launcher's own first line has flags that cost memory to leave out.
  const env = {
    PATH: `${path.dirname(process.execPath)}:${process.env['PATH']}`,
    ...(delay === undefined ? {} : slowDisk(home, Number(delay))),
  }
  const server = await startServer([`-config=${config}`], { bin, env, asProgram: true })
  try {
    await fetch(`${server.address}/v1/sys/health`)
    const startMs = performance.now() - started
    const token = await initialize(server.address)
    print(`${cpus().length} cores of ${cpus()[0]?.model.trim()}, Node ${process.versions.node}`)
    print(`bare signing, CPU ms: ${bareSigning()}`)
    print(
      `process start until health answers ${(startMs / 1000).toFixed(2)} s, idle memory ${residentMegabytes(server.pid).toFixed(0)} MB\n`,
    )
    const names = positionals.length > 0 ? positionals : TABLE_WORKLOADS
    print('| workload | CPU ms per request | req/s at c=16 | p50 ms at c=1 | errors |')
    print('|---|---|---|---|---|')
    let isClean = true
    for (const name of names) {
      const rows = await generateLoad(server, token, home, name)
      printRows(name, rows)
      if (rows.some(({ errors }) => errors !== 0)) isClean = false
    }
    print(`\nmemory at the end ${residentMegabytes(server.pid).toFixed(0)} MB`)
    return isClean
  } finally {
    await server.stop()
  }
}

function writeConfig(home: string): string {
  mkdirSync(path.join(home, 'data'))
  const file = path.join(home, 'postern.hcl')
  writeFileSync(
    file,
    `storage "sqlite" {
  path = "${home}/data/postern.db"
}
listener "tcp" {
  address = "127.0.0.1:0"
  tls_disable = true
}
audit "file" "file" {
  options {
    file_path = "${home}/audit.log"
  }
}
`,
  )
  return file
}

/** A library that the server is started with: it sleeps before each sync. Needs a C compiler. */
function slowDisk(home: string, milliseconds: number): Record<string, string> {
  const source = path.join(home, 'slow.c')
  const library = path.join(home, 'slow.so')
  writeFileSync(
    source,
    `#include <unistd.h>
#include <sys/syscall.h>
int fdatasync(int fd) {
  usleep(${milliseconds * 1000});
  return syscall(SYS_fdatasync, fd);
}
`,
  )
  execFileSync('cc', ['-shared', '-fPIC', '-o', library, source])
  return { LD_PRELOAD: library }
}

/** One key share; the root token is returned. */
async function initialize(address: string): Promise<string> {
  const put = async (name: string, body: object): Promise<Record<string, unknown>> => {
    const answer = await fetch(`${address}/v1/sys/${name}`, {
      method: 'PUT',
      body: JSON.stringify(body),
    })
    if (!answer.ok) throw new Error(`sys/${name}: ${answer.status} ${await answer.text()}`)
    return (await answer.json()) as Record<string, unknown>
  }
  const init = await put('init', { secret_shares: 1, secret_threshold: 1 })
  await put('unseal', { key: (init['keys'] as string[])[0] })
  return init['root_token'] as string
}

async function generateLoad(
  server: RunningServer,
  token: string,
  home: string,
  workload: string,
): Promise<Row[]> {
  const connections = workload === 'mixed' ? '64' : workload.startsWith('lease-') ? '16' : '1,16'
  const args = ['--addr', server.address, '--token', token, '--pid', String(server.pid)]
  args.push('--data-dir', path.join(home, 'data'), '--workloads', workload)
  args.push('--connections', connections, '--seconds', values.seconds)
  if (values.leases) args.push('--leases', values.leases)
  if (values['revoke-leases']) args.push('--revoke-leases', values['revoke-leases'])
  const generator = spawn(process.execPath, [path.join(root, 'bench/load/bench.mjs'), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  for await (const chunk of generator.stdout) output += chunk
  if (output === '') throw new Error(`${workload}: the load generator gave no result`)
  return output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Row)
}

function printRows(workload: string, rows: readonly Row[]): void {
  if (workload.startsWith('lease-')) {
    for (const row of rows) print(JSON.stringify(row))
    return
  }
  const alone = rows.find(({ connections }) => connections === 1)
  const busy = rows.find(({ connections }) => connections !== 1)
  const cpu = busy?.server_cpu_s_per_1000?.toFixed(3) ?? '–'
  const name = busy?.connections === 16 ? workload : `${workload} (c=${busy?.connections})`
  const errors = rows.reduce((sum, row) => sum + (row.errors ?? 0), 0)
  const firstError = rows.find((row) => row.first_error)?.first_error
  print(
    `| ${name} | ${cpu} | ${busy?.requests_s ?? '–'} | ${alone?.p50_ms ?? '–'} | ${errors}${firstError ? `: ${firstError}` : ''} |`,
  )
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
