/** Hosts that answer nothing, the wrong thing or too much, on loopback (protocols 4.6). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Connections } from '../../src/remote/connections.ts'
import { messageOf, startFakeHost, targetAt } from './support.ts'

test('a port without a listener is told at once', async () => {
  const host = await startFakeHost(() => {})
  await host[Symbol.asyncDispose]()
  const remote = new Connections()
  const message = await messageOf(remote.run(targetAt(host.port), 'exit 0'))
  assert.equal(message, `cannot connect to 127.0.0.1 port ${host.port}: connection refused`)
})

test('a host that accepts and says nothing is given up after the time for connecting', async () => {
  await using host = await startFakeHost(() => {})
  const remote = new Connections({ connectMs: 50 })
  const runs = [1, 2].map(() => messageOf(remote.run(targetAt(host.port), 'exit 0')))
  const expected = `the SSH handshake with 127.0.0.1 port ${host.port} took longer than 0.05 s`
  assert.deepEqual(await Promise.all(runs), [expected, expected])
})

test('a host that speaks no SSH is told so, in printable text of at most 256 characters of its own', async () => {
  await using host = await startFakeHost((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
  const remote = new Connections({ connectMs: 5_000 })
  const message = await messageOf(remote.run(targetAt(host.port), 'exit 0'))
  assert.match(message, /^the SSH handshake with 127\.0\.0\.1 port \d+ failed: [\x20-\x7e]{1,256}$/)
})

test('protocols 4.6: what a host says in a disconnect is printable and cut', async () => {
  const text = `\x1b[31m\n${'x'.repeat(2000)}`
  await using host = await startFakeHost((socket) => {
    socket.write('SSH-2.0-Fake\r\n')
    socket.once('data', () => socket.write(packet(disconnect(text))))
  })
  const remote = new Connections({ connectMs: 5_000 })
  const message = await messageOf(remote.run(targetAt(host.port), 'exit 0'))
  assert.match(message, /failed: \?\[31m\?x+$/)
  assert.ok(message.length < 320, message)
})

test('a host that floods is cut', async () => {
  await using host = await startFakeHost((socket) => {
    socket.write('SSH-2.0-Fake\r\n')
    const ignored = packet(Buffer.concat([Buffer.from([2]), Buffer.alloc(30_000)]))
    const flood = () => {
      while (!socket.destroyed && socket.write(ignored));
    }
    socket.on('drain', flood)
    flood()
  })
  const remote = new Connections({ connectMs: 5_000, floodBytes: 300_000 })
  const message = await messageOf(remote.run(targetAt(host.port), 'exit 0'))
  assert.match(message, /sends more than a program may print$/)
})

test('protocols 4.6: no SHA-1, CBC or finite field is offered, and the key exchange is a strict one', async () => {
  const offered = await offerOf({})
  assert.match(offered, /kex-strict-c-v00@openssh\.com/)
  assert.match(offered, /curve25519-sha256/)
  assert.doesNotMatch(offered, /sha1|cbc|3des|arcfour|diffie-hellman|ssh-rsa|ssh-dss|chacha|zlib/)
})

test('only the types of the known host keys are asked for', async () => {
  const offered = await offerOf({ hostKeyAlgorithms: ['ssh-rsa', 'ssh-unknown'] })
  assert.match(offered, /rsa-sha2-512,rsa-sha2-256/)
  assert.doesNotMatch(offered, /ed25519|ecdsa-sha2/)
})

test('known host keys of unknown types only are told before anything is sent', async () => {
  let connections = 0
  await using host = await startFakeHost(() => {
    connections += 1
  })
  const target = targetAt(host.port, { hostKeyAlgorithms: ['sk-ssh-ed25519@openssh.com'] })
  const message = await messageOf(new Connections().run(target, 'exit 0'))
  assert.match(message, /are of types that are not used$/)
  assert.equal(connections, 0)
})

test('closing cuts what is under way, and refuses what comes later', async () => {
  await using host = await startFakeHost(() => {})
  const remote = new Connections()
  const run = messageOf(remote.run(targetAt(host.port), 'exit 0'))
  await remote.close()
  assert.equal(await run, 'the server is shutting down')
  assert.equal(
    await messageOf(remote.run(targetAt(host.port), 'exit 0')),
    'the server is shutting down',
  )
})

/** What a client sends before anything is encrypted: its algorithms, as text. */
async function offerOf(more: Parameters<typeof targetAt>[1]): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>()
  await using host = await startFakeHost((socket) => {
    let received = ''
    socket.write('SSH-2.0-Fake\r\n')
    socket.on('data', (bytes) => {
      received += bytes.toString('latin1')
      if (received.includes('none')) {
        resolve(received)
        socket.destroy()
      }
    })
  })
  const remote = new Connections({ connectMs: 5_000 })
  await messageOf(remote.run(targetAt(host.port, more), 'exit 0'))
  return promise
}

/** SSH_MSG_DISCONNECT (RFC 4253 section 11.1). */
function disconnect(text: string): Buffer {
  const description = Buffer.from(text)
  const payload = Buffer.alloc(13 + description.length)
  payload.writeUInt8(1, 0)
  payload.writeUInt32BE(2, 1)
  payload.writeUInt32BE(description.length, 5)
  payload.set(description, 9)
  return payload
}

/** An unencrypted packet (RFC 4253 section 6). */
function packet(payload: Buffer): Buffer {
  const padding = 8 + ((8 - ((payload.length + 5) % 8)) % 8)
  const head = Buffer.alloc(5)
  head.writeUInt32BE(1 + payload.length + padding, 0)
  head.writeUInt8(padding, 4)
  return Buffer.concat([head, payload, Buffer.alloc(padding)])
}
