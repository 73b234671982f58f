/**
 * Clients that are slow, silent or many, against a running server (contract 1.1, protocols 3.4): limits end them as
 * configured, and others are served meanwhile.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { suite, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { type Api, apiOf } from '../support/api.ts'
import { startDevServer } from '../support/server.ts'
import { initialize, makeSite } from '../support/site.ts'

const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f'
const HEAD = 'GET /v1/sys/health HTTP/1.1\r\nHost: a\r\n'
/** How often the server looks at heads and bodies that are late. */
const CHECK_MS = 5000
const SLACK_MS = 5000

async function prepareSign(api: Api): Promise<() => Promise<number>> {
  await api('POST', 'sys/mounts/ssh', { type: 'ssh' })
  await api('POST', 'ssh/config/ca', { generate_signing_key: true, key_type: 'ed25519' })
  await api('POST', 'ssh/roles/ca', {
    key_type: 'ca',
    allow_user_certificates: true,
    allowed_users: 'u',
    default_user: 'u',
  })
  return async () => {
    const started = performance.now()
    const { status, body } = await api('POST', 'ssh/sign/ca', { public_key: KEY })
    assert.equal(status, 200)
    assert.match(body.data.signed_key, /^ssh-ed25519-cert/)
    return performance.now() - started
  }
}

class Client {
  readonly socket: Socket
  readonly opened = performance.now()
  received = ''

  constructor(address: string) {
    this.socket = connect(Number(new URL(address).port), '127.0.0.1')
    this.socket.setEncoding('latin1')
    this.socket.on('data', (text: string) => {
      this.received += text
    })
    this.socket.on('error', () => {})
  }

  /** One byte every `milliseconds`, until the server has enough of it. */
  async trickle(text: string, milliseconds: number): Promise<void> {
    for (let i = 0; !this.socket.closed && !this.socket.readableEnded; i++) {
      if (this.socket.writable) this.socket.write(text[i % text.length] as string)
      await pause(milliseconds)
    }
  }

  /** Milliseconds from the start until the server ended it. */
  async lived(): Promise<number> {
    if (!this.socket.closed) await once(this.socket, 'close')
    return performance.now() - this.opened
  }
}

function assertBetween(value: number, least: number, most: number, what: string): void {
  assert.ok(value >= least && value <= most, `${what}: ${Math.round(value)} ms`)
}

suite('limits of a listener', () => {
  test('end slow, silent and deaf clients; signs are answered all the while', async (t) => {
    await using site = makeSite({
      listener: [
        'tls_disable = true',
        'http_read_header_timeout = "1s"',
        'http_read_timeout = "2s"',
        'http_idle_timeout = "2s"',
        'max_request_duration = "3s"',
      ],
    })
    const { address, pid } = await site.start()
    const { api, root } = await initialize(address)
    const sign = await prepareSign(api)
    const before = residentKilobytes(pid)

    const slowHead = new Client(address)
    const slowHeadDone = slowHead.trickle(`${HEAD}X-A: ${'a'.repeat(100_000)}`, 50)
    const slowBody = new Client(address)
    slowBody.socket.write(`POST /v1/ssh/sign/ca HTTP/1.1\r\nHost: a\r\nX-Vault-Token: ${root}\r\n`)
    slowBody.socket.write('Content-Length: 100000\r\n\r\n')
    const slowBodyDone = slowBody.trickle(' ', 50)
    const silent = new Client(address)
    const idle = new Client(address)
    idle.socket.write(`${HEAD}\r\n`)
    const deaf = new Client(address)
    const deafSince = performance.now()
    deaf.socket.pause()
    const openapi = `GET /v1/sys/internal/specs/openapi HTTP/1.1\r\nHost: a\r\nX-Vault-Token: ${root}\r\n\r\n`
    deaf.socket.write(openapi.repeat(100))

    const all = [slowHead, slowBody, silent, idle]
    const ended = Promise.all(all.map((client) => client.lived()))
    let slowest = 0
    let signs = 0
    const isOver = ended.then(() => true)
    while (!(await Promise.race([isOver, pause(20, false)]))) {
      slowest = Math.max(slowest, await sign())
      signs++
    }
    await Promise.all([slowHeadDone, slowBodyDone])
    t.diagnostic(`${signs} signs meanwhile, the slowest took ${Math.round(slowest)} ms`)
    assert.ok(signs > 5 && slowest < 2000, `${signs} signs, ${slowest} ms`)

    const [head, body, nothing, kept] = (await ended) as [number, number, number, number]
    assert.match(slowHead.received, /^HTTP\/1\.1 408 /)
    assertBetween(head, 1000, 1000 + CHECK_MS + SLACK_MS, 'a slow head')
    assert.match(slowBody.received, /^HTTP\/1\.1 408 /)
    assertBetween(body, 2000, 2000 + CHECK_MS + SLACK_MS, 'a slow body')
    assertBetween(nothing, 1000, 1000 + CHECK_MS + SLACK_MS, 'a silent client')
    assert.match(idle.received, /^HTTP\/1\.1 200 /)
    assertBetween(kept, 2000, 2000 + CHECK_MS + SLACK_MS, 'an idle connection')

    // What was not read is held by the kernel and a few answers of the server, not by a hundred.
    const grown = residentKilobytes(pid) - before
    assert.ok(grown < 200_000, `${grown} kB more memory`)
    // It reads again, to see the end: the server has cut it amid an answer.
    await pause(Math.max(0, 3000 + SLACK_MS - (performance.now() - deafSince)))
    deaf.socket.resume()
    await deaf.lived()
    const answers = deaf.received.split('HTTP/1.1 200 OK').length - 1
    assert.ok(answers > 0 && answers < 100, `${answers} answers`)
  })

  test('a client that closes its half has its answers', async () => {
    const server = await startDevServer()
    try {
      const sign = await prepareSign(apiOf(server.address, 'root'))
      const client = new Client(server.address)
      const data = JSON.stringify({ public_key: KEY })
      const request = `POST /v1/ssh/sign/ca HTTP/1.1\r\nHost: a\r\nX-Vault-Token: root\r\nContent-Length: ${data.length}\r\n\r\n${data}`
      client.socket.end(request.repeat(3))
      await client.lived()
      assert.equal(client.received.match(/ssh-ed25519-cert/g)?.length, 3)
      // Half a request and then nothing: it is told, and gone.
      const half = new Client(server.address)
      half.socket.end(request.slice(0, -10))
      await half.lived()
      assert.match(half.received, /^HTTP\/1\.1 400 /)
      const reset = new Client(server.address)
      await new Promise<void>((resolve) => reset.socket.write(request, () => resolve()))
      reset.socket.resetAndDestroy()
      await sign()
    } finally {
      await server.stop()
    }
  })
})

const CONNECTIONS = 10_000
const AT_ONCE = 200
const MAX_KILOBYTES_EACH = 40

test(`${CONNECTIONS} idle connections cost a little memory each, and a sign still answers`, async (t) => {
  const server = await startDevServer()
  const clients: Client[] = []
  try {
    const sign = await prepareSign(apiOf(server.address, 'root'))
    for (let i = 0; i < 50; i++) await sign()
    const before = residentKilobytes(server.pid)
    while (clients.length < CONNECTIONS) {
      const some = Array.from({ length: AT_ONCE }, () => new Client(server.address))
      clients.push(...some)
      await Promise.all(
        some.map(async ({ socket }) => {
          socket.write(`${HEAD}\r\n`)
          await once(socket, 'data')
        }),
      )
    }
    const each = (residentKilobytes(server.pid) - before) / CONNECTIONS
    const times: number[] = []
    for (let i = 0; i < 50; i++) times.push(await sign())
    times.sort((one, other) => one - other)
    const middle = times[25] as number
    t.diagnostic(`${each.toFixed(1)} kB for each idle connection`)
    t.diagnostic(`a sign among them: p50 ${middle.toFixed(1)} ms`)
    assert.ok(each < MAX_KILOBYTES_EACH, `${each} kB for each connection`)
    assert.ok(middle < 500, `${middle} ms`)
    assert.equal(clients.filter(({ socket }) => socket.closed).length, 0, 'none was dropped')
    assert.equal(await server.stop(), 0)
  } finally {
    for (const { socket } of clients) socket.destroy()
    await server.stop()
  }
})

function residentKilobytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
}
