/**
 * Hosts as the server sees `postern-host service`: each keeps one request open that waits for the next KRL, and fetches its
 * signed bundle every ten minutes with a request that it signs (protocols 5.4, 5.6).
 */
import { randomBytes } from 'node:crypto'
import { Agent, request } from 'node:http'
import { setTimeout } from 'node:timers/promises'
import { HOST_NAMESPACE, hostHeaders, hostRequestMessage } from '../src/ssh/host/host-request.ts'
import { encodeAuthorizedKey } from '../src/ssh/key/authorized-keys.ts'
import { generateKeyPair, type PrivateKey } from '../src/ssh/key/private-key.ts'
import { signBlob } from '../src/ssh/sshsig.ts'
import type { Api } from '../test/support/api.ts'
import { cpuSecondsOf, residentMegabytes } from './process-cpu.ts'

const BUNDLE_EVERY_SECONDS = 600
const WAIT_SECONDS = 55
const MEASURED_SECONDS = 30
const AT_ONCE = 16

interface Polled {
  readonly address: string
  readonly pid: number
  readonly api: Api
  readonly hosts: number
}

interface Host {
  readonly id: string
  readonly key: PrivateKey
}

/** Prints what the polls of so many hosts cost, as a share of one core. */
export async function pollAsHosts({ address, pid, api, hosts: count }: Polled): Promise<void> {
  const hosts = await enrolAll(api, count)
  const { body } = await api('GET', 'ssh/identity')
  const poller = new Poller(address, body.data.cluster_id)
  const etag = await poller.krlTag()
  const idle = await share(pid, () => setTimeout(5000))
  print(`${count} hosts known, none asks: ${percent(idle)}, ${memory(pid)}`)
  // Spread over the time of a wait, as hosts that were set up at different times are.
  const waits = hosts.map(async (_, at) => {
    await setTimeout((at / count) * WAIT_SECONDS * 1000)
    await poller.waitForever(etag)
  })
  await setTimeout(WAIT_SECONDS * 1000)
  print(`all wait for the next KRL: ${memory(pid)}`)
  const waiting = await share(pid, () => setTimeout(MEASURED_SECONDS * 1000))
  print(`waiting alone: ${percent(waiting)}`)
  const both = await share(pid, () => poller.fetchBundles(hosts, MEASURED_SECONDS))
  print(`waiting, and a bundle each every ${BUNDLE_EVERY_SECONDS} s: ${percent(both)}`)
  print(memory(pid))
  print(poller.summary())
  poller.stop()
  await Promise.allSettled(waits)
}

async function enrolAll(api: Api, count: number): Promise<Host[]> {
  const hosts: Host[] = []
  let next = 0
  const enrolSome = async (): Promise<void> => {
    while (next < count) {
      const id = `h-${next++}`
      const host = { id, key: await generateKeyPair('ed25519', 256) }
      hosts.push(host)
      const host_keys = [encodeAuthorizedKey(host.key.publicKey.blob)]
      const { status, body } = await api('PUT', `ssh/hosts/${id}`, { names: id, host_keys })
      if (status >= 300) throw new Error(`${id}: ${JSON.stringify(body)}`)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, enrolSome))
  return hosts
}

class Poller {
  readonly #address: URL
  readonly #clusterId: string
  readonly #agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY })
  readonly #statuses = new Map<string, number>()
  #isStopped = false

  constructor(address: string, clusterId: string) {
    this.#address = new URL(address)
    this.#clusterId = clusterId
  }

  async krlTag(): Promise<string> {
    return (await this.#get('/v1/ssh/krl', {})).tag
  }

  async waitForever(etag: string): Promise<void> {
    const headers = { 'if-none-match': etag }
    while (!this.#isStopped) await this.#get(`/v1/ssh/krl?wait=${WAIT_SECONDS}s`, headers)
  }

  /** At the pace of hosts that each ask once a minute. */
  async fetchBundles(hosts: readonly Host[], seconds: number): Promise<void> {
    const total = Math.round((hosts.length * seconds) / BUNDLE_EVERY_SECONDS)
    const started = performance.now()
    const open: Promise<unknown>[] = []
    for (let at = 0; at < total; at++) {
      const due = started + (at / total) * seconds * 1000
      if (due > performance.now()) await setTimeout(due - performance.now())
      open.push(this.#fetchBundle(hosts[at % hosts.length] as Host))
    }
    await Promise.all(open)
  }

  summary(): string {
    return [...this.#statuses].map(([what, count]) => `${what}: ${count}`).join(', ')
  }

  stop(): void {
    this.#isStopped = true
    this.#agent.destroy()
  }

  async #fetchBundle({ id, key }: Host): Promise<void> {
    const path = '/v1/ssh/host/bundle'
    const [unixSeconds, nonce] = [Math.floor(Date.now() / 1000), randomBytes(16)]
    const message = hostRequestMessage({
      clusterId: this.#clusterId,
      method: 'GET',
      path,
      body: '',
      hostId: id,
      unixSeconds,
      nonce,
    })
    const signature = await signBlob(key, HOST_NAMESPACE, message)
    await this.#get(path, {
      [hostHeaders.host]: id,
      [hostHeaders.time]: String(unixSeconds),
      [hostHeaders.nonce]: nonce.toString('base64url'),
      [hostHeaders.signature]: signature.toString('base64'),
    })
  }

  #get(path: string, headers: Record<string, string>): Promise<{ readonly tag: string }> {
    return new Promise((resolve, reject) => {
      const options = { host: this.#address.hostname, port: this.#address.port, path, headers }
      const sent = request({ ...options, agent: this.#agent }, (response) => {
        const what = `${path.split('?')[0]} ${response.statusCode}`
        this.#statuses.set(what, (this.#statuses.get(what) ?? 0) + 1)
        response.resume()
        response.on('end', () => resolve({ tag: String(response.headers.etag) }))
      })
      sent.on('error', (error) => (this.#isStopped ? resolve({ tag: '' }) : reject(error)))
      sent.end()
    })
  }
}

/** The part of one core that a process takes while something goes on. */
async function share(pid: number, during: () => Promise<unknown>): Promise<number> {
  const [before, started] = [cpuSecondsOf(pid), performance.now()]
  await during()
  return (cpuSecondsOf(pid) - before) / ((performance.now() - started) / 1000)
}

const percent = (part: number): string => `${(100 * part).toFixed(1)} % of a core`
const memory = (pid: number): string => `${residentMegabytes(pid).toFixed(0)} MB resident`

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
