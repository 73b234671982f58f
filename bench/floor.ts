/**
 * `node bench/floor.ts`: what any server on Node costs on this machine under the same load, with nothing of ours in it: a GET,
 * a POST whose JSON body is parsed, and such a POST with one signature. The other figures are read against these.
 */
import { execFileSync, spawn } from 'node:child_process'
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'

const ROUNDS = 5
const SECONDS = 2
const CONNECTIONS = 16
const TICKS_PER_SECOND = 100
const ANSWER_BYTES = 900

const ed25519 = generateKeyPairSync('ed25519').privateKey
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
const message = randomBytes(500)
const work: Record<string, () => unknown> = {
  '/get': () => undefined,
  '/post': () => undefined,
  '/post-ed25519': () => sign(null, message, ed25519),
  '/post-p256': () => sign('sha256', message, p256),
}

function serve(): void {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      if (chunks.length > 0) JSON.parse(Buffer.concat(chunks).toString())
      work[request.url ?? '']?.()
      const body = JSON.stringify({ data: 'x'.repeat(ANSWER_BYTES) })
      response.writeHead(200, ['Content-Type', 'application/json', 'Content-Length', body.length])
      response.end(body)
    })
  })
  server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port))
}

async function measure(): Promise<void> {
  const flags = ['--max-semi-space-size=8', import.meta.filename, 'serve']
  const child = spawn(process.execPath, flags, { stdio: ['ignore', 'pipe', 'inherit'] })
  const [port] = await once(child.stdout, 'data')
  const folder = mkdtempSync(path.join(tmpdir(), 'postern-floor-'))
  const script = path.join(folder, 'post.lua')
  const body = JSON.stringify({ public_key: 'x'.repeat(90), valid_principals: 'alice' })
  writeFileSync(
    script,
    `wrk.method = "POST"\nwrk.body = '${body}'\nwrk.headers["X-Vault-Token"] = "${'x'.repeat(26)}"\n`,
  )
  try {
    for (const name of Object.keys(work)) {
      const costs: number[] = []
      for (let round = 0; round < ROUNDS; round++) {
        const before = cpuSeconds(child.pid as number)
        const args = ['-t1', `-c${CONNECTIONS}`, `-d${SECONDS}`]
        if (name !== '/get') args.push('-s', script)
        const output = execFileSync('wrk', [
          ...args,
          `http://127.0.0.1:${String(port).trim()}${name}`,
        ])
        const requests = Number(/(\d+) requests in/.exec(output.toString())?.[1])
        costs.push(((cpuSeconds(child.pid as number) - before) * 1000) / requests)
      }
      costs.sort((one, other) => one - other)
      const median = costs[Math.floor(ROUNDS / 2)] as number
      console.log(
        `${name}: ${median.toFixed(3)} ms of CPU (${costs.map((ms) => ms.toFixed(3)).join(' ')})`,
      )
    }
  } finally {
    child.kill()
    rmSync(folder, { recursive: true })
  }
}

function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

if (process.argv[2] === 'serve') serve()
else await measure()
