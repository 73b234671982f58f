/** One listener: its Node server, its socket on TCP or in the file system, its TLS. */
import { chmodSync, chownSync, lstatSync, unlinkSync } from 'node:fs'
import type { Server, ServerOptions } from 'node:http'
import type { Server as TlsServer } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { http } from '../../node-http.ts'
import type { Origin } from '../request.ts'
import { canonicalAddress, LOCAL_ADDRESS } from './address.ts'
import type { ForwardedSettings } from './forwarded.ts'
import type { HttpLimits } from './limits.ts'
import { clientSerial, secureContextOf, type TlsSettings, tlsOptions } from './tls.ts'

interface ListenerSettings {
  readonly forwarded?: ForwardedSettings
  readonly unauthenticatedMetrics?: boolean
}

export interface TcpListener extends ListenerSettings {
  readonly kind: 'tcp'
  readonly host: string
  /** 0 for one that the system chooses. */
  readonly port: number
  readonly tls?: TlsSettings
}

export interface UnixListener extends ListenerSettings {
  readonly kind: 'unix'
  readonly path: string
  /** Permission bits of the socket; 0o600 when absent. */
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
}

export type Listener = TcpListener | UnixListener

export type ListenerAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly tls: boolean }
  | { readonly kind: 'unix'; readonly path: string }

/** Makes the server of a listener, not yet listening. Throws when its TLS material is of no use. */
export function createListener(listener: Listener, limits: HttpLimits): Server {
  const requestTimeout = Math.ceil(limits.bodyMilliseconds)
  const options: ServerOptions = {
    maxHeaderSize: limits.maxHeaderBytes,
    // Node refuses more time for a part than for the whole.
    headersTimeout: Math.min(Math.ceil(limits.headersMilliseconds), requestTimeout),
    requestTimeout,
    keepAliveTimeout: limits.keepAliveMilliseconds,
    connectionsCheckingInterval: limits.checkMilliseconds,
    // Checked by us, so that the answer is in the API's form and every parsed head reaches us.
    requireHostHeader: false,
    noDelay: true,
    optimizeEmptyRequests: true,
  } as ServerOptions
  const tls = listener.kind === 'tcp' ? listener.tls : undefined
  const server = tls
    ? // Loaded here, because many servers listen to a socket or behind a proxy.
      process.getBuiltinModule('node:https').createServer({
        ...options,
        ...tlsOptions(tls),
        allowHalfOpen: true,
        handshakeTimeout: limits.tlsHandshakeMilliseconds,
      })
    : http.createServer(options)
  // A client that has closed its half still gets its answers.
  ;(server as unknown as { httpAllowHalfOpen: boolean }).httpAllowHalfOpen = true
  server.timeout = limits.requestMilliseconds
  server.maxConnections = limits.maxConnections
  return server
}

/** Reads the certificate anew; the function returned puts it in force for connections to come. Throws when it is of no use. */
export function prepareReload(server: Server, listener: Listener): () => void {
  if (listener.kind !== 'tcp' || !listener.tls) return () => {}
  const context = secureContextOf(listener.tls)
  return () => (server as TlsServer).setSecureContext(context)
}

/** Where the requests of a connection come from. */
export function originMaker(listener: Listener): (socket: Socket) => Origin {
  return (socket) => {
    const remoteAddress =
      listener.kind === 'unix' ? LOCAL_ADDRESS : canonicalAddress(socket.remoteAddress ?? '')
    const serial = clientSerial(socket)
    return {
      remoteAddress: remoteAddress ?? '',
      remotePort: socket.remotePort ?? 0,
      ...(serial === undefined ? undefined : { clientCertificateSerial: serial }),
      ...(listener.unauthenticatedMetrics ? { unauthenticatedMetrics: true } : undefined),
    }
  }
}

/** Listens. Rejects with the system's error. */
export async function listen(server: Server, listener: Listener): Promise<ListenerAddress> {
  if (listener.kind === 'tcp') {
    await listening(server, () => server.listen(listener.port, listener.host))
    const { address, port } = server.address() as AddressInfo
    return { kind: 'tcp', host: address, port, tls: listener.tls !== undefined }
  }
  const { path } = listener
  await removeStaleSocket(path)
  await listening(server, () => {
    // Bound within this call: nobody connects before mode and owner are set.
    const before = process.umask(0o177)
    try {
      server.listen(path)
    } finally {
      process.umask(before)
    }
  })
  if (listener.uid !== undefined || listener.gid !== undefined) {
    chownSync(
      path,
      listener.uid ?? process.getuid?.() ?? 0,
      listener.gid ?? process.getgid?.() ?? 0,
    )
  }
  chmodSync(path, listener.mode ?? 0o600)
  return { kind: 'unix', path }
}

function listening(server: Server, start: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.once('listening', () => {
      server.off('error', reject)
      resolve()
    })
    start()
  })
}

/** A server that was killed leaves its socket behind: it is removed when nobody answers on it. */
async function removeStaleSocket(path: string): Promise<void> {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isSocket()) return
  const isStale = await new Promise<boolean>((resolve) => {
    const probe = connect(path)
    probe.once('connect', () => resolve(false))
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'))
    probe.once('close', () => probe.destroy())
    probe.once('connect', () => probe.destroy())
  })
  if (isStale) unlinkSync(path)
}
