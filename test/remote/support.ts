/** Hosts that are no hosts, and the error of what should fail. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { PosternError } from '../../src/errors.ts'
import { Secret } from '../../src/redact.ts'
import type { Target } from '../../src/remote/target.ts'

export interface FakeHost extends AsyncDisposable {
  readonly port: number
}

/** Listens on loopback; what it does with a connection is up to the test. */
export async function startFakeHost(serve: (socket: Socket) => void): Promise<FakeHost> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    serve(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** A target on loopback whose host key is taken as it is. */
export function targetAt(port: number, more: Partial<Target> = {}): Target {
  return {
    address: '127.0.0.1',
    port,
    user: 'admin',
    privateKey: new Secret('no key'),
    keyId: 'key',
    checkHostKey: async () => {},
    ...more,
  }
}

/** The message of the PosternError with which it rejects; anything else fails. */
export async function messageOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
  } catch (error) {
    if (error instanceof PosternError) return error.message
    throw error
  }
  throw new Error('it did not reject')
}
