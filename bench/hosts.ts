/**
 * `node bench/hosts.ts [sign] [krl] [poll] [--seconds N] [--rounds N] [--hosts N]`: what hosts cost a fresh server of the built
 * package. `sign`: scoped and plain signatures with a record, and plain ones without, in turn. `krl`: the list of 100,000
 * serials from its chunks. `poll`: hosts that each wait for the next KRL all the time, and fetch their bundle now and then.
 */
import { execFileSync } from 'node:child_process'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { buildKrl } from '../src/engine/ssh/inventory/krl/build.ts'
import { encodeChunk, type KrlContent } from '../src/engine/ssh/inventory/krl/store.ts'
import { newSerial } from '../src/engine/ssh/inventory/serial.ts'
import { encodeAuthorizedKey } from '../src/ssh/key/authorized-keys.ts'
import { generateKeyPair } from '../src/ssh/key/private-key.ts'
import type { Api } from '../test/support/api.ts'
import { initialize, makeSite } from '../test/support/site.ts'
import { benchPackages, ensurePackages } from '../tools/debian-packages.ts'
import { pollAsHosts } from './host-polls.ts'
import { layOutPackage } from './package.ts'
import { cpuSecondsOf, residentMegabytes } from './process-cpu.ts'

const CONNECTIONS = 16
const SERIALS = 100_000
const ENTRIES_PER_CHUNK = 1024

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '4' },
    hosts: { type: 'string', default: '10000' },
  },
})
const parts = positionals.length > 0 ? positionals : ['sign', 'krl', 'poll']

if (parts.includes('krl')) await measureKrl()
if (parts.includes('sign') || parts.includes('poll')) {
  if (!ensurePackages(benchPackages)) process.exit(1)
  await using site = makeSite()
  const server = await site.start(layOutPackage(site.folder))
  const { api, root } = await initialize(server.address)
  await makeMount(api)
  if (parts.includes('sign')) await measureSigns(server, root)
  if (parts.includes('poll')) {
    await pollAsHosts({ ...server, api, hosts: Number(values.hosts) })
  }
}

async function makeMount(api: Api): Promise<void> {
  await must(api, 'sys/mounts/ssh', { type: 'ssh' })
  await must(api, 'ssh/config/ca', { generate_signing_key: true, key_type: 'ed25519' })
  await must(api, 'ssh/config/hosts', { host_scope: true })
  await must(api, 'ssh/hosts/web-1', { names: 'web-1' })
  const role = { key_type: 'ca', allow_user_certificates: true, allowed_users: '*', ttl: '30m' }
  await must(api, 'ssh/roles/plain', role)
  await must(api, 'ssh/roles/no-store', { ...role, no_store: true })
  await must(api, 'ssh/roles/scoped', { ...role, host_scope: 'required', allowed_hosts: '*' })
}

async function must(api: Api, name: string, body: object): Promise<void> {
  const answer = await api('PUT', name, body)
  if (answer.status >= 300) throw new Error(`${name}: ${JSON.stringify(answer.body)}`)
}

/** In turn, so that what else the machine does meets all of them. */
async function measureSigns(
  { address, pid }: { readonly address: string; readonly pid: number },
  token: string,
): Promise<void> {
  const { publicKey } = await generateKeyPair('ed25519', 256)
  const public_key = encodeAuthorizedKey(publicKey.blob)
  const kinds = [
    { role: 'plain', more: {} },
    { role: 'scoped', more: { host: 'web-1' } },
    { role: 'no-store', more: {} },
  ]
  const rows = new Map(kinds.map(({ role }) => [role, [] as { cpu: number; rate: number }[]]))
  for (let round = -1; round < Number(values.rounds); round++) {
    for (const { role, more } of round % 2 === 0 ? kinds : kinds.toReversed()) {
      const body = { public_key, valid_principals: 'u%N%', ...more }
      const before = cpuSecondsOf(pid)
      const { requests, seconds } = wrk(address, token, `ssh/sign/${role}`, body)
      const cpu = ((cpuSecondsOf(pid) - before) / requests) * 1000
      if (round >= 0) rows.get(role)?.push({ cpu, rate: requests / seconds })
    }
  }
  const plain = median(rows.get('plain')?.map(({ cpu }) => cpu) ?? [])
  print('| sign | CPU ms per request (rounds) | to plain | req/s at c=16 |\n|---|---|---|---|')
  for (const [role, figures] of rows) {
    const cpu = median(figures.map((figure) => figure.cpu))
    const all = figures.map((figure) => figure.cpu.toFixed(3)).join(', ')
    const rate = median(figures.map((figure) => figure.rate)).toFixed(0)
    print(`| ${role} | ${cpu.toFixed(3)} (${all}) | ${(cpu / plain).toFixed(2)} | ${rate} |`)
  }
  print(`\nresident ${residentMegabytes(pid).toFixed(0)} MB`)
}

function wrk(address: string, token: string, name: string, body: object) {
  const script = path.join(import.meta.dirname, 'load/single.lua')
  const load = ['-t1', `-c${CONNECTIONS}`, `-d${values.seconds}s`, '-s', script, address, '--']
  const request = ['POST', `/v1/${name}`, token, '200', 'cert-v01', JSON.stringify(body)]
  const output = execFileSync('wrk', [...load, ...request], { encoding: 'utf8' })
  const [requests = 0, seconds = 0, errors = 0] = (/^@stats\t(.*)$/m.exec(output)?.[1] ?? '')
    .split('\t')
    .map(Number)
  if (errors > 0 || requests === 0) throw new Error(output)
  return { requests, seconds }
}

async function measureKrl(): Promise<void> {
  const start = Date.now()
  const serials = Array.from({ length: SERIALS }, (_, at) => newSerial(start + 50 * at))
  const entries = serials.map((serial) => ({ serial, expiresAt: 1_900_000_000 }))
  const chunks = Array.from({ length: Math.ceil(SERIALS / ENTRIES_PER_CHUNK) }, (_, at) =>
    encodeChunk(entries.slice(at * ENTRIES_PER_CHUNK, (at + 1) * ENTRIES_PER_CHUNK)),
  )
  const { publicKey } = await generateKeyPair('ed25519', 256)
  const issuers = [{ caKey: publicKey.blob, chunks }]
  const content: KrlContent = { version: 1, generatedAt: 1, issuers, keyHashes: [] }
  const times: string[] = []
  for (let run = 0; run < 5; run++) {
    const begun = performance.now()
    await buildKrl(content)
    times.push((performance.now() - begun).toFixed(0))
  }
  print(
    `KRL of ${SERIALS} serials from its chunks, ms: ${times.join(', ')} (the first starts the thread)`,
  )
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((one, other) => one - other)[numbers.length >> 1] ?? 0
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
