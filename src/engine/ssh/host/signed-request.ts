/**
 * Requests that a host signs with one of its enrolled keys (protocols 5.4). Every failure looks the same, but for a clock that
 * is off. A request is taken once: its random number is remembered for as long as its time would be good.
 */
import { badRequest, PosternError, SshFormatError } from '../../../errors.ts'
import type { Call } from '../../../mount/call.ts'
import {
  HOST_NAMESPACE,
  hostHeaders,
  hostRequestMessage,
  NONCE_BYTES,
} from '../../../ssh/host/host-request.ts'
import { parseAuthorizedKey } from '../../../ssh/key/authorized-keys.ts'
import { isSameKey, type PublicKey } from '../../../ssh/key/public-key.ts'
import { verifyMessage } from '../../../ssh/sshsig.ts'
import { type HostRecord, readHost, type StoredHost } from './registry.ts'

/** How far a host's clock may be off, each way. */
const MAX_SKEW_SECONDS = 60
const REMEMBERED_MS = 2 * MAX_SKEW_SECONDS * 1000
/** 10,000 hosts send some 40,000 in that time. More: refused, not forgotten. */
const MAX_REMEMBERED = 200_000
/** A host that goes wild, or whose key was stolen, takes no room of others. */
const MAX_OF_ONE_HOST = 5000

export interface SignedRequest {
  readonly hostId: string
  readonly unixSeconds: number
  /** The key that made the signature, which holds. Whether it is trusted is the caller's to judge. */
  readonly key: PublicKey
}

interface SeenRequest {
  readonly hostId: string
  readonly requestId: string
  readonly until: number
}

/** Judges the signatures of hosts, for all mounts of an engine. */
export class HostRequests {
  readonly #clusterId: () => string
  /** Random numbers with the request that brought each, and when it may be forgotten; in that order. */
  readonly #seen = new Map<string, SeenRequest>()
  readonly #countOf = new Map<string, number>()
  readonly #startedAt: number

  constructor(clusterId: () => string, now: number) {
    this.#clusterId = clusterId
    this.#startedAt = now
  }

  /** Whether the request claims to come from a host. */
  isFromHost({ headers }: Pick<Call, 'headers'>): boolean {
    return headers.has(hostHeaders.signature) || headers.has(hostHeaders.host)
  }

  /** The enrolled, active host that signed the request. Throws `permission_denied`, and a 400 where the clock is off. */
  async hostOf(call: Call): Promise<HostRecord> {
    return (await this.storedHostOf(call)).host
  }

  /** The same, with what says that the host has not changed since. */
  async storedHostOf(call: Call): Promise<StoredHost> {
    const hostId = call.headers.get(hostHeaders.host) ?? ''
    const stored = await readHost(call.store, hostId)
    const signed = this.#signed(call, this.#clusterId())
    if (stored?.host.state !== 'active' || signed?.hostId !== stored.host.id) throw denied()
    const { host } = stored
    if (!host.hostKeys.some((line) => isSameKey(parseAuthorizedKey(line), signed.key))) {
      throw denied()
    }
    this.#takeOnce(call, signed)
    return stored
  }

  /** The key that signed a request for enrolment, in which neither cluster nor host is named. */
  newcomer(call: Call): PublicKey {
    const signed = this.#signed(call, '')
    if (signed?.hostId !== '') throw denied()
    this.#takeOnce(call, signed)
    return signed.key
  }

  #signed(call: Call, clusterId: string): SignedRequest | undefined {
    const { headers, operation, mount, path, bodyText, data } = call
    // Fields of a query or a form are in no body that could be signed.
    if (bodyText === undefined && data.size > 0) return undefined
    const hostId = headers.get(hostHeaders.host) ?? ''
    const time = headers.get(hostHeaders.time) ?? ''
    const nonceText = headers.get(hostHeaders.nonce) ?? ''
    const nonce = Buffer.from(nonceText, 'base64url')
    const signature = Buffer.from(headers.get(hostHeaders.signature) ?? '', 'base64')
    if (!/^[0-9]{1,12}$/.test(time) || nonce.length !== NONCE_BYTES) return undefined
    // It is remembered as text: in another spelling the same request would be taken once more.
    if (nonce.toString('base64url') !== nonceText) return undefined
    const unixSeconds = Number(time)
    const message = hostRequestMessage({
      clusterId,
      method: operation === 'read' ? 'GET' : 'POST',
      path: `/v1/${mount.path}${path}`,
      body: bodyText ?? '',
      hostId,
      unixSeconds,
      nonce,
    })
    try {
      const key = verifyMessage(signature, { namespace: HOST_NAMESPACE, message })
      return key && { hostId, unixSeconds, key }
    } catch (error) {
      if (error instanceof SshFormatError) return undefined
      throw error
    }
  }

  /** Only what is signed gets here: nobody else can fill the memory, or learn the time from a refusal. */
  #takeOnce({ headers, requestId, now }: Call, { hostId, unixSeconds }: SignedRequest): void {
    const skew = unixSeconds - now / 1000
    if (Math.abs(skew) > MAX_SKEW_SECONDS) {
      const server = new Date(now).toISOString()
      throw badRequest(
        `the host's clock is ${Math.round(Math.abs(skew))} s ${skew > 0 ? 'ahead of' : 'behind'} the server's (${server}): set it right, and try again`,
      )
    }
    // What was seen before this process began is forgotten: a request of then may have been taken then.
    if (unixSeconds * 1000 < this.#startedAt - 1000) {
      throw new PosternError('unavailable', 'the server has just started; sign the request anew')
    }
    this.#forget(now)
    // Its bytes, which can be spelled in several ways.
    const nonce = Buffer.from(headers.get(hostHeaders.nonce) ?? '', 'base64url').toString('hex')
    // A request may be run again when its commit met another one.
    const before = this.#seen.get(nonce)
    if (before && before.requestId !== requestId) throw denied()
    if (before) return
    const count = this.#countOf.get(hostId) ?? 0
    if (this.#seen.size >= MAX_REMEMBERED || count >= MAX_OF_ONE_HOST) {
      throw new PosternError('too_many_requests', 'too many signed requests within two minutes')
    }
    this.#countOf.set(hostId, count + 1)
    this.#seen.set(nonce, { hostId, requestId, until: now + REMEMBERED_MS })
  }

  #forget(now: number): void {
    for (const [nonce, { hostId, until }] of this.#seen) {
      // In the last millisecond its time is still good.
      if (until >= now) break
      this.#seen.delete(nonce)
      const count = this.#countOf.get(hostId) ?? 0
      if (count > 1) this.#countOf.set(hostId, count - 1)
      else this.#countOf.delete(hostId)
    }
  }
}

function denied(): PosternError {
  return new PosternError('permission_denied')
}
