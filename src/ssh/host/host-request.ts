/** What a host signs of each of its requests (protocols 5.4), and the headers that carry it. */
import { hash } from 'node:crypto'
import { SshWriter } from '../writer.ts'

export const HOST_NAMESPACE = 'host@postern'
export const NONCE_BYTES = 16

/** In small letters, as Node names them. */
export const hostHeaders = {
  host: 'x-postern-host',
  time: 'x-postern-host-time',
  nonce: 'x-postern-host-nonce',
  signature: 'x-postern-host-signature',
} as const

export interface HostRequest {
  /** Empty at enrolment, when the host does not know it yet. */
  readonly clusterId: string
  readonly method: 'GET' | 'POST'
  /** As sent, without the query: `/v1/ssh/host/bundle`. */
  readonly path: string
  /** The body's bytes; empty where there is none. */
  readonly body: Uint8Array | string
  /** Empty at enrolment. */
  readonly hostId: string
  readonly unixSeconds: number
  /** Random, used once. */
  readonly nonce: Uint8Array
}

/** The bytes that the signature for `host@postern` is over. */
export function hostRequestMessage(request: HostRequest): Buffer {
  return new SshWriter()
    .string('postern-host-v1')
    .string(request.clusterId)
    .string(request.method)
    .string(request.path)
    .string(hash('sha256', request.body, 'buffer'))
    .string(request.hostId)
    .uint64(BigInt(request.unixSeconds))
    .string(request.nonce)
    .bytes()
}

/**
 * What each further key of a host signs at enrolment, for `host@postern` too: that it belongs to the host that enrols with this join
 * token and signs the request itself with this key.
 */
export function hostProofMessage(joinToken: string, firstKey: Uint8Array): Buffer {
  return new SshWriter()
    .string('postern-host-proof-v1')
    .string(hash('sha256', joinToken, 'buffer'))
    .string(firstKey)
    .bytes()
}
